"""`gasm-cast report`: one HTML page for a run or a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True, kw_only=True)
class Options:
    """One HTML page for a run or a comparison.

    The page is a single file that loads nothing: mail it, open it offline. It is about the
    first model; with more, the first is compared with each of the others. Runs whose recipes
    differ in the seed only are one model, shown by its mean.
    """

    paths: Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path | None = None
    """The page; report.html in the first run's folder by default."""
    split: str | None = None
    """Split to report; the recipe's validation split by default."""
    num_clips: int = 12
    """Clips that the page shows in each group; 0 shows none."""
    explain: int = 0
    """Explain this many of the first model's hardest clips first: their players can then show attention."""
    cost: bool = False
    """Measure first what the models cost, side by side; takes some seconds for each on a processor."""
    pdf: bool = False
    """Print the page to a PDF beside it, with a Chromium or Chrome found on this machine."""


def run(options: Options) -> int:
    """Write the page."""
    from gasm_cast.cli import dispatch
    from gasm_cast.cli.compare_command import compare_groups
    from gasm_cast.cli.costs import measure_runs
    from gasm_cast.report import build, read_groups
    from gasm_cast.report.browser import print_pdf
    from gasm_cast.report.clips import hard_cases

    groups = read_groups(options.paths, options.split)
    if options.cost:
        measure_runs([runs[0].path for runs in groups.values()])
        groups = read_groups(options.paths, options.split)
    primary = next(iter(groups.values()))
    for clip in hard_cases(primary, options.explain):
        dispatch("explain", [str(primary[0].path), clip])
    out = options.out or options.paths[0] / "report.html"
    build(groups, out, comparisons=compare_groups(groups), num_clips=options.num_clips)
    print(out)
    if options.pdf:
        print(print_pdf(out))
    return 0
