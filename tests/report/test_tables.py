"""Tables keep every digit as data and say the same thing in each form."""

import csv
import io
import re

import pytest

from gasm_cast.report import tables
from gasm_cast.report.tables import Column, Table

TABLE = Table(
    "Accuracy & cost",
    (
        Column("Model"),
        Column("Recipe", "code"),
        Column("Top-1", "percent", best="max"),
        Column("Interval", "percent-interval"),
        Column("Difference", "points"),
        Column("Parameters", "count", best="min"),
    ),
    (
        ("gasm_cast", "ab_1", 0.71234, (0.68, 0.74), 0.0321, 6_100_000),
        ("a|b", "cd", 0.71229, (0.6, 0.7), -0.01, 900),
        ("none", "ef", 0.5, None, None, None),
    ),
)


def test_markdown() -> None:
    lines = tables.to_markdown(TABLE).splitlines()
    assert len({len(line) for line in lines}) == 1  # aligned in a terminal as well
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert [rule.endswith(":") for rule in cells[1]] == [False, False, True, True, True, True]
    # 71.2 twice: what reads the same is equally good.
    assert cells[2] == ["gasm_cast", "`ab_1`", "**71.2**", "68.0 to 74.0", "+3.2", "6,100,000"]
    assert cells[3] == ["a\\|b", "`cd`", "**71.2**", "60.0 to 70.0", "−1.0", "**900**"]
    assert cells[4] == ["none", "`ef`", "50.0", "–", "–", "–"]


def test_csv_keeps_every_digit_and_splits_intervals() -> None:
    rows = list(csv.reader(io.StringIO(tables.to_csv(TABLE))))
    assert rows[0][3:5] == ["Interval low", "Interval high"]
    assert rows[1] == ["gasm_cast", "ab_1", "0.71234", "0.68", "0.74", "0.0321", "6100000"]
    assert rows[3] == ["none", "ef", "0.5", "", "", "", ""]


def test_latex_escapes_and_rules() -> None:
    text = tables.to_latex(TABLE, "tab:main")
    assert r"\caption{Accuracy \& cost}" in text
    assert r"gasm\_cast & \texttt{ab\_1} & \textbf{71.2} & 68.0 to 74.0 & +3.2 & 6,100,000 \\" in text
    assert r"$-$1.0" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


def test_latex_writes_a_group_above_its_rows() -> None:
    columns = (Column("Group"), Column("Variant"), Column("Top-1", "percent"))
    rows = (("", "base", 0.7), ("a_b", "one", 0.6), ("a_b", "two", 0.5), ("c", "three", 0.4))
    lines = tables.to_latex(Table("", columns, rows), "tab:x", grouped=True).splitlines()
    assert lines[lines.index(r"\midrule") - 1 : lines.index(r"\bottomrule")] == [
        r"Variant & Top-1 \\",
        r"\midrule",
        r"base & 70.0 \\",
        r"\addlinespace",
        r"\multicolumn{2}{l}{\emph{a\_b}} \\",
        r"\quad one & 60.0 \\",
        r"\quad two & 50.0 \\",
        r"\addlinespace",
        r"\multicolumn{2}{l}{\emph{c}} \\",
        r"\quad three & 40.0 \\",
    ]


def test_nothing_is_best_where_all_read_the_same() -> None:
    table = Table("", (Column("x", "percent", best="max"),), ((0.5,), (0.5001,)))
    assert table.best_rows(0) == frozenset()


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells in a table of 1 columns"):
        Table("", (Column("x"),), (("a", "b"),))
