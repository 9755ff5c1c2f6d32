"""A study: one recipe, named variants of it, and the seeds that each is trained with.

A study file is TOML::

    [study]
    seeds = [0, 1, 2]                   # every variant is trained once with each
    search = ["training.learning_rate=3e-4,1e-3"]   # optional, see below

    [base.model.graph]                  # [base] holds the tables of a recipe file
    width = 128

    [[variants]]
    name = "no graph"                   # the row of the table
    group = "graph"                     # rows with the same heading stand together
    set = { "model.graph.enabled" = false }         # what differs from the base

With `search`, the values are tried for the base and for every variant alike, on clips held
back from the training split; the best are then trained with each seed. So a comparison is
never one of a tuned model with untuned ones.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gasm_cast.config import Recipe, config_hash, from_table
from gasm_cast.errors import InputError
from gasm_cast.training.candidates import override

BASE = "base"
"""Name of the recipe that all variants are compared with."""


@dataclass(frozen=True)
class Variant:
    """One row of the study."""

    name: str
    """What is different."""
    group: str
    recipe: Recipe

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-")


@dataclass(frozen=True)
class Study:
    """What is to be trained."""

    variants: tuple[Variant, ...]
    """The base first."""
    seeds: tuple[int, ...]
    search: tuple[str, ...] = ()

    def only(self, names: Sequence[str]) -> Study:
        """The base and the named variants.

        Raises:
            InputError: if there is no variant of such a name.
        """
        known = [variant.name for variant in self.variants]
        for name in names:
            if name not in known:
                raise InputError(f"no variant {name!r}; the study has {', '.join(map(repr, known))}")
        return replace(self, variants=tuple(v for v in self.variants if v.name in (BASE, *names)))


def read_study(path: Path, seeds: Sequence[int] = ()) -> Study:
    """Read a study file strictly.

    Args:
        path: The file.
        seeds: Seeds to use instead of the file's.

    Raises:
        InputError: if the file cannot be read, or has a key or value that a study or a
            recipe does not take; if two variants share a name, or train the same recipe.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such study; `ls recipes/` lists those shipped") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from None
    tables = {"study": dict, "base": dict, "variants": list}
    _require(table, tables, needed=("study", "base"), where=f"{path}")
    study = table["study"]
    _require(study, {"seeds": list, "search": list}, needed=("seeds",), where=f"{path}: study")
    base = Variant(BASE, "", from_table(Recipe, table["base"], source=str(path), prefix="base."))
    variants = [base]
    for number, entry in enumerate(table.get("variants", []), start=1):
        where = f"{path}: variant {number}"
        _require(entry, {"name": str, "group": str, "set": dict}, needed=("name", "set"), where=where)
        recipe = override(base.recipe, entry["set"], source=f"{path}: variant {entry['name']!r}")
        variants.append(Variant(entry["name"], entry.get("group", ""), recipe))
    _require_distinct(variants, path)
    chosen = tuple(seeds) or tuple(study["seeds"])
    if (
        not chosen
        or not all(type(seed) is int and seed >= 0 for seed in chosen)
        or len(set(chosen)) < len(chosen)
    ):
        raise InputError(f"{path}: seeds must be different whole numbers from 0, got {list(chosen)}")
    return Study(tuple(variants), chosen, tuple(study.get("search", ())))


def _require(table: Any, kinds: Mapping[str, type], *, needed: Sequence[str], where: str) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{where} must be a table, got {table!r}")
    for key, value in table.items():
        if key not in kinds:
            raise InputError(f"{where}: unknown key {key!r}; known: {', '.join(kinds)}")
        if not isinstance(value, kinds[key]):
            raise InputError(f"{where}: {key} must be of type {kinds[key].__name__}, got {value!r}")
    for key in needed:
        if key not in table:
            raise InputError(f"{where}: {key} is missing")


def _require_distinct(variants: Sequence[Variant], path: Path) -> None:
    for slug, count in Counter(variant.slug for variant in variants).items():
        if count > 1:
            raise InputError(f"{path}: {count} variants would share the folder {slug!r}; name them apart")
    first_of_hash: dict[str, Variant] = {}
    for variant in variants:
        first = first_of_hash.setdefault(config_hash(variant.recipe), variant)
        if first is not variant:
            raise InputError(
                f"{path}: {variant.name!r} is the same recipe as {first.name!r}; change or drop it"
            )
