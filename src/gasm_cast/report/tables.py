"""Tables of results, once as data and then as Markdown, CSV or LaTeX.

A cell holds the raw value and its column says how it is written, so that a CSV keeps
every digit of what a page rounds.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Value = str | int | float | tuple[float, float] | None

Kind = Literal[
    "text",
    "code",
    "citation",
    "percent",
    "percent-interval",
    "points",
    "points-interval",
    "count",
    "number",
    "p-value",
]


@dataclass(frozen=True)
class Column:
    """Heading of a column, and how its values are written.

    `percent` takes a share in [0, 1] and writes 71.2; `points` a difference of shares and
    writes it with its sign; the intervals are pairs of those; `count` groups thousands;
    `number` keeps three significant digits; `p-value` three decimals; `citation` is the key of
    a reference, which a comma and a place in it may follow.
    """

    title: str
    kind: Kind = "text"
    best: Literal["max", "min"] | None = None
    """Whether the largest or the smallest value of the column is set in bold."""

    @property
    def is_text(self) -> bool:
        """Whether it holds words, which stand to the left, and not numbers."""
        return self.kind in ("text", "code", "citation")


@dataclass(frozen=True)
class Table:
    """A captioned table."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"a row of {len(row)} cells in a table of {len(self.columns)} columns: {row}"
                )

    def without(self, *titles: str) -> Table:
        """The table without the columns of these titles."""
        kept = [c for c, column in enumerate(self.columns) if column.title not in titles]
        return replace(
            self,
            columns=tuple(self.columns[c] for c in kept),
            rows=tuple(tuple(row[c] for c in kept) for row in self.rows),
        )

    def without_empty(self) -> Table:
        """The table without the columns that have no value in any row."""
        titles = [column.title for column in self.columns]
        values = dict(zip(titles, zip(*self.rows, strict=True), strict=True))
        return self.without(*(title for title in titles if all(value is None for value in values[title])))

    def best_rows(self, column: int) -> frozenset[int]:
        """Rows whose value in the column is written as the best one; none if all rows are."""
        wanted = self.columns[column].best
        values = [row[column] for row in self.rows]
        numbers = {index: value for index, value in enumerate(values) if isinstance(value, int | float)}
        texts = {index: self.text(index, column) for index in numbers}
        if wanted is None or len(set(texts.values())) < 2:
            return frozenset()
        best = (max if wanted == "max" else min)(numbers, key=lambda index: numbers[index])
        return frozenset(index for index, text in texts.items() if text == texts[best])

    def text(self, row: int, column: int) -> str:
        """A cell as people read it; an en dash stands for no value."""
        return write_value(self.rows[row][column], self.columns[column].kind)


def write_value(value: Value, kind: Kind) -> str:
    """A value as its kind is written; an en dash stands for no value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, tuple):
        signed = kind == "points-interval"
        low, high = (f"{100 * end:+.1f}" if signed else f"{100 * end:.1f}" for end in value)
        return f"{low} to {high}".replace("-", "−")
    if isinstance(value, str):
        return value
    match kind:
        case "percent":
            return f"{100 * value:.1f}"
        case "points":
            return f"{100 * value:+.1f}".replace("-", "−")
        case "count":
            return f"{value:,.0f}"
        case "number":
            return f"{value:.3g}"
        case "p-value":
            return "<0.001" if value < 0.001 else f"{value:.3f}"
        case _:
            return str(value)


def to_markdown(table: Table) -> str:
    """The table in GitHub's Markdown, aligned for a terminal too; best values bold."""

    def cell(row: int, column: int) -> str:
        text = table.text(row, column).replace("|", "\\|")
        if table.columns[column].kind == "code":
            text = f"`{text}`"
        return f"**{text}**" if row in table.best_rows(column) else text

    columns = range(len(table.columns))
    grid = [[column.title for column in table.columns]]
    grid += [[cell(row, column) for column in columns] for row in range(len(table.rows))]
    widths = [max(3, *(len(line[column]) for line in grid)) for column in columns]
    is_text = [column.is_text for column in table.columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            text.ljust(width) if left else text.rjust(width)
            for text, width, left in zip(cells, widths, is_text, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = [
        "-" * width if left else "-" * (width - 1) + ":" for width, left in zip(widths, is_text, strict=True)
    ]
    return "\n".join([line(grid[0]), line(rule), *map(line, grid[1:])]) + "\n"


def to_csv(table: Table) -> str:
    """The raw values; an interval becomes two columns, no value an empty field."""
    heading: list[str] = []
    for column in table.columns:
        interval = column.kind.endswith("-interval")
        heading += [f"{column.title} low", f"{column.title} high"] if interval else [column.title]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(heading)
    for row in table.rows:
        fields: list[Value] = []
        for value, column in zip(row, table.columns, strict=True):
            if column.kind.endswith("-interval"):
                fields += value if isinstance(value, tuple) else (None, None)
            else:
                fields.append(value)
        writer.writerow(fields)
    return buffer.getvalue()


def to_latex(
    table: Table,
    label: str,
    *,
    size: Literal["small", "footnotesize"] = "small",
    grouped: bool = False,
) -> str:
    """The table as a LaTeX float; it needs the packages booktabs and graphicx.

    A table that is wider than the page is scaled to it: better small than cut off.

    Args:
        table: The table.
        label: What references call it.
        size: Size of its letters.
        grouped: The first column is the group of its row; it becomes a line above the rows of
            each group, which must stand together.
    """

    def cell(row: int, column: int) -> str:
        kind = table.columns[column].kind
        if kind == "citation":
            key, _, place = table.text(row, column).partition(", ")
            return rf"\cite[{escape_latex(place)}]{{{key}}}" if place else rf"\cite{{{key}}}"
        text = escape_latex(table.text(row, column))
        if kind == "code":
            text = rf"\texttt{{{text}}}"
        return rf"\textbf{{{text}}}" if row in table.best_rows(column) else text

    columns = range(1 if grouped else 0, len(table.columns))
    alignment = "".join("l" if table.columns[column].is_text else "r" for column in columns)
    body = []
    for row in range(len(table.rows)):
        group = table.rows[row][0]
        if grouped and row > 0 and group != table.rows[row - 1][0]:
            heading = rf"\emph{{{escape_latex(table.text(row, 0))}}}"
            body += [r"\addlinespace", rf"\multicolumn{{{len(columns)}}}{{l}}{{{heading}}} \\"]
        indent = r"\quad " if grouped and group else ""
        body.append(indent + " & ".join(cell(row, column) for column in columns) + r" \\")
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\{size}",
            rf"\caption{{{escape_latex(table.caption)}}}",
            rf"\label{{{label}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(escape_latex(table.columns[column].title) for column in columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    "†": r"\textdagger{}",
}


def escape_latex(text: str) -> str:
    """Text in which every character stands for itself."""
    return "".join(_LATEX.get(character, character) for character in text)
