"""From video files to probabilities by the commands alone: extract, evaluate, predict agree."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.extraction.conftest import write_clip, write_long_clip
from tests.video.odd_files import cut, encode, textured_pictures

from gasm_cast.classifying import Classifier, Scorer, predict
from gasm_cast.cli import main
from gasm_cast.config import (
    DataConfig,
    ExchangeConfig,
    GraphConfig,
    HeadConfig,
    ModelConfig,
    ModelKind,
    Recipe,
)
from gasm_cast.errors import InputError
from gasm_cast.evaluation.cost import count_exit_flops
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.models.checkpoints import ModelCard, load_checkpoint, read_checkpoint, save_checkpoint
from gasm_cast.predictions import read_predictions
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore
from gasm_cast.video import VideoError

CLASSES = ("Pulling something", "Pushing something", "Holding something")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of three classes, as a list with one split, and a store of two views."""
    root = tmp_path_factory.mktemp("data")
    rows = []
    for index in range(6):
        write_clip(root / "annotations" / "videos" / f"{index}.webm", index)
        rows.append(f"{index}.webm,{index % 3}")
    (root / "annotations" / "labels.json").write_text(json.dumps(dict(zip(CLASSES, "012", strict=True))))
    (root / "annotations" / "validation.csv").write_text("path,label\n" + "\n".join(rows))
    assert main(["extract", str(root / "annotations"), "--out", str(root / "store"), "--views", "2"]) == 0
    return root


@pytest.fixture(scope="module")
def run(data: Path) -> Run:
    """An untrained model whose every layer has a say."""
    return write_run(data, data / "store")


def write_run(folder: Path, features: Path, kind: ModelKind = "gasm-cast") -> Run:
    """A run in `folder` of a model that was never trained, for this store."""
    recipe = Recipe(
        data=DataConfig(store=features, annotations=folder / "annotations"),
        model=ModelConfig(
            kind=kind,
            graph=GraphConfig(width=16, num_heads=2, similarity_width=8),
            exchange=ExchangeConfig(width=16, num_heads=2),
            head=HeadConfig(coarse_layers=1),
        ),
    )
    store = FeatureStore.open(features)
    run = Run.create(folder / "run", recipe)
    card = ModelCard(
        recipe=recipe,
        class_names=CLASSES,
        num_groups=3,
        semantic=store.streams["semantic"],
        motion=store.streams["motion"],
        provenance=store.provenance,
        num_views=store.num_views,
        dtype=store.description.dtype,
    )
    torch.manual_seed(0)
    model = card.build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_checkpoint(run.best_checkpoint, model.state_dict(), card, epoch=1, step=1)
    return run


def test_predict_gives_the_probabilities_of_evaluate(data: Path, run: Run, tmp_path: Path) -> None:
    assert main(["evaluate", str(run.path)]) == 0
    evaluated = read_predictions(run.evaluation("validation") / "predictions.parquet")
    videos = [str(data / "annotations" / "videos" / f"{name}.webm") for name in evaluated.ids]
    assert main(["predict", str(run.path), *videos, "--json", str(tmp_path / "said.json")]) == 0
    said = json.loads((tmp_path / "said.json").read_text())
    assert [prediction["video"] for prediction in said["predictions"]] == videos
    given = np.array([prediction["probabilities"] for prediction in said["predictions"]])
    assert np.ptp(given, axis=0).max() > 1e-3  # the clips are told apart
    np.testing.assert_allclose(given, evaluated.probabilities, atol=1e-5)


