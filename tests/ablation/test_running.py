"""A study trains each run once, survives interruption and divergence, and tells what it found."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gasm_cast import cli
from gasm_cast.ablation.running import sweep_best
from gasm_cast.ablation.study import read_study
from gasm_cast.config import config_hash, read_recipe
from gasm_cast.predictions import read_predictions


def correct(out: Path, variant: str, seed: int) -> np.ndarray:
    path = out / variant / f"seed-{seed}" / "evaluation" / "validation" / "predictions.parquet"
    return np.asarray(read_predictions(path).correct)


@pytest.mark.slow
def test_a_study_from_file_to_tables(study_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diverging = '\n[[variants]]\nname = "diverging"\nset = { "training.learning_rate" = 1e38 }\n'
    study_file.write_text(study_file.read_text() + diverging)
    out = study_file.parent / "out"
    arguments = ["ablate", str(study_file), "--out", str(out), "--jobs", "2"]
    assert cli.main(arguments) == 1  # one variant diverged, the others are there
    assert "diverging, seed 0: failed" in capsys.readouterr().out

    rows = json.loads((out / "ablation.json").read_text())
    assert [row["name"] for row in rows] == ["base", "no graph", "linear"]
    base, no_graph, _ = rows
    for seed in (0, 1):
        assert no_graph["accuracies"][seed] == correct(out, "no-graph", seed).mean()
    difference = np.mean(
        [correct(out, "no-graph", s).mean() - correct(out, "base", s).mean() for s in (0, 1)]
    )
    assert no_graph["comparison"]["difference"] == pytest.approx(difference)
    assert base["comparison"] is None
    with open(out / "ablation.csv", newline="") as file:
        table = list(csv.DictReader(file))
    # The row's hash is that of the recipe in its folders, whose first seed is 0.
    assert [row["Recipe"] for row in table] == [
        config_hash(read_recipe(out / name / "seed-0" / "config.toml"))
        for name in ("base", "no-graph", "linear")
    ]
    assert {path.suffix for path in out.glob("ablation.*")} == {
        ".json",
        ".md",
        ".csv",
        ".tex",
        ".pdf",
        ".png",
    }

    checkpoints = {path: path.stat().st_mtime_ns for path in out.glob("*/seed-*/checkpoints/best.pt")}
    assert cli.main([*arguments, "--only", "no graph"]) == 0
    assert len(checkpoints) == 6
    assert {path: path.stat().st_mtime_ns for path in checkpoints} == checkpoints


@pytest.mark.slow
def test_an_interrupted_study_goes_on(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("num_epochs = 2", "num_epochs = 30"))
    out = study_file.parent / "out"
    command = [sys.executable, "-m", "gasm_cast", "ablate", str(study_file), "--out", str(out), "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    last = out / "base" / "seed-0" / "checkpoints" / "last.pt"
    deadline = time.monotonic() + 120
    while not last.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert errors.strip().splitlines()[-1] == "gasm-cast ablate: interrupted"
    assert not (out / "base" / "seed-0" / "evaluation").exists()

    assert (
        cli.main(
            ["ablate", str(study_file), "--out", str(out), "--jobs", "2", "--only", "linear", "--seeds", "0"]
        )
        == 0
    )
    steps = [
        json.loads(line) for line in (out / "base" / "seed-0" / "metrics.jsonl").read_text().splitlines()
    ]
    starts = [line["step"] for line in steps if line["event"] == "start"]
    assert len(starts) == 2
    assert starts[0] == 0 < starts[1]  # taken up where it stood


def test_a_search_chooses_among_the_grid_and_learns_from_all_clips_afterwards(study_file: Path) -> None:
    base = read_study(study_file).variants[0].recipe
    chosen = sweep_best(base, ["training.learning_rate=1e-7,1e-2"], study_file.parent / "search")
    assert chosen.training.learning_rate == 1e-2  # the other one learns nothing in two epochs
    assert chosen.data.held_out == base.data.held_out == 0
    assert chosen.model == base.model


@pytest.mark.slow
def test_the_table_holds_all_finished_runs_and_changed_variants_are_refused_first(
    study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_file.write_text(study_file.read_text().replace("num_epochs = 2", "num_epochs = 1"))
    out = study_file.parent / "out"
    arguments = ["ablate", str(study_file), "--out", str(out), "--jobs", "1"]
    assert cli.main([*arguments, "--only", "no graph"]) == 0
    assert cli.main([*arguments, "--only", "linear", "--seeds", "5"]) == 0
    rows = json.loads((out / "ablation.json").read_text())
    assert {row["name"]: row["seeds"] for row in rows} == {
        "base": [0, 1, 5],
        "no graph": [0, 1],
        "linear": [5],
    }
    assert "1 to 3 seeds" in (out / "ablation.tex").read_text()

    changed = study_file.read_text().replace('"model.kind" = "linear"', '"model.kind" = "concat-mlp"')
    study_file.write_text(changed)
    capsys.readouterr()
    assert cli.main([*arguments, "--seeds", "5"]) == 2
    assert f"{out / 'linear' / 'seed-5'} holds a run of another recipe" in capsys.readouterr().err
    assert not (out / "no-graph" / "seed-5").exists()  # whose turn would have come before
    assert cli.main([*arguments, "--only", "no graph"]) == 0
    assert "of another recipe than the study's 'linear'" in capsys.readouterr().out
    assert [row["name"] for row in json.loads((out / "ablation.json").read_text())] == ["base", "no graph"]


def test_missing_features_stop_a_study_before_it_starts(
    study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_file.write_text(
        study_file.read_text() + '\n[[variants]]\nname = "all frames"\nset = { "data.store" = "gone" }\n'
    )
    out = study_file.parent / "out"
    assert cli.main(["ablate", str(study_file), "--out", str(out)]) == 2
    assert "gone is not a feature store" in capsys.readouterr().err
    assert not out.exists()


def test_a_dry_run_lists_the_runs(study_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = study_file.parent / "out"
    assert cli.main(["ablate", str(study_file), "--out", str(out), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line.split()[0]).relative_to(out).as_posix() for line in lines] == [
        f"{name}/seed-{seed}" for seed in (0, 1) for name in ("base", "no-graph", "linear")
    ]
    assert not out.exists()
