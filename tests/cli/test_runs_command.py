"""`runs` on folders that hold logs alone."""

import json
from pathlib import Path

import pytest

from gasm_cast.cli import main
from gasm_cast.config import Recipe
from gasm_cast.runs import Run

Captured = pytest.CaptureFixture[str]


def write_run(path: Path, accuracy: float = 0.5) -> str:
    run = Run.create(path, Recipe())
    values = {"epoch": 40, "step": 40, "is_best": True, "train_loss": 1.0, "train_sec": 1.0, "gains": {}}
    run.log("epoch", {**values, "validation_top1": accuracy})
    return str(path)


def test_runs_inside_runs_and_trials_are_listed_when_asked_for(tmp_path: Path, capsys: Captured) -> None:
    write_run(tmp_path / "fit")
    write_run(tmp_path / "fit" / "choice" / "fold-0" / "linear")
    write_run(tmp_path / "tune" / "best")
    write_run(tmp_path / "tune" / "trials" / "0123456789")
    (tmp_path / "tune" / "study.db").touch()

    def listed(*arguments: str) -> set[str]:
        capsys.readouterr()
        assert main(["runs", "list", *arguments]) == 0
        heading, *lines = capsys.readouterr().out.splitlines()
        assert heading.split()[:2] == ["run", "recipe"]
        return {str(Path(line.split()[0]).relative_to(tmp_path)) for line in lines}

    inside = {"fit/choice/fold-0/linear", "tune/trials/0123456789"}
    assert listed(str(tmp_path)) == {"fit", "tune/best"}
    assert listed(str(tmp_path), "--all") == {"fit", "tune/best", *inside}
    assert listed(str(tmp_path / "fit" / "choice")) == {"fit/choice/fold-0/linear"}
    assert listed(str(tmp_path / "tune" / "trials")) == {"tune/trials/0123456789"}


def test_names_are_whole_and_accuracies_are_percentages(tmp_path: Path, capsys: Captured) -> None:
    path = write_run(tmp_path / ("a name that a line of eighty letters has no room for " * 2).strip(), 0.875)
    record = tmp_path / "list.json"
    assert main(["runs", "list", str(tmp_path), "--json", str(record)]) == 0
    said = capsys.readouterr().out
    assert path in said
    assert "87.5%" in said
    assert json.loads(record.read_text())[0]["validation_top1"] == 0.875
    assert main(["runs", "compare", path]) == 0
    said = capsys.readouterr().out
    assert path in said
    assert "87.5%" in said


@pytest.mark.parametrize("command", ["compare", "curves"])
def test_a_call_without_runs_is_refused(command: str, tmp_path: Path, capsys: Captured) -> None:
    out = ["--out", str(tmp_path / "out.png")] if command == "curves" else []
    assert main(["runs", command, *out]) == 2
    assert "name one run folder or more" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["curves.xyz", "curves"])
def test_a_picture_of_no_known_kind_is_refused(name: str, tmp_path: Path, capsys: Captured) -> None:
    run = write_run(tmp_path / "run")
    assert main(["runs", "curves", run, "--out", str(tmp_path / name)]) == 2
    assert "the suffix names no kind of picture" in capsys.readouterr().err
    assert not (tmp_path / name).exists()
