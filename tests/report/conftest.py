"""Evaluated run folders made up from a seed, as `evaluate` would have written them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gasm_cast.config import DataConfig, ModelConfig, ModelKind, Recipe, TrainingConfig
from gasm_cast.evaluation.summary import Classes, summarize
from gasm_cast.predictions import Predictions, write_predictions
from gasm_cast.runs import Run

MakeRun = Callable[..., Path]

NAMES = (
    "Pushing something from left to right",
    "Pushing something from right to left",
    "Covering something with something",
    "Uncovering something",
    "Showing that something is inside <something> & more",
)


def write_run(
    path: Path,
    *,
    kind: ModelKind = "gasm-cast",
    seed: int = 0,
    skill: float = 2.0,
    num_clips: int = 60,
    names: Sequence[str] = NAMES,
    group_of_class: Sequence[int] = (0, 0, 1, 1, 2),
    group_names: Sequence[str] = ("Pushing", "Covering", "Showing"),
    backbones: tuple[str, str] = ("classic", "classic"),
) -> Path:
    """Write a run whose logits are noise plus `skill` for the label, layer by layer better."""
    recipe = Recipe(
        data=DataConfig(annotations=path.parent / "annotations"),
        model=ModelConfig(kind=kind),
        training=TrainingConfig(seed=seed),
    )
    run = Run.create(path, recipe)
    labels = np.random.default_rng(99).integers(len(names), size=num_clips)
    generator = np.random.default_rng([seed, int(1000 * skill)])

    def probabilities(strength: float) -> np.ndarray:
        logits = generator.normal(size=(num_clips, len(names)))
        # Neighbouring classes look alike, so that the confusion matrix has a shape.
        logits += strength * (np.eye(len(names)) + 0.7 * np.eye(len(names), k=1))[labels]
        exponent = np.exp(logits)
        return np.asarray(exponent / exponent.sum(axis=1, keepdims=True), dtype=np.float32)

    layers = [probabilities(skill * 0.5), probabilities(skill * 0.8)]
    final = probabilities(skill)
    record = summarize(
        final,
        layers,
        labels,
        Classes(tuple(names), np.array(group_of_class), tuple(group_names)),
        temperature=1.3,
    )
    record |= {"split": "validation", "store": "0123456789abcdef", "num_views": 1, "num_asked": num_clips + 1}
    record |= {"backbones": dict(zip(("semantic", "motion"), backbones, strict=True))}
    record |= {"failed": [{"id": "broken", "reason": "no video stream"}], "missing": []}
    folder = run.evaluation("validation")
    write_predictions(
        Predictions(
            ids=tuple(f"{i:06d}" for i in range(num_clips)),
            labels=labels,
            probabilities=final,
            layer_predictions=np.stack([layer.argmax(axis=1) for layer in layers], axis=1),
            class_names=tuple(names),
        ),
        folder / "predictions.parquet",
    )
    (folder / "metrics.json").write_text(json.dumps(record))
    for epoch in range(1, 4):
        run.log("epoch", {"epoch": epoch, "train_loss": 3 / epoch, "validation_top1": epoch / 4})
    return path


def write_videos(annotations: Path, ids: Sequence[str]) -> None:
    """Annotations of these clips and a video of each, whose frames grow lighter."""
    annotations.mkdir()
    (annotations / "labels.json").write_text(json.dumps({name: str(i) for i, name in enumerate(NAMES)}))
    rows = [{"id": clip, "template": NAMES[0]} for clip in ids]
    (annotations / "validation.json").write_text(json.dumps(rows))
    for clip in ids:
        with av.open(str(annotations / f"{clip}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=12)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(32):
                frame = np.full((48, 64, 3), 6 * number + 30, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
            container.mux(stream.encode())


def write_strips(folder: Path, clip: str) -> None:
    """An explanation with nothing but the player's strips: four frames, plain and red."""
    folder.mkdir(parents=True)
    for name, colour in (("frames", (90, 90, 90)), ("attention", (200, 0, 0))):
        Image.new("RGB", (4 * 32, 32), colour).save(folder / f"{name}.webp")
    meta = {"id": clip, "label": NAMES[0], "prediction": NAMES[1], "probability": 0.4, "pictures": []}
    (folder / "meta.json").write_text(json.dumps(meta))


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`write_run` into a folder of the test: `make_run("name", kind=..., skill=...)`."""
    return lambda name, **options: write_run(tmp_path / name, **options)
