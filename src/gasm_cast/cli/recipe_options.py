"""Commands that take a recipe: every field of it is a flag, the file's values are the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from tyro.conf import Positional

from gasm_cast.config import Recipe, read_recipe
from gasm_cast.errors import InputError

SHORT_FLAGS = {
    "--seed": "--training.seed",
    "--deterministic": "--training.deterministic",
    "--no-deterministic": "--training.no-deterministic",
    "--store": "--data.store",
    "--annotations": "--data.annotations",
}
"""Flags that are used often, and what they stand for."""


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """Options of a command that takes a recipe."""

    path: Positional[Path]
    """Recipe: a TOML file; `ls recipes/` lists those shipped, RUN/config.toml repeats a run."""
    out: Path | None = None
    """Folder of the results; runs/NAME by default, with the recipe's name."""
    recipe: Annotated[Recipe, tyro.conf.arg(name="")] = field(default_factory=Recipe)
    """The recipe with the flags applied."""

    @property
    def folder(self) -> Path:
        """Where results go."""
        if self.out is not None:
            return self.out
        name = self.path.resolve().parent.name if self.path.name == "config.toml" else self.path.stem
        return Path("runs") / name


O = TypeVar("O", bound=RecipeOptions)  # noqa: E741


def parse_recipe_options(options: type[O], command: str, arguments: Sequence[str]) -> O:
    """Read the recipe that the arguments name, then let the other arguments override it.

    Raises:
        InputError: if the recipe cannot be read, or values do not go together.
    """
    arguments = [_spelled_out(argument) for argument in arguments]
    file = next((Path(argument) for argument in arguments if argument.endswith(".toml")), None)
    prog = f"gasm-cast {command}"
    try:
        if file is None:  # no defaults to show; tyro says that a recipe is needed
            parsed: O = tyro.cli(options, prog=prog, args=arguments)
        else:
            default = options(path=file, recipe=read_recipe(file))
            parsed = tyro.cli(options, prog=prog, args=arguments, default=default)
    except ValueError as error:  # of the recipe as a whole; tyro itself reports those of one table
        raise InputError(str(error)) from None
    if parsed.path != file:
        raise InputError(f"{parsed.path}: a recipe is a .toml file; `ls recipes/` lists those shipped")
    return parsed


def _spelled_out(argument: str) -> str:
    flag, equals, value = argument.partition("=")
    return SHORT_FLAGS.get(flag, flag) + equals + value
