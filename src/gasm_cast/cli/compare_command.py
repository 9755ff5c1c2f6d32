"""`gasm-cast compare`: paired differences between runs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from gasm_cast.evaluation.comparison import Comparison
    from gasm_cast.report import RunSummary


@dataclass(frozen=True, kw_only=True)
class Options:
    """Paired differences between runs, on the same clips.

    The first run is compared with each of the others. Runs whose recipes differ in the seed
    only, or in what no model depends on such as the tracker, count as one model, trained
    several times. Prints the table; with --out also writes
    it as Markdown, CSV and LaTeX, the clips on which the models differ, and a page that shows
    them.
    """

    paths: Positional[tuple[Path, ...]]
    """Run folders; the first is the model in question."""
    split: str | None = None
    """Split to compare on; the recipe's validation split by default."""
    out: Path | None = None
    """Folder for differences.{md,csv,tex,json}, clips.csv and report.html."""
    num_clips: int = 12
    """Clips that the page shows in each group."""
    json: Path | None = None
    """Write the differences there."""


def run(options: Options) -> int:
    """Compare."""
    from gasm_cast.errors import InputError
    from gasm_cast.files import write_text
    from gasm_cast.report import build, read_groups, tables, views

    groups = read_groups(options.paths, options.split)
    if len(groups) < 2:
        raise InputError(
            "compare needs runs of two recipes that differ in more than the seed; these are all of one"
        )
    comparisons = compare_groups(groups)
    records = [comparison.record for comparison in comparisons]
    table = views.comparisons(records)
    print(tables.to_markdown(table), end="")
    left_out = sum(record["num_left_out"] for record in records)
    if left_out:
        print(f"\n{left_out} clips that only some of the runs scored are left out")
    text = json.dumps(records, indent=2) + "\n"
    if options.json is not None:
        write_text(options.json, text)
    if options.out is not None:
        write_text(options.out / "differences.json", text)
        write_text(options.out / "differences.md", tables.to_markdown(table))
        write_text(options.out / "differences.csv", tables.to_csv(table))
        write_text(options.out / "differences.tex", tables.to_latex(table, "tab:differences"))
        _write_clips(comparisons, options.out / "clips.csv")
        build(groups, options.out / "report.html", comparisons=comparisons, num_clips=options.num_clips)
        print(f"written to {options.out}")
    return 0


def compare_groups(groups: dict[str, list[RunSummary]]) -> list[Comparison]:
    """The first group against each of the others; says where they were not scored alike."""
    from gasm_cast.evaluation.comparison import Side, compare

    num_views = {run.metrics["num_views"] for runs in groups.values() for run in runs}
    if len(num_views) > 1:
        print(
            f"warning: runs were scored on {' and '.join(map(str, sorted(num_views)))} views of each clip; "
            "compare such as were scored alike",
            file=sys.stderr,
        )
    sides = [Side(name, tuple(run.predictions for run in runs)) for name, runs in groups.items()]
    return [compare(sides[0], other) for other in sides[1:]]


def _write_clips(comparisons: Sequence[Comparison], path: Path) -> None:
    """One row for each clip and comparison in which the two models differ."""
    from gasm_cast.files import atomic_path

    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "model", "against", "share of seeds right", "theirs"])
        for comparison in comparisons:
            for clip, a, b in zip(comparison.ids, comparison.right_a, comparison.right_b, strict=True):
                if a != b:
                    writer.writerow([clip, comparison.name_a, comparison.name_b, f"{a:.4g}", f"{b:.4g}"])
