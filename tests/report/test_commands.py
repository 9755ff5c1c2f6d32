"""`compare` and `report` on evaluated runs."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gasm_cast import cli
from gasm_cast.predictions import read_predictions
from gasm_cast.report import read_groups

from .conftest import MakeRun


def test_compare_writes_the_differences_and_the_clips_behind_them(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = make_run("ours"), make_run("linear", kind="linear", skill=1.0)
    out = tmp_path / "out"
    assert cli.main(["compare", str(ours), str(theirs), "--out", str(out), "--num-clips", "2"]) == 0
    record = json.loads((out / "differences.json").read_text())[0]
    right = [
        read_predictions(run / "evaluation/validation/predictions.parquet").correct for run in (ours, theirs)
    ]
    assert record["difference"] == pytest.approx(right[0].mean() - right[1].mean())
    assert (record["a"], record["b"], record["num_clips"]) == ("gasm-cast", "linear", 60)
    assert record["num_only_a"] == (right[0] & ~right[1]).sum()
    with open(out / "clips.csv", newline="") as file:
        clips = list(csv.DictReader(file))
    assert len(clips) == (right[0] != right[1]).sum()
    written = {path.name for path in out.iterdir()}
    assert written == {f"differences.{kind}" for kind in ("md", "csv", "tex", "json")} | {
        "clips.csv",
        "report.html",
    }
    assert f"{100 * record['difference']:+.1f}" in capsys.readouterr().out


def test_runs_that_differ_in_their_seed_are_one_model(make_run: MakeRun, tmp_path: Path) -> None:
    paths = [make_run(f"ours-{seed}", seed=seed) for seed in range(3)]
    paths.append(make_run("linear", kind="linear", skill=1.0))
    groups = read_groups(paths)
    assert {name: [run.name for run in runs] for name, runs in groups.items()} == {
        "gasm-cast": ["gasm-cast, seed 0", "gasm-cast, seed 1", "gasm-cast, seed 2"],
        "linear": ["linear"],
    }
    numbers = tmp_path / "differences.json"
    assert cli.main(["compare", *map(str, paths), "--json", str(numbers)]) == 0
    record = json.loads(numbers.read_text())[0]
    assert (record["num_seeds_a"], record["num_seeds_b"]) == (3, 1)
    accuracies = [run.metrics["top1"]["value"] for run in groups["gasm-cast"]]
    assert record["accuracy_a"] == pytest.approx(np.mean(accuracies))


def test_runs_that_were_scored_on_other_views_are_compared_with_a_warning(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = make_run("ours"), make_run("linear", kind="linear", skill=1.0)
    assert cli.main(["compare", str(ours), str(theirs)]) == 0
    assert "warning" not in capsys.readouterr().err
    metrics = ours / "evaluation" / "validation" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"num_views": 6}))
    assert cli.main(["compare", str(ours), str(theirs)]) == 0
    assert "warning: runs were scored on 1 and 6 views of each clip" in capsys.readouterr().err


def test_one_recipe_alone_cannot_be_compared(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    paths = [str(make_run(f"ours-{seed}", seed=seed)) for seed in range(2)]
    assert cli.main(["compare", *paths, "--out", str(tmp_path / "out")]) == 2
    assert "differ in more than the seed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_named_twice_counts_once(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run("ours")
    (runs,) = read_groups([run, run / ".." / "ours"]).values()
    assert len(runs) == 1
    assert cli.main(["compare", str(run), str(run)]) == 2
    assert "these are all of one" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["report", "compare", "paper"])
def test_a_call_without_runs_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--out", str(tmp_path / "out")]) == 2
    assert "name one run folder or more" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_report_lies_in_the_run_unless_told_otherwise(make_run: MakeRun, tmp_path: Path) -> None:
    ours, theirs = make_run("ours"), make_run("linear", kind="linear", skill=1.0)
    assert cli.main(["report", str(ours)]) == 0
    assert "Paired differences" not in (ours / "report.html").read_text()
    assert cli.main(["report", str(ours), str(theirs), "--out", str(tmp_path / "both.html")]) == 0
    assert "Paired differences" in (tmp_path / "both.html").read_text()


def test_a_pdf_needs_a_browser(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run("ours")
    monkeypatch.setenv("PATH", "")
    assert cli.main(["report", str(run), "--pdf"]) == 2
    assert "no Chromium or Chrome on this machine" in capsys.readouterr().err
    assert not (run / "report.pdf").exists()
