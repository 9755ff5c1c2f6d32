"""Every clip is accounted for, and what is written equals a short count."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gasm_cast.annotations import ClipTable, read_annotations
from gasm_cast.cli.evaluate_command import Options
from gasm_cast.cli.evaluate_command import run as evaluate_command
from gasm_cast.errors import InputError
from gasm_cast.evaluation import protocol
from gasm_cast.models.checkpoints import load_checkpoint
from gasm_cast.predictions import read_predictions
from gasm_cast.store import FeatureStore

from .conftest import (
    CLASSES,
    FAILED,
    MISSING,
    MakeRun,
    label_of,
    validation_ids,
    write_annotations,
    write_store,
)


def test_metrics_equal_a_five_line_count_over_the_predictions_file(make_run: MakeRun) -> None:
    run = make_run()
    assert evaluate_command(Options(path=run.path)) == 1  # one failed, one missing
    folder = run.evaluation("validation")
    record = json.loads((folder / "metrics.json").read_text())
    table = pq.read_table(folder / "predictions.parquet")
    labels = np.array([label_of(clip) for clip in table["id"].to_pylist()])
    probabilities = np.array(table["probabilities"].to_pylist())
    predictions = probabilities.argmax(axis=1)
    assert record["top1"]["value"] == (predictions == labels).mean()
    assert record["top5"]["value"] == 1  # four classes
    recalls = [(predictions == labels)[labels == c].mean() for c in range(4)]
    assert record["mean_class_accuracy"]["value"] == pytest.approx(np.mean(recalls))
    assert [entry["recall"] for entry in record["classes"]] == pytest.approx(recalls)
    layers = np.array(table["layer_predictions"].to_pylist())
    groups = np.array([2, 2, 1, 0])  # Covering, Lifting, Pushing
    assert record["layers"][0]["top1"] is None  # it answers verb groups
    assert record["layers"][0]["group_top1"]["value"] == (layers[:, 0] == groups[labels]).mean()
    assert record["layers"][1]["top1"]["value"] == (layers[:, 1] == labels).mean()
    assert record["layers"][2]["top1"] == record["top1"]
    assert table["label"].to_pylist() == labels.tolist()
    assert table["correct"].to_pylist() == (predictions == labels).tolist()


def test_every_clip_is_scored_failed_or_missing(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = make_run()
    code = evaluate_command(Options(path=run.path, json=tmp_path / "numbers.json", csv=True))
    record = json.loads((run.evaluation("validation") / "metrics.json").read_text())
    assert code == 1
    assert record["failed"] == [{"id": FAILED, "reason": "no video stream"}]
    assert record["missing"] == [{"id": MISSING, "reason": "not in the feature store"}]
    scored = read_predictions(run.evaluation("validation") / "predictions.parquet").ids
    assert sorted([*scored, FAILED, MISSING]) == validation_ids()
    printed = capsys.readouterr().out
    assert "14 clips asked for, 12 scored, 1 failed, 1 missing" in printed
    assert f"failed: {FAILED}: no video stream" in printed
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert (numbers["num_asked"], numbers["num_scored"]) == (14, 12)
    assert numbers["top1"] == record["top1"]["value"]
    rows = (run.evaluation("validation") / "predictions.csv").read_text().splitlines()
    assert len(rows) == 13
    assert rows[1].startswith(f"v000,0,{CLASSES[0]},")


def test_predictions_survive_their_file(make_run: MakeRun, store: FeatureStore) -> None:
    run = make_run()
    table = read_annotations(run.recipe.data.annotations, "validation")
    evaluation = protocol.evaluate(load_checkpoint(run.best_checkpoint), store, table)
    found = read_predictions(protocol.write(evaluation, run) / "predictions.parquet")
    for name, value in vars(evaluation.predictions).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_a_model_without_layers_has_an_empty_column(make_run: MakeRun) -> None:
    run = make_run("linear", "linear", coarse_layers=0)
    evaluate_command(Options(path=run.path))
    found = read_predictions(run.evaluation("validation") / "predictions.parquet")
    assert found.layer_predictions.shape == (12, 0)


def test_the_heads_of_an_ensemble_are_called_after_their_streams(make_run: MakeRun) -> None:
    run = make_run("ensemble", "ensemble", coarse_layers=0)
    evaluate_command(Options(path=run.path))
    record = json.loads((run.evaluation("validation") / "metrics.json").read_text())
    assert [layer["name"] for layer in record["layers"]] == ["semantic", "motion", "classifier"]


def test_a_class_without_scored_clips_is_named(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    evaluate_command(Options(path=run.path))
    assert "have no scored clip" not in capsys.readouterr().out
    rows = [
        {"id": clip, "template": CLASSES[label_of(clip)]} for clip in validation_ids() if label_of(clip) != 2
    ]
    (run.recipe.data.annotations / "validation.json").write_text(json.dumps(rows))
    evaluate_command(Options(path=run.path))
    assert f"1 of 4 classes have no scored clip, first '{CLASSES[2]}'" in capsys.readouterr().out


def test_a_complete_split_gives_code_0(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    assert evaluate_command(Options(path=run.path, split="train")) == 0
    assert "12 scored, 0 failed, 0 missing" in capsys.readouterr().out


def test_a_split_of_which_nothing_can_be_scored_is_refused_with_its_reason(
    make_run: MakeRun, store: FeatureStore
) -> None:
    table = read_annotations(make_run().recipe.data.annotations, "validation")
    with pytest.raises(InputError, match="all 1 clips of split 'validation' are recorded failures"):
        protocol.ask(table.select([table.ids.index(FAILED)]), store)
    unscored = [table.ids.index(clip) for clip in (FAILED, MISSING)]
    with pytest.raises(InputError, match=f"has none of the 2 clips of split 'validation' .first {MISSING}"):
        protocol.ask(table.select(unscored), store)


def test_a_split_without_labels_is_refused(make_run: MakeRun) -> None:
    run = make_run()
    with pytest.raises(InputError, match=r"'test' has no labels.*gasm-cast predict"):
        evaluate_command(Options(path=run.path, split="test"))
    assert not run.evaluation("test").exists()
    answers = "".join(f"{clip};{CLASSES[label_of(clip)]}\n" for clip in validation_ids(3))
    (run.recipe.data.annotations / "test-answers.csv").write_text(answers)
    evaluate_command(Options(path=run.path, split="test"))
    record = json.loads((run.evaluation("test") / "metrics.json").read_text())
    assert (record["split"], record["num_asked"]) == ("test", 3)


def test_permuted_classes_are_refused_with_the_first_difference(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    permuted = write_annotations(tmp_path / "permuted", (CLASSES[0], CLASSES[2], CLASSES[1], CLASSES[3]))
    with pytest.raises(InputError, match=rf"class 1 is '{CLASSES[2]}'.*'{CLASSES[1]}'"):
        evaluate_command(Options(path=run.path, annotations=permuted))


def test_features_made_in_another_way_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    write_store(tmp_path / "other", validation_ids(), revision="v2")
    with pytest.raises(InputError, match=r"semantic.backbone.revision: 'v1' against 'v2'"):
        evaluate_command(Options(path=run.path, store=tmp_path / "other"))


def test_a_store_of_other_clips_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    write_store(tmp_path / "other", ["t000", "t001"])
    with pytest.raises(InputError, match="none of the 14 clips of split 'validation'"):
        evaluate_command(Options(path=run.path, store=tmp_path / "other"))


def test_a_run_without_checkpoint_is_refused(make_run: MakeRun) -> None:
    run = make_run()
    run.best_checkpoint.unlink()
    with pytest.raises(InputError, match=r"best.pt: no such checkpoint"):
        evaluate_command(Options(path=run.path))


def test_clips_that_were_trained_on_are_warned_of(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    path = run.recipe.data.annotations / "train.json"
    rows = [*json.loads(path.read_text()), {"id": "v003", "template": CLASSES[3]}]
    path.write_text(json.dumps(rows))
    evaluate_command(Options(path=run.path))
    assert (
        "1 of 14 clips of split 'validation' are training clips as well (first v003)"
        in capsys.readouterr().err
    )
    evaluate_command(Options(path=run.path, split="train"))
    assert "13 of 13 clips of split 'train' are training clips" in capsys.readouterr().err


def test_an_evaluation_with_other_settings_is_replaced_with_a_word(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    for _ in range(2):
        evaluate_command(Options(path=run.path))
    assert "in the place of" not in capsys.readouterr().out
    evaluate_command(Options(path=run.path, views=1))
    assert "an evaluation made otherwise: views a clip 2, now 1\n" in capsys.readouterr().out
    other = Path(shutil.copytree(run.recipe.data.annotations, tmp_path / "other"))
    rows = json.loads((other / "validation.json").read_text())
    (other / "validation.json").write_text(json.dumps(rows[1:]))
    evaluate_command(Options(path=run.path, views=1, annotations=other))
    assert "clips asked for 14, now 13; other clips or labels\n" in capsys.readouterr().out


def test_they_are_those_of_the_run_whatever_annotations_are_scored(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    other = Path(shutil.copytree(run.recipe.data.annotations, tmp_path / "other"))
    rows = {split: (other / f"{split}.json").read_text() for split in ("train", "validation")}
    (other / "train.json").write_text(rows["validation"])
    (other / "validation.json").write_text(rows["train"])
    evaluate_command(Options(path=run.path, annotations=other))
    assert "12 of 12 clips of split 'validation' are training clips" in capsys.readouterr().err


def test_temperature_is_fitted_on_the_held_out_clips(make_run: MakeRun, store: FeatureStore) -> None:
    run = make_run()
    loaded = load_checkpoint(run.best_checkpoint)
    table = read_annotations(run.recipe.data.annotations, "validation")
    held = read_annotations(run.recipe.data.annotations, "train")
    wrong = replace(held, labels=(held.labels + 1) % 4)

    def calibration(held_out: ClipTable | None) -> Any:
        return protocol.evaluate(loaded, store, table, held_out=held_out).record["calibration"]

    plain, fitted, shuffled = calibration(None), calibration(held), calibration(wrong)
    assert plain["temperature"] is None
    assert fitted["temperature"] != shuffled["temperature"]
    assert fitted["expected_error"] == plain["expected_error"]
    assert "with_temperature" in fitted


def test_one_view_or_both(make_run: MakeRun, store: FeatureStore) -> None:
    run = make_run()
    loaded = load_checkpoint(run.best_checkpoint)
    table = read_annotations(run.recipe.data.annotations, "validation")
    both = protocol.evaluate(loaded, store, table)
    one = protocol.evaluate(loaded, store, table, settings=protocol.Settings(num_views=1))
    assert (both.record["num_views"], one.record["num_views"]) == (2, 1)
    assert both.record["num_scored"] == one.record["num_scored"] == 12
    assert not np.allclose(both.predictions.probabilities, one.predictions.probabilities)
    for wrong, message in ((0, "at least one view"), (3, r"holds 2 view\(s\) of each clip, so 3 cannot")):
        with pytest.raises(InputError, match=message):
            protocol.evaluate(loaded, store, table, settings=protocol.Settings(num_views=wrong))
