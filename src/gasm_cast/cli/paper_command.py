"""`gasm-cast paper`: LaTeX tables, figures and numbers from runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True, kw_only=True)
class Options:
    """LaTeX tables, figures and numbers from runs.

    Writes a document that compiles (`pdflatex main && bibtex main && pdflatex main && pdflatex
    main`), every table and figure as a file of its own, and numbers.tex with every figure as a
    macro, so that no number of the paper is typed by hand.
    """

    paths: Positional[tuple[Path, ...]]
    """Evaluated runs; the first is the paper's model. A study's folder stands for its runs."""
    out: Path = Path("paper")
    """Folder to write; files of the same names are replaced."""
    split: str | None = None
    """Split to report; the recipe's validation split by default."""
    efficiency: Path | None = None
    """What `gasm-cast bench model --json` wrote; otherwise the costs that the runs have measured."""
    ablation: Path | None = None
    """Folder of a study that `gasm-cast ablate` has run."""


def run(options: Options) -> int:
    """Write the paper's parts."""
    from gasm_cast.cli.compare_command import compare_groups
    from gasm_cast.report import read_groups
    from gasm_cast.report.paper import write_paper

    groups = read_groups(options.paths, options.split)
    differences = [comparison.record for comparison in compare_groups(groups)]
    write_paper(
        groups, options.out, differences=differences, ablation=options.ablation, bench=options.efficiency
    )
    print(options.out / "main.tex")
    return 0
