"""The main job on real encoded video, through the commands that a person types."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gasm_cast.annotations import read_annotations
from gasm_cast.cli import main
from gasm_cast.config import read_recipe, to_toml
from gasm_cast.store import FeatureStore

pytestmark = pytest.mark.slow

SMALL = (
    "--model.semantic-pool", "2", "--model.graph.width", "32", "--model.exchange.width", "32",
    "--model.exchange.num-heads", "4", "--training.num-epochs", "3", "--training.batch-size", "8",
    "--training.tracker", "none",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of mini, extracted, and a small GASM-CAST trained and evaluated on them."""
    home = tmp_path_factory.mktemp("main-job")
    mini = [
        "--num-classes",
        "4",
        "--train-per-class",
        "4",
        "--validation-per-class",
        "2",
        "--test-per-class",
        "1",
    ]
    assert main(["mini", "--out", str(home / "mini"), *mini]) == 0
    assert main(["extract", str(home / "mini"), "--out", str(home / "store")]) == 0
    (home / "recipe.toml").write_text(
        f'[data]\nstore = "{home / "store"}"\nannotations = "{home / "mini"}"\n', encoding="utf-8"
    )
    assert main(["train", str(home / "recipe.toml"), "--out", str(home / "run"), *SMALL]) == 0
    assert main(["evaluate", str(home / "run"), "--json", str(home / "evaluation.json")]) == 0
    return home


def test_every_clip_of_the_split_is_scored(home: Path) -> None:
    headline = json.loads((home / "evaluation.json").read_text())
    assert headline["num_asked"] == headline["num_scored"] == 8
    low, high = headline["interval"]
    assert 0 <= low <= headline["top1"] <= high <= 1


def test_store_holds_every_clip_of_all_splits(home: Path) -> None:
    splits = ("train", "validation", "test")
    asked = [name for split in splits for name in read_annotations(home / "mini", split).ids]
    store = FeatureStore.open(home / "store")
    assert sorted(store.ids) == sorted(asked)
    assert not store.failures


def test_predict_gives_the_probabilities_that_evaluate_stored(home: Path) -> None:
    stored = pq.read_table(home / "run" / "evaluation" / "validation" / "predictions.parquet").to_pylist()
    videos = [str(home / "mini" / "videos" / f"{row['id']}.webm") for row in stored[:3]]
    assert main(["predict", str(home / "run"), *videos, "--json", str(home / "predict.json")]) == 0
    predictions = json.loads((home / "predict.json").read_text())["predictions"]
    assert [prediction["video"] for prediction in predictions] == videos
    for row, prediction in zip(stored, predictions, strict=False):
        np.testing.assert_allclose(prediction["probabilities"], row["probabilities"], atol=1e-5)


def test_explain_and_report(home: Path) -> None:
    clip = read_annotations(home / "mini", "validation").ids[0]
    video = home / "mini" / "videos" / f"{clip}.webm"
    assert main(["explain", str(home / "run"), str(video)]) == 0
    (folder,) = (home / "run" / "explanations").iterdir()
    meta = json.loads((folder / "meta.json").read_text())
    for picture in meta["pictures"]:
        assert (folder / picture["file"]).stat().st_size > 1000
        assert picture["alt"]
    assert main(["report", str(home / "run"), "--out", str(home / "report.html")]) == 0
    page = (home / "report.html").read_text(encoding="utf-8")
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert clip in page


def test_report_explains_the_surest_wrong_answers_first(home: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(home / "run", run, ignore=shutil.ignore_patterns("explanations"))
    rows = pq.read_table(run / "evaluation" / "validation" / "predictions.parquet").to_pylist()
    wrong = {
        max(row["probabilities"]): row["id"]
        for row in rows
        if np.argmax(row["probabilities"]) != row["label"]
    }
    assert wrong, "nothing to explain: train the run of this test for less long"
    assert main(["report", str(run), "--explain", "1"]) == 0
    (folder,) = (run / "explanations").iterdir()
    assert json.loads((folder / "meta.json").read_text())["id"] == wrong[max(wrong)]
    assert 'class="overlay"' in (run / "report.html").read_text(encoding="utf-8")


def test_an_unreadable_video_is_listed_and_never_replaced(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "mini", tmp_path / "mini")
    lost = read_annotations(tmp_path / "mini", "validation").ids[0]
    (tmp_path / "mini" / "videos" / f"{lost}.webm").write_bytes(b"not a video")
    store = tmp_path / "store"
    arguments = ["extract", str(tmp_path / "mini"), "--out", str(store), "--split", "validation"]
    assert main([*arguments, "--json", str(tmp_path / "extract.json")]) == 1
    counts = json.loads((tmp_path / "extract.json").read_text())
    assert (counts["asked"], counts["stored"], counts["failed"]) == (8, 7, 1)
    assert list(counts["failures"]) == [lost]

    evaluate = ["evaluate", str(home / "run"), "--store", str(store), "--annotations", str(tmp_path / "mini")]
    assert main([*evaluate, "--json", str(tmp_path / "evaluation.json")]) == 1
    headline = json.loads((tmp_path / "evaluation.json").read_text())
    assert (headline["num_asked"], headline["num_scored"], headline["num_failed"]) == (8, 7, 1)


def test_fit_on_a_folder_per_class_with_other_file_names(home: Path, tmp_path: Path) -> None:
    table = read_annotations(home / "mini", "train")
    for number, (path, label) in enumerate(zip(table.paths, table.labels, strict=True)):
        if label < 3:
            folder = tmp_path / "clips" / f"class {'abc'[label]}"
            folder.mkdir(parents=True, exist_ok=True)
            assert path is not None
            shutil.copy(path, folder / f"Holiday {number}.webm")
    run = tmp_path / "run"
    assert main(["fit", str(tmp_path / "clips"), "--out", str(run), "--epochs", "2"]) == 0
    assert (run / "evaluation" / "validation" / "metrics.json").exists()
    choice = json.loads((run / "choice" / "choice.json").read_text())
    assert {one["variant"] for one in choice["tried"]} == {"gasm-cast", "linear", "motion-only"}
    assert read_recipe(run / "config.toml").model.kind == choice["chosen"]  # not always the first tried
    video = next((tmp_path / "clips" / "class b").iterdir())
    assert main(["predict", str(run), str(video), "--json", str(tmp_path / "predict.json")]) == 0
    content = json.loads((tmp_path / "predict.json").read_text())
    assert content["class_names"] == ["class a", "class b", "class c"]
    assert sum(content["predictions"][0]["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_the_demo_recipe_survives_its_file(tmp_path: Path) -> None:
    from gasm_cast.cli.demo_command import Options, demo_recipe

    recipe = demo_recipe(Options(out=tmp_path))
    (tmp_path / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    assert read_recipe(tmp_path / "recipe.toml") == recipe
