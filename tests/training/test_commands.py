"""The commands around training: flags, dry run, resuming, lists and pictures of runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gasm_cast.cli import main
from gasm_cast.config import Recipe, config_hash, read_recipe, to_toml
from gasm_cast.runs import Run


@pytest.fixture
def file(recipe: Recipe, tmp_path: Path) -> Path:
    """A recipe on disk of a fast model."""
    head = replace(recipe.model.head, coarse_layers=0)
    recipe = replace(recipe, model=replace(recipe.model, kind="linear", head=head))
    path = tmp_path / "small.toml"
    path.write_text(to_toml(recipe))
    return path


def test_flags_override_the_recipe_and_the_run_holds_what_was_used(file: Path, tmp_path: Path) -> None:
    report = tmp_path / "result.json"
    flags = ["--training.num-epochs", "2", "--training.learning_rate=0.005", "--seed", "4"]
    assert main(["train", str(file), "--out", str(tmp_path / "run"), *flags, "--json", str(report)]) == 0
    run = Run.open(tmp_path / "run")
    recipe = read_recipe(file)
    training = replace(recipe.training, num_epochs=2, learning_rate=0.005, seed=4)
    assert run.recipe == replace(recipe, training=training)
    result = json.loads(report.read_text())
    assert result["recipe_hash"] == config_hash(run.recipe)
    assert result["num_epochs"] == 2
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000


def test_a_run_s_own_recipe_repeats_it(file: Path, tmp_path: Path) -> None:
    assert main(["train", str(file), "--out", str(tmp_path / "a"), "--training.num-epochs", "1"]) == 0
    assert main(["train", str(tmp_path / "a" / "config.toml"), "--out", str(tmp_path / "b")]) == 0
    losses = [[step["loss"] for step in Run.open(tmp_path / name).events("step")] for name in "ab"]
    assert losses[0] == losses[1]


def test_a_run_is_taken_up_and_evaluated_from_another_directory_and_after_a_move(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = read_recipe(file).data
    shutil.copytree(data.annotations.parent, tmp_path / "work" / "data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    flags = ["--store", "data/store", "--annotations", "data/annotations", "--training.num-epochs", "1"]
    assert main(["train", str(file), "--out", "run", *flags]) == 0
    shutil.move("run", tmp_path / "moved")

    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["train", "../moved/config.toml", "--out", "../moved"]) == 0
    assert main(["evaluate", "../moved"]) == 0
    shutil.move(tmp_path / "work" / "data", tmp_path / "data")
    assert main(["evaluate", "../moved"]) == 2
    assert "data/annotations: not here; say with --annotations where" in capsys.readouterr().err
    assert main(["train", "../moved/config.toml", "--annotations", "../data/annotations"]) == 2
    assert "data/store: not here; say with --store where it lies" in capsys.readouterr().err


def test_clips_in_both_splits_are_refused_and_one_split_for_both_is_warned_of(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = Path(shutil.copytree(read_recipe(file).data.annotations, tmp_path / "annotations"))
    rows = json.loads((annotations / "train.json").read_text())
    (annotations / "validation.json").write_text(json.dumps(rows[5:7]))
    command = ["train", str(file), "--out", str(tmp_path / "run"), "--annotations", str(annotations)]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"2 of 2 clips of split 'validation' are training clips as well, first {rows[5]['id']}" in said
    assert not (tmp_path / "run").exists()
    flags = ["--data.validation-split", "train", "--training.num-epochs", "1"]
    assert main([*command, *flags]) == 0
    assert "warning: split 'train' is trained on and reported" in capsys.readouterr().out


def test_default_folder_is_the_recipe_s_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(file), "--training.num-epochs", "1"]) == 0
    assert (tmp_path / "runs" / "small" / "checkpoints" / "best.pt").exists()


def test_dry_run_shows_everything_and_writes_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(file), "--out", str(tmp_path / "run"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    for expected in (
        f"# recipe {config_hash(read_recipe(file))}",
        "num_epochs = 3",
        "56 clips, 2 view(s), semantic 1x4x4 x 12, motion 4x1x1 x 8",
        "42 to learn from, 0 held out, 14 to validate",
        "parameters",
        "effective batch 8, peak learning rate 0.01",
        "one batch  semantic [7, 16, 12], motion [7, 4, 8]",
    ):
        assert expected in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--training.patience", "2"], "needs data.held_out > 0"),
        (["--store", "nowhere"], "nowhere: not here; say with --store where it lies; `gasm-cast extract`"),
        (["--data.train-split", "learn"], "no split 'learn'"),
        (["--model.semantic-pool", "3"], "a pool of 3 must divide"),
        (["--training.device", "cuda"], "sees no GPU"),
        (["--training.tracker", "wandb"], "pip install wandb"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(["train", str(file), "--out", str(tmp_path / "run"), *flags]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


def test_the_mended_command_takes_the_folder_of_the_one_that_failed(file: Path, tmp_path: Path) -> None:
    command = ["train", str(file), "--out", str(tmp_path / "run"), "--training.num-epochs", "1"]
    assert main([*command, "--data.validation-split", "valid"]) == 2
    assert main(command) == 0


def test_unknown_flags_are_answered_with_close_ones(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", str(file), "--training.learn-rate", "1"])
    assert stop.value.code == 2
    assert "--training.learning-rate" in capsys.readouterr().err


def test_another_recipe_in_the_same_folder_is_refused(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(file), "--out", str(tmp_path / "run"), "--training.num-epochs"]
    assert main([*command, "1"]) == 0
    assert main([*command, "2"]) == 2
    assert "another recipe" in capsys.readouterr().err


def test_tensorboard_gets_the_curves(file: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]

    flags = ["--training.tracker", "tensorboard", "--model.kind", "gasm-cast", "--training.num-epochs", "1"]
    assert main(["train", str(file), "--out", str(tmp_path / "run"), *flags]) == 0
    events = event_accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    assert {"train/loss", "train/grad_norm", "train/wait_share", "epoch/validation_top1"} <= names
    assert {"epoch/validation_layer_1", "gain/semantic_graphs.0/head_0"} <= names
    losses = [step["loss"] for step in Run.open(tmp_path / "run").events("step")]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses)


def test_runs_are_listed_compared_and_drawn(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    for name, rate in (("slow", "0.001"), ("fast", "0.02")):
        flags = ["--training.learning-rate", rate, "--training.num-epochs", "2", "--data.held-out", "0.2"]
        assert main(["train", str(file), "--out", str(runs / name), *flags]) == 0
    (runs / "old").mkdir()
    (runs / "old" / "config.toml").write_text("[training]\nunheard_of = 1\n")
    capsys.readouterr()

    assert main(["runs", "list", str(runs), "--json", str(tmp_path / "list.json")]) == 0
    said = capsys.readouterr()
    assert "passed over" in said.err
    assert "finished" in said.out
    listed = {Path(row["run"]).name: row for row in json.loads((tmp_path / "list.json").read_text())}
    assert listed.keys() == {"slow", "fast"}
    for name, row in listed.items():
        run = Run.open(runs / name)
        assert row["recipe_hash"] == config_hash(run.recipe)
        assert (row["epochs"], row["state"]) == ("2/2", "finished")
        best = [epoch for epoch in run.events("epoch") if epoch["is_best"]][-1]
        assert row["held_out_top1"] == best["held_out_top1"]

    paths = [str(runs / name) for name in listed]
    assert main(["runs", "compare", *paths, "--json", str(tmp_path / "compare.json")]) == 0
    assert "training.learning_rate" in capsys.readouterr().out
    compared = json.loads((tmp_path / "compare.json").read_text())
    assert [set(row["differs"]) for row in compared] == [{"training.learning_rate"}] * 2

    assert main(["runs", "curves", *paths, "--out", str(tmp_path / "curves.png")]) == 0
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert main(["runs", "curves", str(tmp_path)]) == 2
