"""What a report needs of a run, read from its folder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gasm_cast.config import Recipe, config_hash
from gasm_cast.errors import InputError
from gasm_cast.predictions import Predictions, read_predictions
from gasm_cast.runs import Run

_NAMELESS = ("annotations", "labels", "data")
"""Folders that are called after what lies in them."""


@dataclass(frozen=True)
class RunSummary:
    """One evaluated run."""

    name: str
    """How tables call it: the model, and what else tells it from the others."""
    path: Path
    recipe: Recipe
    annotations: Path
    store: Path
    """Where both lie by now."""
    split: str
    metrics: Mapping[str, Any]
    """The content of metrics.json."""
    predictions: Predictions
    environment: Mapping[str, Any]
    cost: Mapping[str, Any]
    """The content of cost.json; empty where no cost was measured."""
    epochs: tuple[Mapping[str, Any], ...]
    """The lines of metrics.jsonl that end an epoch."""
    num_parameters: int | None
    """Trainable parameters; None where the log does not tell."""

    @property
    def recipe_hash(self) -> str:
        """Hash of the recipe."""
        return config_hash(self.recipe)

    @property
    def seedless_hash(self) -> str:
        """Hash of the recipe without its seed: equal for runs that differ in nothing else."""
        return config_hash(replace(self.recipe, training=replace(self.recipe.training, seed=0)))

    @property
    def model_hash(self) -> str:
        """The same without what cannot change the model: equal for runs of one model with several seeds."""
        data = replace(self.recipe.data, store=self.store.resolve(), annotations=self.annotations.resolve())
        training = replace(
            self.recipe.training, seed=0, tracker="none", validate_every=0, checkpoint_every_steps=0
        )
        return config_hash(replace(self.recipe, data=data, training=training))

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Row of each scored clip in the predictions."""
        return {clip: row for row, clip in enumerate(self.predictions.ids)}

    @property
    def dataset(self) -> str:
        """What the data set may be called: the folder of its annotations that has a name of its own."""
        parts = self.recipe.data.annotations.parts
        return next((name for name in reversed(parts) if name not in _NAMELESS), parts[-1])

    @property
    def backbones(self) -> Mapping[str, str | None]:
        """Name of the backbone of each stream; empty where an older evaluation does not tell."""
        names: Mapping[str, str | None] = self.metrics.get("backbones", {})
        return names

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes, in the order of their indices."""
        return tuple(entry["name"] for entry in self.metrics["classes"])


def read_run(path: Path, split: str | None = None) -> RunSummary:
    """Read an evaluated run; it is named by its kind of model.

    Args:
        path: Run folder.
        split: Split to report; the recipe's validation split by default.

    Raises:
        InputError: if the folder is no run, or the split has not been evaluated.
    """
    run = Run.open(path)
    split = split or run.recipe.data.validation_split
    folder = run.evaluation(split)
    if not (folder / "metrics.json").exists():
        raise InputError(
            f"{path}: split {split!r} has not been evaluated; run `gasm-cast evaluate {path} --split {split}`"
        )
    return RunSummary(
        name=run.recipe.model.kind,
        path=path,
        recipe=run.recipe,
        annotations=run.data.annotations,
        store=run.data.store,
        split=split,
        metrics=_read_json(folder / "metrics.json"),
        predictions=read_predictions(folder / "predictions.parquet"),
        environment=_read_json(path / "environment.json"),
        cost=_read_json(path / "cost.json") if (path / "cost.json").exists() else {},
        epochs=tuple(run.events("epoch")),
        num_parameters=next((start["num_parameters"] for start in run.events("start")), None),
    )


def read_groups(paths: Sequence[Path], split: str | None = None) -> dict[str, list[RunSummary]]:
    """Read runs and gather those that differ in their seed only, in the order given.

    A variant of a finished study has the name that the study gives it. Other groups, and a
    study's base, are named by their kind of model, and where two share it, by the folder of
    their first run as well. Names that are still the same are told apart by the hash of the
    recipe; runs of a group with several, by their seed. A run that is named twice counts once.

    Args:
        paths: Run folders; a study's folder stands for all of its runs.
        split: Split to report; the recipe's validation split by default.

    Raises:
        InputError: if there is no run, or as :func:`read_run`.
    """
    folders = {path.resolve(): path for path in itertools.chain.from_iterable(map(_run_folders, paths))}
    if not folders:
        raise InputError("name one run folder or more; `gasm-cast runs list` shows those in runs/")
    by_hash: dict[str, list[RunSummary]] = {}
    for path in folders.values():
        run = read_run(path, split)
        by_hash.setdefault(run.model_hash, []).append(run)
    names = _names([runs[0] for runs in by_hash.values()])
    groups = {}
    for name, runs in zip(names, by_hash.values(), strict=True):
        seeds = [f"{name}, seed {run.recipe.training.seed}" for run in runs] if len(runs) > 1 else [name]
        groups[name] = [replace(run, name=seed) for run, seed in zip(runs, seeds, strict=True)]
    return groups


def _names(firsts: Sequence[RunSummary]) -> list[str]:
    """A name for each of these runs of different recipes; see `read_groups`."""
    in_study = [_name_in_study(run.path) for run in firsts]
    kinds = [run.recipe.model.kind for run, name in zip(firsts, in_study, strict=True) if name is None]
    names: list[str] = []
    for run, name in zip(firsts, in_study, strict=True):
        kind = run.recipe.model.kind
        folder = run.path.parent.name if run.path.name.startswith("seed-") else run.path.name
        names.append(name or (kind if kinds.count(kind) == 1 else f"{kind} ({folder})"))
    return [
        name if names.count(name) == 1 else f"{name} ({run.recipe_hash})"
        for name, run in zip(names, firsts, strict=True)
    ]


def _name_in_study(run: Path) -> str | None:
    """What a study calls the variant whose run lies there; None for its base, or if there is no study."""
    table = run.parent.parent / "ablation.json"
    if not table.exists():
        return None
    rows = _read_json(table)
    own = f"{run.parent.name}/{run.name}"
    return next((row["name"] for row in rows if row["comparison"] is not None and own in row["runs"]), None)


def _run_folders(path: Path) -> list[Path]:
    """The path itself, or the finished runs of a study in the order of its table."""
    if not (path / "ablation.json").exists():
        return [path]
    rows = _read_json(path / "ablation.json")
    return [path / run for row in rows for run in row["runs"]]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; evaluate the run again") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}; evaluate the run again") from None
