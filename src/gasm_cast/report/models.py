"""A model of a page: its runs, which differ in their seed only, and their mean."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int

from gasm_cast.report.record import RunSummary

Score = Mapping[str, Any]


@dataclass(frozen=True)
class ModelSummary:
    """One model, trained once or with several seeds."""

    name: str
    runs: tuple[RunSummary, ...]

    @property
    def first(self) -> RunSummary:
        """The run that stands for the model where only one can."""
        return self.runs[0]

    @property
    def num_seeds(self) -> int:
        """Number of runs."""
        return len(self.runs)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes, in the order of their indices."""
        return self.first.class_names

    @property
    def has_verb_groups(self) -> bool:
        """Whether verb groups are more than the classes again, as they are where names are no sentences."""
        return any(group["num_classes"] > 1 for group in self.metrics["groups"])

    @property
    def has_top5(self) -> bool:
        """Whether top-5 accuracy tells anything: of five classes or fewer it is always 100%."""
        return len(self.class_names) > 5

    @property
    def layers(self) -> Sequence[Mapping[str, Any]]:
        """Scores of each layer; what answers verb groups answers classes, where both are the same."""
        layers: Sequence[Mapping[str, Any]] = self.metrics["layers"]
        if self.has_verb_groups:
            return layers
        return [{**layer, "top1": layer["top1"] or layer["group_top1"]} for layer in layers]

    @property
    def top1_of_seeds(self) -> list[float]:
        """Top-1 accuracy of each run."""
        return [run.metrics["top1"]["value"] for run in self.runs]

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """What metrics.json holds, as :func:`mean_metrics` of the runs."""
        return mean_metrics([run.metrics for run in self.runs])


def mean_metrics(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The records of several seeds as one record of the same form.

    Scores are means over the seeds, and so are the ends of their intervals: an interval
    speaks of the luck of the clips, as one of a single run does, and not of that of the
    seeds. The entries of the confusion matrix and of the bins of confidence are sums.
    """
    first = records[0]
    if len(records) == 1:
        return first
    confusion = np.sum([record["confusion"] for record in records], axis=0)
    return {
        **first,
        **{
            key: mean_score(record[key] for record in records)
            for key in ("top1", "top5", "mean_class_accuracy")
        },
        "layers": [_with_means(layers, "top1", "group_top1") for layers in _matched(records, "layers")],
        "groups": [_with_means(groups, "top1") for groups in _matched(records, "groups")],
        "classes": [
            _class(c, entries, confusion[:, c])
            for c, entries in enumerate(zip(*(record["classes"] for record in records), strict=True))
        ],
        "confusion": confusion.tolist(),
        "calibration": _calibration([record["calibration"] for record in records]),
    }


def mean_score(scores: Iterable[Score | None]) -> Score | None:
    """Mean of values and of the ends of their intervals; None where one of them is missing."""
    present = list(scores)
    if any(score is None or score["value"] is None for score in present):
        return None
    found = [score for score in present if score is not None]
    return {
        "value": statistics.fmean(score["value"] for score in found),
        "interval": [statistics.fmean(score["interval"][end] for score in found) for end in (0, 1)],
    }


def _matched(records: Sequence[Mapping[str, Any]], key: str) -> list[tuple[Mapping[str, Any], ...]]:
    """Entries of the same name, one of each record; a name that a record lacks is left out."""
    by_name = [{entry["name"]: entry for entry in record[key]} for record in records]
    return [
        tuple(entries[name] for entries in by_name)
        for name in by_name[0]
        if all(name in entries for entries in by_name)
    ]


def _with_means(entries: Sequence[Mapping[str, Any]], *keys: str) -> dict[str, Any]:
    return {**entries[0], **{key: mean_score(entry[key] for entry in entries) for key in keys}}


def _class(
    index: int, entries: Sequence[Mapping[str, Any]], predicted: Int[np.ndarray, " classes"]
) -> dict[str, Any]:
    recall = mean_score({"value": e["recall"], "interval": e["recall_interval"]} for e in entries)
    num_predicted = int(predicted.sum())
    return {
        **entries[0],
        "num_predicted": num_predicted,
        "recall": None if recall is None else recall["value"],
        "recall_interval": None if recall is None else recall["interval"],
        "precision": float(predicted[index]) / num_predicted if num_predicted else None,
    }


def _calibration(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = np.array([record["bins"]["count"] for record in records])
    total = counts.sum(axis=0)

    def pooled(key: str) -> list[float | None]:
        values = np.array([record["bins"][key] for record in records], dtype=np.float64)  # None is nan
        sums = np.where(counts > 0, values * counts, 0.0).sum(axis=0)
        return [sums[b] / count if count else None for b, count in enumerate(total.tolist())]

    mean = {
        **records[0],
        "expected_error": statistics.fmean(record["expected_error"] for record in records),
        "bins": {
            "edges": records[0]["bins"]["edges"],
            "count": total.tolist(),
            "confidence": pooled("confidence"),
            "accuracy": pooled("accuracy"),
        },
        "temperature": None,
    }
    if all(record.get("temperature") is not None for record in records):
        errors = [record["with_temperature"]["expected_error"] for record in records]
        mean["temperature"] = statistics.fmean(record["temperature"] for record in records)
        mean["with_temperature"] = {"expected_error": statistics.fmean(errors)}
    return mean