def test_predict_gives_them_where_the_store_is_gone_and_says_where_it_cannot(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = write_run(tmp_path, Path(shutil.copytree(data / "store", tmp_path / "store")))
    assert main(["evaluate", str(own.path), "--annotations", str(data / "annotations")]) == 0
    evaluated = read_predictions(own.evaluation("validation") / "predictions.parquet")
    shutil.rmtree(tmp_path / "store")
    video = str(data / "annotations" / "videos" / f"{evaluated.ids[0]}.webm")
    arguments = ["predict", str(own.path), video, "--json", str(tmp_path / "said.json")]
    assert main(arguments) == 0
    (said,) = json.loads((tmp_path / "said.json").read_text())["predictions"]
    np.testing.assert_allclose(said["probabilities"], evaluated.probabilities[0], atol=1e-5)
    assert "features were stored" not in capsys.readouterr().err

    content = read_checkpoint(own.best_checkpoint)
    del content["stored"]  # as earlier versions wrote it
    torch.save(content, own.best_checkpoint)
    assert main(arguments) == 0
    assert "taking one temporal view and float16" in capsys.readouterr().err
    (said,) = json.loads((tmp_path / "said.json").read_text())["predictions"]
    assert np.abs(np.array(said["probabilities"]) - evaluated.probabilities[0]).max() > 1e-4


@pytest.fixture(scope="module")
def six_views(data: Path) -> Path:
    """Three of the clips as two temporal views of three crops each: the field's test protocol."""
    store = data / "six-views"
    flags = ["--views", "2", "--crops", "three", "--limit", "3"]
    assert main(["extract", str(data / "annotations"), "--out", str(store), *flags]) == 0
    return store


def test_a_model_of_centre_crops_is_scored_on_six_views_of_each_video(
    data: Path, run: Run, six_views: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Run.open(Path(shutil.copytree(run.path, tmp_path / "run")))
    assert main(["evaluate", str(own.path), "--store", str(six_views)]) == 1  # three have no score
    said = capsys.readouterr().out
    assert "6 clips asked for, 3 scored, 0 failed, 3 missing" in said
    assert "means over 6 views of each clip (crops: three); the model learnt from crops: centre" in said
    record = json.loads((own.evaluation("validation") / "metrics.json").read_text())
    assert (record["num_views"], record["crops"], record["training_crops"]) == (6, "three", "centre")
    assert record["num_scored"] == sum(of_class["support"] for of_class in record["classes"]) == 3

    scored = read_predictions(own.evaluation("validation") / "predictions.parquet")
    loaded, store = load_checkpoint(run.best_checkpoint), FeatureStore.open(six_views)
    with torch.no_grad():
        by_hand = [
            loaded.model(clips.semantic, clips.motion).logits.softmax(dim=-1).numpy()
            for clips in (store.read(scored.ids, view) for view in range(6))
        ]
    np.testing.assert_allclose(scored.probabilities, np.mean(by_hand, axis=0), atol=1e-5)
    assert np.std(by_hand, axis=0).max() > 1e-3  # the views are not the same


def test_a_store_that_differs_in_more_than_views_and_crops_is_refused_by_what_differs(
    data: Path, run: Run, six_views: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(six_views, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["preprocessing"]["resize"] = "nearest"
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert main(["evaluate", str(run.path), "--store", str(other)]) == 2
    refused = capsys.readouterr().err
    assert "preprocessing.resize" in refused
    assert "preprocessing.crops" not in refused

    manifest = json.loads((six_views / "manifest.json").read_text())
    manifest["preprocessing"]["crops"] = "squash"
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert main(["evaluate", str(run.path), "--store", str(other)]) == 2
    assert "preprocessing.crops: 'centre' against 'squash'" in capsys.readouterr().err


def test_predict_sees_six_views_as_evaluate_does(
    data: Path, run: Run, six_views: Path, tmp_path: Path
) -> None:
    own = Run.open(Path(shutil.copytree(run.path, tmp_path / "run")))
    assert main(["evaluate", str(own.path), "--store", str(six_views)]) == 1  # three have no score
    evaluated = read_predictions(own.evaluation("validation") / "predictions.parquet")
    video = data / "annotations" / "videos" / f"{evaluated.ids[0]}.webm"
    flags = ["--views", "2", "--crops", "three", "--json", str(tmp_path / "said.json")]
    assert main(["predict", str(run.path), str(video), *flags]) == 0
    (said,) = json.loads((tmp_path / "said.json").read_text())["predictions"]
    np.testing.assert_allclose(said["probabilities"], evaluated.probabilities[0], atol=1e-5)


def test_crops_that_see_another_shape_are_refused(
    data: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    video = str(data / "annotations" / "videos" / "0.webm")
    assert main(["predict", str(run.path), video, "--crops", "squash"]) == 2
    assert "preprocessing.crops: 'centre' against 'squash'" in capsys.readouterr().err


def test_predict_from_python_says_what_the_command_says(data: Path, run: Run, tmp_path: Path) -> None:
    video, broken = data / "annotations" / "videos" / "0.webm", tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    assert main(["predict", str(run.path), str(video), "--json", str(tmp_path / "said.json")]) == 0
    (said,) = json.loads((tmp_path / "said.json").read_text())["predictions"]

    failures: dict[str, str] = {}
    (answer,) = predict(str(run.path), [video, broken], failures=failures)
    assert answer.probabilities is not None
    np.testing.assert_allclose(answer.probabilities, said["probabilities"], atol=1e-6)
    assert (answer.video, answer.best(1)[0][0]) == (str(video), said["class"])
    assert set(failures) == {str(broken)}
    with pytest.raises(VideoError, match="broken"):
        predict(run, [video, broken])
    with pytest.raises(InputError, match="no such video file or folder"):
        predict(run, "nope.mp4")


def test_unreadable_videos_are_listed_and_the_others_classified(
    data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    videos = [
        str(tmp_path / "absent.mp4"),
        str(data / "annotations" / "videos" / "0.webm"),
        str(tmp_path / "broken.mp4"),
    ]
    assert main(["predict", str(run.path), *videos, "--top", "2", "--json", str(tmp_path / "said.json")]) == 1
    said = json.loads((tmp_path / "said.json").read_text())
    assert [prediction["video"] for prediction in said["predictions"]] == videos[1:2]
    assert set(said["failures"]) == {videos[0], videos[2]}
    captured = capsys.readouterr()
    assert f"{videos[0]}: not read: no such file" in captured.err
    assert captured.out.count("%") == 2
    assert main(["predict", str(run.path), videos[2]]) == 1  # and if nothing can be read at all


def test_names_without_any_file_are_bad_input(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run.path), "nope.mp4", "nor-this.mp4"]) == 2
    assert "nope.mp4: no such video file or folder" in capsys.readouterr().err
    assert main(["explain", str(run.path), "nope.mp4"]) == 2
    assert "nope.mp4: no such video file, and no such id in the run's store" in capsys.readouterr().err


def test_an_answer_on_a_damaged_video_says_so(
    data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = data / "annotations" / "videos" / "0.webm"
    damaged = encode(tmp_path / "damaged.webm", textured_pictures())
    cut(damaged, 0.6)
    told = {"csv": tmp_path / "said.csv", "json": tmp_path / "said.json"}
    files = [word for form, path in told.items() for word in (f"--{form}", str(path))]
    assert main(["predict", str(run.path), str(whole), str(damaged), "--top", "1", *files]) == 0
    heading = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(str(damaged)))
    assert "truncated: frames end" in heading
    flaws = [prediction["flaws"] for prediction in json.loads(told["json"].read_text())["predictions"]]
    assert flaws[0] == ""
    assert heading == f"{damaged}  ({flaws[1]})"
    with open(told["csv"], newline="") as file:
        assert [row["flaws"] for row in csv.DictReader(file)] == flaws

    assert main(["explain", str(run.path), str(damaged), "--out", str(tmp_path / "explained")]) == 0
    assert f"{damaged}: {flaws[1]}" in capsys.readouterr().out
    assert json.loads((tmp_path / "explained" / "meta.json").read_text())["flaws"] == [flaws[1]]


def test_windows_of_a_long_video_are_those_clips(data: Path, run: Run, tmp_path: Path) -> None:
    long = write_long_clip(tmp_path / "long.webm", seeds=(1, 2), num_frames=60)
    assert (
        main(
            [
                "predict",
                str(run.path),
                str(long),
                "--window-sec",
                "4",
                "--stride-sec",
                "3",
                "--csv",
                str(tmp_path / "said.csv"),
                "--top",
                "1",
            ]
        )
        == 0
    )
    with open(tmp_path / "said.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["start"]), float(row["end"])) for row in rows] == [(0, 4), (3, 7), (6, 10)]


def test_a_part_without_frames_is_a_row_with_its_reason(
    data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stamp = lambda index: index + 36 * (index >= 24)  # noqa: E731
    video = encode(tmp_path / "gap.mkv", textured_pictures(48), stamp=stamp)
    files = ["--csv", str(tmp_path / "said.csv"), "--json", str(tmp_path / "said.json"), "--top", "1"]
    windows = ["--window-sec", "2", "--exit-confidence", "0.5"]
    assert main(["predict", str(run.path), str(video), *windows, *files]) == 1
    with open(tmp_path / "said.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["start"], row["end"]) for row in rows if not row["class"]] == [("2.000", "5.000")]
    assert [row["flaws"] for row in rows if not row["score"]] == ["no frame in this part of the file"]
    said = json.loads((tmp_path / "said.json").read_text())["predictions"]
    assert [part["span_sec"] for part in said if part["probabilities"] is None] == [[2, 5]]
    assert len(said) == len(rows) > 3
    assert f"{video}  2.00 to 5.00 s  (no frame in this part of the file)\n" in capsys.readouterr().out


def test_rows_are_written_as_they_come(
    data: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = write_long_clip(tmp_path / "long.webm", seeds=(1, 2), num_frames=60)
    monkeypatch.setattr("gasm_cast.extraction.temporary._WINDOWS_A_STORE", 2)
    scored = Scorer._scores
    calls = iter(range(2))

    def interrupted(*arguments: Any) -> Any:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return scored(*arguments)

    monkeypatch.setattr(Scorer, "_scores", interrupted)
    command = ["predict", str(run.path), str(long), "--window-sec", "2", "--top", "1"]
    assert main([*command, "--csv", str(tmp_path / "said.csv")]) == 130
    with open(tmp_path / "said.csv", newline="") as file:
        assert [row["start"] for row in csv.DictReader(file)] == ["0.000", "1.000"]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_cannot_be_written_is_said_before_videos_are_read(
    data: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(Classifier, "_whole", lambda *_, **__: pytest.fail("videos were read"))
    video = str(data / "annotations" / "videos" / "0.webm")
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "below"):
        assert main(["predict", str(run.path), video, f"--{form}", str(path)]) == 2


def test_a_reader_who_has_seen_enough_does_not_end_the_files(data: Path, run: Run, tmp_path: Path) -> None:
    videos = [str(data / "annotations" / "videos" / f"{name}.webm") for name in range(3)]
    command = [sys.executable, "-m", "gasm_cast", "predict", str(run.path), *videos]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*command, "--csv", str(tmp_path / "said.csv")], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, b"Broken pipe" in done.stderr) == (0, False)
    with open(tmp_path / "said.csv", newline="") as file:
        assert {row["video"] for row in csv.DictReader(file)} == set(videos)


def test_clips_of_a_store_are_classified_without_labels_or_backbones(
    data: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Run.open(Path(shutil.copytree(run.path, tmp_path / "run")))
    assert main(["evaluate", str(own.path)]) == 0
    evaluated = read_predictions(own.evaluation("validation") / "predictions.parquet")
    monkeypatch.setattr(Extractor, "like", lambda *_, **__: pytest.fail("backbones were loaded"))
    monkeypatch.setattr("gasm_cast.classifying._CLIPS_A_PIECE", 2)
    (tmp_path / "ids.txt").write_text("\n".join(evaluated.ids[1:4]))
    command = ["predict", str(own.path), "--store", str(data / "store"), "--ids", str(tmp_path / "ids.txt")]
    files = ["--csv", str(tmp_path / "said.csv"), "--json", str(tmp_path / "said.json"), "--top", "1"]
    assert main([*command, *files]) == 0
    said = json.loads((tmp_path / "said.json").read_text())["predictions"]
    given = [prediction["probabilities"] for prediction in said]
    np.testing.assert_allclose(given, evaluated.probabilities[1:4], atol=1e-5)
    with open(tmp_path / "said.csv", newline="") as file:
        assert [row["video"] for row in csv.DictReader(file)] == list(evaluated.ids[1:4])

    before = (tmp_path / "said.csv").read_bytes()
    (tmp_path / "ids.txt").write_text("unheard-of")
    assert main([*command, *files]) == 2
    assert "unheard-of" in capsys.readouterr().err
    assert (tmp_path / "said.csv").read_bytes() == before
    with pytest.raises(SystemExit):
        main([*command, "--window-sec", "2"])
    assert "--store takes features as they are" in capsys.readouterr().err


def test_clips_that_a_store_has_as_failed_are_rows_with_their_reason(
    data: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(data / "annotations" / "videos" / "0.webm", tmp_path / "videos")
    (tmp_path / "videos" / "broken.webm").write_bytes(b"nothing")
    assert main(["extract", str(tmp_path / "videos"), "--out", str(tmp_path / "s"), "--views", "2"]) == 1
    command = ["predict", str(run.path), "--store", str(tmp_path / "s"), "--top", "1"]
    assert main([*command, "--csv", str(tmp_path / "said.csv")]) == 1
    with open(tmp_path / "said.csv", newline="") as file:
        rows = {row["video"]: row for row in csv.DictReader(file)}
    assert (rows["0"]["class"] in CLASSES, rows["0"]["flaws"]) == (True, "")
    assert rows["broken"]["class"] == ""
    assert "not a video" in rows["broken"]["flaws"]


def test_early_exit_says_where_the_model_stopped(data: Path, run: Run, tmp_path: Path) -> None:
    video = str(data / "annotations" / "videos" / "0.webm")
    layers = []
    for confidence in ("0.01", "1"):
        arguments = ["--exit-confidence", confidence, "--json", str(tmp_path / "said.json")]
        assert main(["predict", str(run.path), video, *arguments]) == 0
        layers.append(json.loads((tmp_path / "said.json").read_text())["predictions"][0]["layers_used"])
    assert layers == [2, 3]  # the first layer answers verb groups, so it cannot be the last


def test_early_exit_says_what_it_saved(
    data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = [str(data / "annotations" / "videos" / f"{name}.webm") for name in range(3)]
    saved = []
    for confidence in ("0.01", "1"):
        arguments = ["--exit-confidence", confidence, "--json", str(tmp_path / "said.json")]
        assert main(["predict", str(run.path), *videos, *arguments]) == 0
        saved.append(json.loads((tmp_path / "said.json").read_text())["early_exit"])
        assert f"{saved[-1]['operations_saved']:.1%} of the model's operations" in capsys.readouterr().out
    early, full = saved
    assert (early["mean_layers"], full["mean_layers"], full["num_layers"]) == (2, 3, 3)
    assert full["operations_saved"] == 0
    model = load_checkpoint(run.best_checkpoint).model
    tokens = [
        torch.zeros(1, spec.grid.num_tokens, spec.width) for spec in (model.task.semantic, model.task.motion)
    ]
    flops = count_exit_flops(model, *tokens)
    assert early["operations_saved"] == pytest.approx(1 - flops[2] / flops[3])
    assert early["operations_saved"] > 0.01


def test_a_model_that_cannot_stop_early_is_refused_before_videos_are_read(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = write_run(tmp_path, data / "store", kind="linear")
    monkeypatch.setattr(Extractor, "like", lambda *_, **__: pytest.fail("backbones were loaded"))
    video = str(data / "annotations" / "videos" / "0.webm")
    assert main(["predict", str(probe.path), video, "--exit-confidence", "0.5"]) == 2
    assert "'linear' has no early heads" in capsys.readouterr().err


def test_explain_a_video_where_the_store_of_three_crops_is_gone(data: Path, tmp_path: Path) -> None:
    video = data / "annotations" / "videos" / "0.webm"
    (tmp_path / "videos").mkdir()
    shutil.copy(video, tmp_path / "videos")
    assert main(["extract", str(tmp_path / "videos"), "--out", str(tmp_path / "s"), "--crops", "three"]) == 0
    run = write_run(tmp_path, tmp_path / "s")
    shutil.rmtree(tmp_path / "s")
    assert main(["explain", str(run.path), str(video), "--view", "2"]) == 0
    assert main(["explain", str(run.path), str(video), "--view", "3"]) == 2
