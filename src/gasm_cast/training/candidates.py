"""Recipes that differ in a few values: the grid of a sweep, the space of a search."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gasm_cast.config import Recipe, from_table, to_table
from gasm_cast.errors import InputError

SHARED = (
    "data.store",
    "data.annotations",
    "data.train_split",
    "data.validation_split",
    "data.held_out",
    "training.num_epochs",
    "training.batch_size",
    "training.accumulate",
    "training.seed",
    "training.precision",
    "training.device",
    "training.num_devices",
    "training.num_nodes",
    "training.deterministic",
    "augmentation.random_views",
)
"""Fields that candidates cannot differ in, since they step on the same batches."""


HELD_OUT = 0.1
"""Share of the training split to rank by, where the recipe holds nothing out."""


@dataclass(frozen=True)
class Candidate:
    """One recipe of a sweep."""

    overrides: Mapping[str, Any]
    """Its values of the fields that are swept, by dotted name."""
    recipe: Recipe

    @property
    def name(self) -> str:
        """Its overrides in words."""
        return describe(self.overrides)


def read_grid(texts: Sequence[str], recipe: Recipe) -> list[Candidate]:
    """Every combination of the values in texts like `training.learning_rate=1e-4,3e-4`.

    Raises:
        InputError: if a text is malformed, a field does not exist, cannot be swept or does
            not take a value, or a field is named twice.
    """
    values: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, listed = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not listed:
            raise InputError(f"--sweep {text}: write FIELD=VALUE,VALUE,... as training.weight_decay=0.01,0.1")
        if key in values:
            raise InputError(f"--sweep names {key} twice; list all its values in one place")
        if key in SHARED:
            raise InputError(
                f"--sweep {key}: candidates step on the same batches and cannot differ in it; train them as "
                "runs of their own"
            )
        values[key] = [read_value(value) for value in listed.split(",")]
    candidates = []
    for combination in itertools.product(*values.values()):
        overrides = dict(zip(values, combination, strict=True))
        candidates.append(Candidate(overrides, override(recipe, overrides, source="--sweep")))
    return candidates


def read_value(text: str) -> Any:
    """A value as TOML writes it; what is not TOML is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def override(recipe: Recipe, overrides: Mapping[str, Any], *, source: str) -> Recipe:
    """A recipe with some fields replaced, checked as a recipe file is.

    Raises:
        RecipeError: if a field does not exist or does not take the value.
    """
    table = to_table(recipe)
    for key, value in overrides.items():
        *parents, name = key.split(".")
        inner = table
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise InputError(f"{source}: {key}: {parent} is a value and has no fields")
        inner[name] = value
    return from_table(Recipe, table, source=source)


def value_of(recipe: Recipe, key: str) -> Any:
    """The value of the field of a dotted name, which must exist."""
    value: Any = recipe
    for name in key.split("."):
        value = getattr(value, name)
    return value


def describe(overrides: Mapping[str, Any]) -> str:
    """Overrides in words, by the last part of their names."""

    def text(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{key.rpartition('.')[2]} {text(value)}" for key, value in overrides.items())


def with_held_out(recipe: Recipe) -> Recipe:
    """The recipe as candidates are ranked by it: with clips held out of the training split."""
    if recipe.data.held_out:
        return recipe
    return replace(recipe, data=replace(recipe.data, held_out=HELD_OUT))


def final_recipe(chosen: Recipe) -> Recipe:
    """The recipe of the run that follows a choice: measured on validation once, at its end."""
    return replace(chosen, training=replace(chosen.training, validate_every=chosen.training.num_epochs))
