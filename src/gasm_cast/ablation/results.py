"""What a study found: each variant against the base, on the same clips, over all seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gasm_cast.ablation.study import BASE, Study
from gasm_cast.evaluation.comparison import Side, compare
from gasm_cast.evaluation.intervals import holm
from gasm_cast.files import write_text
from gasm_cast.report import RunSummary, figures, read_run, style, tables
from gasm_cast.report.tables import Column, Table, Value


@dataclass(frozen=True)
class Row:
    """One variant's result."""

    name: str
    group: str
    recipe_hash: str
    """Hash of its recipe without the seed; the hash of each run lies in its folder."""
    runs: tuple[str, ...]
    """Folders of its finished runs, from the study's folder."""
    seeds: tuple[int, ...]
    """Their seeds."""
    accuracies: tuple[float, ...]
    """Their top-1 accuracies."""
    num_parameters: int | None
    train_sec: float
    """Mean time that training took, on however many cores the runs shared."""
    comparison: dict[str, Any] | None
    """Against the base, as `evaluation.comparison` records it; None for the base itself."""
    corrected_p: float | None = None
    """Its p-value after Holm's correction for all variants of the study."""

    @property
    def mean(self) -> float:
        """Mean accuracy over seeds."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None for a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None


def collect(study: Study, runs: Mapping[str, Sequence[Path]]) -> list[Row]:
    """Compare every variant that has a finished run with the base, in the order of the study.

    Args:
        study: The whole study.
        runs: Run folders of each variant, as `finished_runs` finds them.

    Raises:
        InputError: if runs cannot be compared.
    """
    finished: dict[str, list[RunSummary]] = {
        name: sorted(map(read_run, paths), key=lambda run: run.recipe.training.seed)
        for name, paths in runs.items()
    }
    sides = {name: Side(name, tuple(run.predictions for run in runs)) for name, runs in finished.items()}
    comparisons = {
        name: compare(side, sides[BASE]).record
        for name, side in sides.items()
        if name != BASE and BASE in sides
    }
    corrected = dict(zip(comparisons, holm([c["p_value"] for c in comparisons.values()]), strict=True))
    return [
        Row(
            name=variant.name,
            group=variant.group,
            recipe_hash=of_variant[0].seedless_hash,
            runs=tuple(f"{run.path.parent.name}/{run.path.name}" for run in of_variant),
            seeds=tuple(run.recipe.training.seed for run in of_variant),
            accuracies=tuple(run.metrics["top1"]["value"] for run in of_variant),
            num_parameters=of_variant[0].num_parameters,
            train_sec=float(np.mean([sum(epoch["train_sec"] for epoch in run.epochs) for run in of_variant])),
            comparison=comparisons.get(variant.name),
            corrected_p=corrected.get(variant.name),
        )
        for variant in study.variants
        if (of_variant := finished.get(variant.name))
    ]


def result_table(rows: Sequence[Row]) -> Table:
    """The rows as a table; differences are to the base, in points."""
    counts = [len(row.seeds) for row in rows] or [0]
    low, high = min(counts), max(counts)
    seeds = f"{high} seed{'s' * (high != 1)}" if low == high else f"{low} to {high} seeds"
    caption = f"Variants of the base recipe, {seeds}, compared on the same clips"
    columns = (
        Column("Group"),
        Column("Variant"),
        Column("Recipe", "code"),
        Column("Seeds", "count"),
        Column("Params (M)", "number"),
        Column("Top-1", "percent"),
        Column("Std", "percent"),
        Column("Difference", "points"),
        Column("95% interval", "points-interval"),
        Column("p", "p-value"),
        Column("p (Holm)", "p-value"),
    )
    return Table(caption, columns, tuple(map(_cells, rows)))


def _cells(row: Row) -> tuple[Value, ...]:
    cells: tuple[Value, ...] = (
        row.group,
        row.name,
        row.recipe_hash,
        len(row.seeds),
        None if row.num_parameters is None else row.num_parameters / 1e6,
        row.mean,
        row.deviation,
    )
    if row.comparison is None:
        return (*cells, None, None, None, None)
    low, high = row.comparison["interval"]
    return (*cells, row.comparison["difference"], (low, high), row.comparison["p_value"], row.corrected_p)


def plot(rows: Sequence[Row]) -> Figure:
    """Difference of every variant to the base with its interval, rows of a group together."""
    compared = [(row, row.comparison) for row in rows if row.comparison is not None]
    return figures.forest(
        [row.name for row, _ in compared],
        [100 * against["difference"] for _, against in compared],
        [(100 * against["interval"][0], 100 * against["interval"][1]) for _, against in compared],
        "difference to the base, points of top-1 accuracy",
        groups=[row.group for row, _ in compared],
        reference=0.0,
    )


def write(rows: Sequence[Row], out: Path) -> Table:
    """Write ablation.{json,md,csv,tex} and ablation.{pdf,png} into the study's folder.

    Raises:
        InputError: if they cannot be written.
    """
    table = result_table(rows)
    record = [{**vars(row), "mean": row.mean, "deviation": row.deviation} for row in rows]
    write_text(out / "ablation.json", json.dumps(record, indent=1) + "\n")
    write_text(out / "ablation.md", tables.to_markdown(table))
    write_text(out / "ablation.csv", tables.to_csv(table))
    narrow = table.without("Recipe", "Seeds", "p")  # what a page is wide enough for
    latex = tables.to_latex(narrow, "tab:ablation", size="footnotesize", grouped=True)
    write_text(out / "ablation.tex", latex)
    if any(row.comparison is not None for row in rows):
        figure = plot(rows)
        for suffix in ("pdf", "png"):
            style.save(figure, out / f"ablation.{suffix}")
    return table
