"""The protocol: which clips are asked for, which are scored, and what is written about it.

Every clip of the split is accounted for once: scored, failed (the store records why it
could not be decoded) or missing (the store has never seen it). None is replaced, padded
or counted twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from gasm_cast.annotations import ClipTable
from gasm_cast.devices import Precision
from gasm_cast.errors import InputError
from gasm_cast.evaluation import calibration
from gasm_cast.evaluation.metrics import LayerProbabilities
from gasm_cast.evaluation.scoring import score
from gasm_cast.evaluation.summary import Classes, summarize
from gasm_cast.files import write_text
from gasm_cast.models.checkpoints import LoadedModel
from gasm_cast.predictions import Predictions, read_predictions, write_csv, write_predictions
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore, crops_of


@dataclass(frozen=True)
class Unscored:
    """A clip that was asked for and has no score."""

    id: str
    reason: str


@dataclass(frozen=True)
class AskedClips:
    """The labelled clips of a split, sorted by whether the store can answer for them."""

    scored: ClipTable
    failed: tuple[Unscored, ...]
    missing: tuple[Unscored, ...]

    @property
    def num_asked(self) -> int:
        """All clips of the split."""
        return len(self.scored) + len(self.failed) + len(self.missing)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How clips are scored; only the number of views changes a score by more than rounding."""

    num_views: int | None = None
    """Views averaged; all that the store holds by default."""
    batch_size: int = 64
    device: str = "cpu"
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        if self.num_views is not None and self.num_views < 1:
            raise InputError(f"at least one view of a clip must be scored, got {self.num_views}")
        if self.batch_size < 1:
            raise InputError(f"a batch needs at least one clip, got {self.batch_size}")


@dataclass(frozen=True)
class Evaluation:
    """The result of one split."""

    record: Mapping[str, Any]
    """What metrics.json holds."""
    predictions: Predictions

    @property
    def complete(self) -> bool:
        """Whether every clip of the split was scored."""
        return not self.record["failed"] and not self.record["missing"]

    @property
    def headline(self) -> dict[str, Any]:
        """The few numbers that a comparison starts from, without nesting."""
        record = self.record
        return {
            "split": record["split"],
            "top1": record["top1"]["value"],
            "interval": record["top1"]["interval"],
            "top5": record["top5"]["value"],
            "mean_class_accuracy": record["mean_class_accuracy"]["value"],
            "expected_calibration_error": record["calibration"]["expected_error"],
            "num_asked": record["num_asked"],
            "num_scored": record["num_scored"],
            "num_failed": len(record["failed"]),
            "num_missing": len(record["missing"]),
        }


def evaluate(
    loaded: LoadedModel,
    store: FeatureStore,
    table: ClipTable,
    *,
    settings: Settings | None = None,
    held_out: ClipTable | None = None,
) -> Evaluation:
    """Score a split and compute its metrics.

    Args:
        loaded: A trained model.
        store: Features made as those of its training, but for the number of views and crops.
        table: The split.
        settings: How to score.
        held_out: Training clips that the model has not learnt from, to fit the temperature
            on; without them none is fitted.

    Raises:
        InputError: if the split has no labels, its classes or the store's features are not
            the model's, or the store has none of its clips or not as many views.
    """
    settings = settings or Settings()
    loaded.require_classes(table.class_names)
    loaded.require_store(store)
    clips = ask(table, store)
    num_views = settings.num_views or store.num_views
    if num_views > store.num_views:
        raise InputError(
            f"{store.path} holds {store.num_views} view(s) of each clip, so {num_views} cannot be scored; "
            "ask for fewer, or extract more with `gasm-cast extract --views`"
        )
    ask_model = partial(
        score,
        loaded.model.to(settings.device),
        store,
        num_views=num_views,
        batch_size=settings.batch_size,
        device=settings.device,
        precision=settings.precision,
    )
    temperature = None
    if held_out is not None:
        temperature = calibration.fit_temperature(ask_model(held_out.ids).probabilities, held_out.labels)
    scores = ask_model(clips.scored.ids)
    metrics = summarize(
        scores.probabilities,
        scores.layer_probabilities,
        clips.scored.labels,
        Classes.of_names(table.class_names),
        num_coarse_layers=loaded.model.coarse_layers,
        layer_names=loaded.model.layer_names,
        temperature=temperature,
    )
    record = {
        "split": table.split,
        "model": loaded.recipe.model.kind,
        "epoch": loaded.epoch,
        "store": store.fingerprint,
        "backbones": {
            stream: made_by["backbone"].get("name") for stream, made_by in store.provenance["streams"].items()
        },
        "num_views": num_views,
        "crops": crops_of(store.provenance),
        "training_crops": crops_of(loaded.provenance),
        "precision": settings.precision,
        "num_asked": clips.num_asked,
        "failed": [vars(clip) for clip in clips.failed],
        "missing": [vars(clip) for clip in clips.missing],
        **metrics,
    }
    predictions = Predictions(
        ids=scores.ids,
        labels=clips.scored.labels,
        probabilities=scores.probabilities,
        layer_predictions=_best(scores.layer_probabilities, len(scores.ids)),
        class_names=table.class_names,
    )
    return Evaluation(record, predictions)


