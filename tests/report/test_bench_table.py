"""The paper's efficiency table holds what `bench` measured, and nothing else passes for it."""

import json
from pathlib import Path

import pytest

from gasm_cast import cli
from gasm_cast.errors import InputError
from gasm_cast.report.bench import read_bench

from .conftest import MakeRun


def write(path: Path) -> Path:
    plain = {"unit": "1", "target": None, "met": None, "peer": None}
    rows = [
        {"name": "gasm-cast, stream form, 1x14x14, flops", "value": 2.5e9, **plain},
        {"name": "gasm-cast, stream form, 1x14x14, parameters", "value": 7e6, **plain},
        {"name": "linear, 1x14x14, flops", "value": 1e6, **plain},
        {"name": "operations: gasm-cast", "value": 0.1, **plain, "target": 0.5, "met": True, "peer": "x"},
    ]
    path.write_text(json.dumps(rows))
    return path


def test_rows_are_models_and_columns_what_was_measured(tmp_path: Path) -> None:
    (table,) = read_bench(write(tmp_path / "bench.json")).values()
    assert [column.title for column in table.columns] == ["Model", "Params (M)", "GFLOP a clip"]
    assert table.rows == (
        ("gasm-cast, stream form", 7.0, 2.5),
        ("linear", None, 0.001),
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", '[{"name": "x", "value": 1, "target": null}]'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bench.json").write_text(text)
    with pytest.raises(InputError, match="gasm-cast bench model --json"):
        read_bench(tmp_path / "bench.json")


def test_the_paper_takes_them(make_run: MakeRun, tmp_path: Path) -> None:
    bench, out = write(tmp_path / "bench.json"), tmp_path / "paper"
    assert cli.main(["paper", str(make_run("ours")), "--out", str(out), "--efficiency", str(bench)]) == 0
    assert "gasm-cast, stream form & 7 & 2.5" in (out / "tables" / "efficiency.tex").read_text()
    assert cli.main(["paper", str(tmp_path / "ours"), "--efficiency", str(tmp_path / "none.json")]) == 2
