"""What a report needs of a run, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from gasm_cast.config import to_toml
from gasm_cast.errors import InputError
from gasm_cast.runs import Run


@dataclass(frozen=True)
class Predictions:
    """Predictions of one split, clip by clip."""

    ids: tuple[str, ...]
    labels: Int[np.ndarray, " clips"]
    predictions: Int[np.ndarray, " clips"]
    probabilities: Float[np.ndarray, "clips classes"]
    layer_predictions: Int[np.ndarray, "clips layers"]


@dataclass(frozen=True)
class RunSummary:
    """One evaluated run."""

    name: str
    """How tables call it: the model, and what else tells it from the others."""
    path: Path
    kind: str
    recipe_hash: str
    recipe_toml: str
    annotations: Path
    split: str
    metrics: Mapping[str, Any]
    """The content of metrics.json."""
    predictions: Predictions
    environment: Mapping[str, Any]
    cost: Mapping[str, Any]
    """The content of cost.json; empty where no cost was measured."""
    epochs: tuple[Mapping[str, Any], ...]
    """The lines of metrics.jsonl that end an epoch."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes, in the order of their indices."""
        return tuple(entry["name"] for entry in self.metrics["classes"])


def read_run(path: Path, split: str | None = None, name: str | None = None) -> RunSummary:
    """Read an evaluated run.

    Args:
        path: Run folder.
        split: Split to report; the recipe's validation split by default.
        name: Name in tables; the kind of model by default.

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
        name=name or run.recipe.model.kind,
        path=path,
        kind=run.recipe.model.kind,
        recipe_hash=run.hash,
        recipe_toml=to_toml(run.recipe),
        annotations=run.recipe.data.annotations,
        split=split,
        metrics=_read_json(folder / "metrics.json"),
        predictions=_read_predictions(folder / "predictions.parquet"),
        environment=_read_json(path / "environment.json"),
        cost=_read_json(path / "cost.json") if (path / "cost.json").exists() else {},
        epochs=tuple(run.events("epoch")),
    )


def _read_predictions(path: Path) -> Predictions:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; evaluate the run again") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a Parquet file: {error}; evaluate the run again") from None

    def matrix(name: str) -> np.ndarray:
        """A column of equally long lists, `[clips, length]`."""
        flat: np.ndarray = table[name].combine_chunks().flatten().to_numpy()
        return flat.reshape(table.num_rows, -1)

    return Predictions(
        ids=tuple(table["id"].to_pylist()),
        labels=table["label"].to_numpy(),
        predictions=table["prediction"].to_numpy(),
        probabilities=matrix("probabilities"),
        layer_predictions=matrix("layer_predictions"),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; evaluate the run again") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}; evaluate the run again") from None
    return content
