"""`gasm-cast ablate`: train and tabulate the variants of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train and tabulate the variants of a recipe.

    Trains the base and every variant with every seed, several at the same time, and compares
    each variant with the base on the same clips. Stop it whenever you like: the same call
    goes on; finished runs are not trained again.

    Exit code 1 says that some runs diverged; the table holds the others.
    """

    path: Positional[Path]
    """Study: a TOML file such as recipes/ablation.toml."""
    out: Path | None = None
    """Folder of the runs and tables; runs/NAME by default, with the study's name."""
    seeds: tuple[int, ...] = ()
    """Seeds to train with, instead of the study's."""
    only: tuple[str, ...] = ()
    """Train only these variants, and the base; the table holds all that is finished."""
    jobs: int | None = None
    """Runs at the same time; by default as many as cores, or one where there is a GPU."""
    dry_run: bool = False
    """List the runs and stop."""
    json: Path | None = None
    """Write the rows there as well."""


def run(options: Options) -> int:
    """Run the study; 1 if some runs failed."""
    import torch
    from rich.console import Console

    from gasm_cast.ablation.results import collect, write
    from gasm_cast.ablation.running import finished_runs, run_path, run_study
    from gasm_cast.ablation.study import read_study
    from gasm_cast.cli.lines import say
    from gasm_cast.config import config_hash
    from gasm_cast.files import write_text
    from gasm_cast.machine import num_cores
    from gasm_cast.report import tables

    whole = read_study(options.path, options.seeds)
    study = whole.only(options.only) if options.only else whole
    out = options.out or Path("runs") / options.path.stem
    if options.dry_run:
        for seed in study.seeds:
            for variant in study.variants:
                print(f"{run_path(out, variant, seed)}  {config_hash(variant.recipe)}")
        return 0
    jobs = options.jobs or (1 if torch.cuda.is_available() else num_cores())
    tell = partial(say, Console())
    outcomes = run_study(study, out, jobs=jobs, say=tell)
    rows = collect(whole, finished_runs(whole, out, say=tell))
    print(tables.to_markdown(write(rows, out)), end="")
    if options.json is not None:
        write_text(options.json, (out / "ablation.json").read_text(encoding="utf-8"))
    print(f"written to {out}")
    return 1 if any(outcome.top1 is None for outcome in outcomes) else 0
