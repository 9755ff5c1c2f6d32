"""`gasm-cast train`: train a recipe, or many candidates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import UseAppendAction

from gasm_cast.cli.recipe_options import RecipeOptions, parse_recipe_options

if TYPE_CHECKING:
    from gasm_cast.config import Recipe


@dataclass(frozen=True, kw_only=True)
class Options(RecipeOptions):
    """Train a recipe.

    Every field of the recipe is a flag (`--training.learning-rate 3e-4`); --seed,
    --deterministic, --store and --annotations are short for the ones in their tables. The
    resolved recipe lies in the run folder. The same command on the same folder goes on
    where an interrupted run stopped; under torchrun or SLURM it trains on all processes.

    With --sweep, one candidate for every combination of the values is trained, all on one
    pass over the data and ranked on a held-back tenth of the training split. The best is
    then trained as a run of its own in OUT/best, and measured on validation once.
    """

    sweep: UseAppendAction[tuple[str, ...]] = ()
    """`training.learning_rate=1e-4,3e-4,1e-3`: values to try of any field; may be repeated."""
    drop: bool = True
    """In a sweep, drop the worse half of the candidates after 1/4 and again after 1/2 of the epochs."""
    dry_run: bool = False
    """Print the resolved recipe, parameters, store and one batch, and stop."""
    json: Path | None = None
    """Write the result there."""


def parse(arguments: Sequence[str]) -> Options:
    """Options, with the recipe's values as the defaults of its flags."""
    return parse_recipe_options(Options, "train", arguments)


def run(options: Options) -> int:
    """Train; the folder holds what came out."""
    from lightning_fabric.utilities import rank_zero_only
    from rich.console import Console

    from gasm_cast.cli.finishing import finish
    from gasm_cast.runs import Run
    from gasm_cast.training import preview, train

    if options.dry_run:
        print(preview(options.recipe))
        return 0
    recipe, path = options.recipe, options.folder
    if options.sweep:
        recipe, path = _sweep_best(options), path / "best"
    folder = Run.claim(path, recipe)
    result = train(folder, console=Console())
    if getattr(rank_zero_only, "rank", 0) == 0:
        line = f"{folder.path}: best.pt is of epoch {result.best_epoch}; curves.png shows all"
        finish(folder, result, line, options.json)
    return 0


def _sweep_best(options: Options) -> Recipe:
    """The recipe of the best candidate of a sweep."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from gasm_cast.training import final_recipe, read_grid, sweep

    candidates = read_grid(options.sweep, options.recipe)
    result = sweep(candidates, options.folder, drop=options.drop, console=Console())
    table = Table("candidate", "held-out top-1", "epochs", "")
    for candidate, record in zip(candidates, result.records, strict=True):
        top1 = f"{record['held_out_top1'][-1]:.1%}" if record["held_out_top1"] else ""
        chosen = "chosen" if candidate is result.best else record["left_because"] or ""
        table.add_row(escape(candidate.name), top1, str(len(record["held_out_top1"])), chosen)
    Console().print(table)
    print(f"{options.folder / 'best.toml'}: the best recipe; it is now trained on all training clips")
    return final_recipe(result.best.recipe)
