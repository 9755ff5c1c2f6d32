"""The studies that lie in docs/results agree with themselves."""

import csv
from pathlib import Path

import pytest

STUDIES = sorted((Path(__file__).parents[2] / "docs" / "results" / "mini").glob("*.csv"))
ROUNDING = 1e-9


def test_there_are_studies() -> None:
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_an_interval_holds_zero_where_the_p_value_is_above_five_per_cent(path: Path) -> None:
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["p"]]
    assert rows
    for row in rows:
        low, high = float(row["95% interval low"]), float(row["95% interval high"])
        p, corrected = float(row["p"]), float(row["p (Holm)"])
        at_the_edge = min(abs(low), abs(high)) < ROUNDING or abs(p - 0.05) < ROUNDING
        assert at_the_edge or (low <= 0 <= high) == (p > 0.05), row
        assert low <= float(row["Difference"]) <= high, row
        assert p <= corrected, row
