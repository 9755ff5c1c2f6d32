"""`gasm-cast train`: train a recipe, or many candidates side by side."""

from __future__ import annotations

import dataclasses
import json as json_format
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import UseAppendAction

from gasm_cast.cli.recipe_options import RecipeOptions, parse_recipe_options


@dataclass(frozen=True, kw_only=True)
class Options(RecipeOptions):
    """Train a recipe.

    Every field of the recipe is a flag (`--training.learning-rate 3e-4`); --seed,
    --deterministic, --store and --annotations are short for the ones in their tables. The
    resolved recipe lies in the run folder. The same command on the same folder goes on
    where an interrupted run stopped; under torchrun or SLURM it trains on all processes.

    With --sweep, one candidate for every combination of the values is trained, all on one
    pass over the data. The best on a held-back tenth of the training split is then trained
    on the whole of it, into OUT/best.
    """

    sweep: UseAppendAction[tuple[str, ...]] = ()
    """`training.learning_rate=1e-4,3e-4,1e-3`: values to try of any field; may be repeated."""
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

    from gasm_cast.files import write_text
    from gasm_cast.runs import Run
    from gasm_cast.training import draw_curves, preview, train

    if options.dry_run:
        print(preview(options.recipe))
        return 0
    if options.sweep:
        raise NotImplementedError
    is_first = getattr(rank_zero_only, "rank", 0) == 0
    # Only the first process may create the folder; the others meet it in `train`.
    folder = Run.create(options.folder, options.recipe) if is_first else Run(options.folder, options.recipe)
    result = train(folder, console=Console())
    if is_first:
        draw_curves([folder], folder.path / "curves.png")
        print(f"{folder.path}: best.pt is of epoch {result.best_epoch}; curves.png shows all")
        print(f"next: gasm-cast evaluate {folder.path}")
        if options.json is not None:
            record = {"run": str(folder.path), "recipe_hash": folder.hash, **dataclasses.asdict(result)}
            write_text(options.json, json_format.dumps(record, indent=2) + "\n")
    return 0
