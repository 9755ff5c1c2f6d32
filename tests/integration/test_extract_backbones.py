"""Transformers end to end, tiny and random, and a folder with one of every odd file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.backbones.conftest import build
from tests.extraction.conftest import write_clip
from tests.video.odd_files import BAD, GOOD

from gasm_cast.backbones import SemanticFrames
from gasm_cast.cli import main
from gasm_cast.errors import InputError
from gasm_cast.extraction.extracting import extract
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import ExtractorOptions, PipelineOptions
from gasm_cast.extraction.reading import Source
from gasm_cast.extraction.sources import sources_in_folder
from gasm_cast.extraction.temporary import features_of_video
from gasm_cast.geometry import Grid
from gasm_cast.store import FeatureStore


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of tiny models by family."""
    root = tmp_path_factory.mktemp("models")
    for family in ("dinov2", "dinov3", "videomae", "vjepa2"):
        build(family).save_pretrained(root / family)
    return {path.name: str(path) for path in root.iterdir()}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for index in range(3):
        write_clip(folder / f"{index}.webm", index)
    return folder


def weights_of(name: str, models: dict[str, str]) -> str | None:
    return models.get(name.split("-", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("case", "grid"),
    [
        (("dinov2-small", "mean", "videomae-base"), Grid(1, 14, 14)),
        (("dinov2-small", "middle", "classic"), Grid(1, 14, 14)),
        (("dinov2-small", 8, "vjepa2-vitl-256"), Grid(8, 14, 14)),
        (("dinov2-small", 16, "classic"), Grid(16, 14, 14)),
        (("dinov3-vits16", 8, "videomae-base"), Grid(8, 14, 14)),
        (("vjepa2-vitl-256", "mean", "vjepa2-vitl-256"), Grid(1, 4, 4)),
        (("videomae-base", 8, "classic"), Grid(8, 4, 4)),
    ],
)
def test_transformers_fill_a_store(
    case: tuple[str, SemanticFrames, str], grid: Grid, models: dict[str, str], clips: Path, tmp_path: Path
) -> None:
    semantic, frames, motion = case
    semantic_weights, motion_weights = weights_of(semantic, models), weights_of(motion, models)
    options = ExtractorOptions(
        semantic=semantic,
        motion=motion,
        semantic_frames=frames,
        semantic_weights=semantic_weights,
        motion_weights=motion_weights,
    )
    extractor = Extractor.load(options)
    good = sources_in_folder(clips)
    sources = [good[0], Source("absent", None), *good[1:]]
    pipeline = PipelineOptions(workers=1, batch_size=2)
    summary = extract(
        sources, tmp_path / "store", extractor, dtype="float32", options=pipeline, progress=False
    )
    assert (summary.asked, summary.stored, summary.failed) == (4, 3, 1)
    store = FeatureStore.open(tmp_path / "store")
    assert store.streams["semantic"].grid == grid
    assert store.streams["motion"].grid == Grid(8, 1, 1)

    # The manifest alone, with the place of the weights, makes the same features again.
    again = Extractor.like(store.provenance, semantic_weights=semantic_weights, motion_weights=motion_weights)
    assert again.description("float32") == store.description
    alone = features_of_video(clips / "2.webm", again, dtype="float32")
    stored = store.read(["2"])
    np.testing.assert_allclose(alone.semantic, stored.semantic, atol=1e-4)
    np.testing.assert_allclose(alone.motion, stored.motion, atol=1e-4)
    assert not np.allclose(stored.semantic, store.read(["1"]).semantic, atol=1e-2)


def test_weights_of_a_file_must_be_named_again(models: dict[str, str]) -> None:
    options = ExtractorOptions(semantic="dinov2-small", semantic_weights=models["dinov2"])
    made_by = Extractor.load(options).description().to_json()
    with pytest.raises(InputError, match="--semantic-weights"):
        Extractor.like(made_by)
    semantic = made_by["streams"]["semantic"]["backbone"]
    semantic |= {"weights": "somebody/elses-name", "revision": "v2", "precision": "bf16"}
    same = Extractor.like(made_by, semantic_weights=models["dinov2"])  # what counts is the content
    assert same.other_precision(made_by) == "bf16"
    semantic["sha256"] = "0" * 64
    with pytest.raises(InputError, match="sha256"):
        Extractor.like(made_by, semantic_weights=models["dinov2"])


def test_imported_features_cannot_be_made_from_a_video() -> None:
    made_by = {"streams": {}, "preprocessing": {"source": "npy"}}
    with pytest.raises(InputError, match="not extracted from videos"):
        Extractor.like(made_by)


def test_a_folder_with_one_of_every_odd_file(models: dict[str, str], clips: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for odd in (*GOOD, *BAD):
        odd.make(videos / odd.name)
    num_plain = 40 - len(GOOD)
    for index in range(num_plain):
        shutil.copy(clips / f"{index % 3}.webm", videos / f"more-{index}.webm")
    (videos / "notes.txt").write_text("not asked for")
    arguments = ["--out", str(tmp_path / "store"), "--json", str(tmp_path / "counts.json"), "--workers", "1"]
    arguments += ["--semantic", "dinov2-small", "--semantic-weights", models["dinov2"]]
    arguments += [
        "--semantic-frames",
        "middle",
        "--motion",
        "videomae-base",
        "--motion-weights",
        models["videomae"],
    ]
    assert main(["extract", str(videos), *arguments]) == 1
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["asked"], counts["stored"], counts["failed"]) == (40 + len(BAD), 40, len(BAD))
    for bad in BAD:
        assert bad.reason in counts["failures"][Path(bad.name).stem]
    store = FeatureStore.open(tmp_path / "store")
    assert set(store.ids) == {Path(good.name).stem for good in GOOD} | {f"more-{i}" for i in range(num_plain)}
