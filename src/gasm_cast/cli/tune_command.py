"""`gasm-cast tune`: a longer search over a recipe's values."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import UseAppendAction

from gasm_cast.cli.recipe_options import RecipeOptions, parse_recipe_options
from gasm_cast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Options(RecipeOptions):
    """Search for better values of a recipe with Optuna, then train the best.

    Trials are ranked on a held-back tenth of the training split; hopeless ones are given
    up early. The study lies in OUT/study.db: the same command goes on with it, with a larger
    --trials for longer. The best recipe is OUT/best.toml; it is then trained on the whole
    training split, into OUT/best, and measured on validation once.
    """

    space: UseAppendAction[tuple[str, ...]] = ()
    """`FIELD=LOW:HIGH`, `FIELD=LOW:HIGH:log` or `FIELD=VALUE,VALUE`: what to vary; may be repeated.
    By default the learning rate, 1e-4:1e-2:log, and the weight decay, 0.01:0.5:log."""
    trials: int = 30
    """Trials in all, those of earlier calls included."""
    json: Path | None = None
    """Write the result of the final training there."""


def parse(arguments: Sequence[str]) -> Options:
    """Options, with the recipe's values as the defaults of its flags."""
    return parse_recipe_options(Options, "tune", arguments)


def run(options: Options) -> int:
    """Search, then train the best."""
    if importlib.util.find_spec("optuna") is None:
        raise InputError("tune needs the package optuna: `pip install gasm-cast[tune]`")
    from rich.console import Console

    from gasm_cast.cli.finishing import finish
    from gasm_cast.runs import Run
    from gasm_cast.training import final_recipe, train
    from gasm_cast.training.search import DEFAULT_SPACE, read_space, search

    space = read_space(options.space or DEFAULT_SPACE, options.recipe)
    best = search(options.recipe, space, options.folder, num_trials=options.trials, console=Console())
    folder = Run.claim(options.folder / "best", final_recipe(best))
    result = train(folder, console=Console())
    line = f"{options.folder / 'best.toml'}: the best recipe, trained in {folder.path}"
    finish(folder, result, line, options.json)
    return 0