def ask(table: ClipTable, store: FeatureStore) -> AskedClips:
    """Sort the clips of a labelled split by what the store can say of them.

    Raises:
        InputError: if the split has no labels, or the store has none of its clips.
    """
    table.require_labels()
    in_store = np.isin(np.array(table.ids, dtype=np.dtypes.StringDType()), store.ids)
    unscored = [clip for clip, there in zip(table.ids, in_store, strict=True) if not there]
    asked = AskedClips(
        scored=table.select(np.flatnonzero(in_store)),
        failed=tuple(Unscored(clip, store.failures[clip]) for clip in unscored if clip in store.failures),
        missing=tuple(
            Unscored(clip, "not in the feature store") for clip in unscored if clip not in store.failures
        ),
    )
    if in_store.any():
        return asked
    if not asked.missing:
        raise InputError(
            f"{store.path}: all {asked.num_asked} clips of split {table.split!r} are recorded failures"
        )
    raise InputError(
        f"{store.path} has none of the {asked.num_asked} clips of split {table.split!r} "
        f"(first {asked.missing[0].id}); extract them, or name the store that holds them"
    )


def find_replaced(evaluation: Evaluation, run: Run) -> list[str]:
    """What the split's evaluation that lies in the run has otherwise, in words; empty if there is none."""
    folder, record = run.evaluation(evaluation.record["split"]), evaluation.record
    try:
        before = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        scored, now = read_predictions(folder / "predictions.parquet"), evaluation.predictions
    except (FileNotFoundError, ValueError):  # damaged is as good as none: it is to be replaced
        return []
    found = [
        f"{words} {before[key]}, now {record[key]}"
        for key, words in (
            ("num_views", "views a clip"),
            ("crops", "crops"),
            ("num_asked", "clips asked for"),
        )
        if key in before and before[key] != record[key]
    ]
    if dict(zip(scored.ids, scored.labels, strict=True)) != dict(zip(now.ids, now.labels, strict=True)):
        found.append("other clips or labels")
    return found


def write(evaluation: Evaluation, run: Run, *, as_csv: bool = False) -> Path:
    """Write metrics.json and predictions.parquet into the run; returns their folder.

    Raises:
        InputError: if they cannot be written.
    """
    folder = run.evaluation(evaluation.record["split"])
    write_predictions(evaluation.predictions, folder / "predictions.parquet")
    if as_csv:
        write_csv(evaluation.predictions, folder / "predictions.csv")
    text = json.dumps({"recipe": run.hash, **evaluation.record}, ensure_ascii=False, allow_nan=False)
    write_text(folder / "metrics.json", text + "\n")
    return folder


def _best(
    layer_probabilities: Sequence[LayerProbabilities], num_clips: int
) -> Int[np.ndarray, "clips layers"]:
    """The answer of each earlier layer; no columns for a model without such layers."""
    columns = [layer.argmax(axis=1) for layer in layer_probabilities]
    return np.array(columns, dtype=np.int64).reshape(len(columns), num_clips).T
