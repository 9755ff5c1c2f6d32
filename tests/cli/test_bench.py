import json
from functools import partial
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from gasm_cast.cli import main
from gasm_cast.evaluation import growth
from gasm_cast.geometry import Grid

SMALL = ["--grids", "1x3x3", "2x3x3", "--batch-sizes", "2", "1", "--semantic-width", "24"]
SMALL += ["--motion-width", "16", "--num-steps", "1", "--device", "cpu", "--no-peak"]
KEYS = {"name", "value", "unit", "target", "met", "peer"}


def test_the_picture_has_the_panels_and_the_models_that_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []

    def keep(figure: Figure, path: Path, **options: object) -> None:
        drawn.append(figure)
        path.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    written = ["--no-growth", "--out", str(tmp_path / "out")]
    assert main(["bench", "model", *SMALL, "--models", "linear", "gasm-cast", *written]) == 0
    (axes,) = drawn[0].axes
    assert [line.get_label() for line in axes.lines] == ["linear", "gasm-cast"]


def test_models_are_measured_judged_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = partial(
        growth.measure_growth, grids=[Grid(frames, 14, 14) for frames in (1, 4, 8)], dense_up_to=196
    )
    monkeypatch.setattr(growth, "measure_growth", toy)
    models = ["--models", "linear", "gasm-cast", "cross-attention"]
    written = ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "bench.json")]
    assert main(["bench", "model", *SMALL, *models, *written]) == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.count("| cross-attention |") == 2
    assert "**2x3x3, 1 clip(s) a step**" in table
    assert "slope of log time over log nodes" in table
    printed = capsys.readouterr().out
    assert all(section.strip() in printed for section in table.split("\n\n"))
    assert (tmp_path / "out" / "costs.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((tmp_path / "bench.json").read_text())
    assert all(set(row) == KEYS for row in rows)
    assert (
        next(r["value"] for r in rows if r["name"] == "linear, 2x3x3, flops") == 2 * (2 * 24 + 8 * 16) * 174
    )
    (slope,) = [row for row in rows if row["met"] is not None]
    assert slope["met"] == (slope["value"] <= slope["target"])


def test_a_claim_is_decided_on_the_grid_that_it_speaks_of(tmp_path: Path) -> None:
    arguments = ["--grids", "1x14x14", "--batch-sizes", "1", "--num-steps", "1", "--device", "cpu"]
    arguments += ["--models", "gasm-cast, no graph", "cross-attention", "--no-peak", "--no-growth"]
    assert main(["bench", "model", *arguments, "--json", str(tmp_path / "bench.json")]) == 0
    rows = json.loads((tmp_path / "bench.json").read_text())
    (claim,) = [row for row in rows if row["target"] is not None]
    assert claim["name"] == "operations, fusion part: gasm-cast, no graph"
    assert claim["peer"] == "cross-attention"
    assert claim["met"] is True  # operations are counted, so that no clock has a say


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "lineal"], "no row is called 'lineal'; there are: gasm-cast; "),
        (["--grids", "1xa", "2x3x3"], "--grids: got '1xa'"),
        (["--grids", "1x0x3", "2x3x3"], "--grids: got '1x0x3'"),
        (["--batch-sizes", "2"], "2 grids need as many --batch-sizes, got 1"),
        (["--batch-sizes", "2", "0"], "--batch-sizes must be positive"),
        (["--num-steps", "0"], "--num-steps must be positive"),
        (["--semantic-width", "-1"], "--semantic-width must be positive"),
        (["--device", "cuda"], "no device cuda: torch sees no GPU"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "model", *SMALL, *arguments, "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
