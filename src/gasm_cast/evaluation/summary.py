"""All metrics of one split as one plain record: what `metrics.json` holds.

The record has only JSON's types, so that reports, tables and other programs read it
without this package. Shares lie in [0, 1]; `interval` is a pair at 95%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from gasm_cast.annotations import coarse_groups
from gasm_cast.evaluation import calibration, metrics
from gasm_cast.evaluation.intervals import proportion, wilson
from gasm_cast.evaluation.metrics import Labels, LayerProbabilities, Probabilities


@dataclass(frozen=True)
class Classes:
    """The classes of a data set, and the verb groups that its templates fall into."""

    names: tuple[str, ...]
    group_of_class: Int[np.ndarray, " classes"]
    group_names: tuple[str, ...]

    @classmethod
    def of_names(cls, names: tuple[str, ...]) -> Classes:
        """Classes in the order of the logits, and the groups that their names tell."""
        return cls(names, *coarse_groups(names))

    @property
    def num_groups(self) -> int:
        """Number of verb groups."""
        return len(self.group_names)


def summarize(
    probabilities: Probabilities,
    layer_probabilities: Sequence[LayerProbabilities],
    labels: Labels,
    classes: Classes,
    *,
    num_coarse_layers: int = 0,
    layer_names: Sequence[str] | None = None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """Compute every metric of scored clips.

    Args:
        probabilities: Softmax of the classifier, averaged over views.
        layer_probabilities: The same of each earlier layer's own head, first layer first.
        labels: True class of each clip.
        classes: Names and groups of the classes.
        num_coarse_layers: The first so many layers speak of verb groups instead of classes.
        layer_names: Names of the earlier layers; they are numbered by default.
        temperature: Temperature that was fitted on held-out clips, to report what it mends.
    """
    predictions = probabilities.argmax(axis=1)
    correct = predictions == labels
    confusion = metrics.confusion_matrix(labels, predictions, len(classes.names))
    return {
        "num_scored": len(labels),
        "top1": proportion(correct),
        "top5": proportion(metrics.top_k_correct(probabilities, labels, 5)),
        "mean_class_accuracy": {
            "value": metrics.mean_class_accuracy(correct, labels),
            "interval": metrics.mean_class_interval(correct, labels),
        },
        "layers": _layers(
            [*layer_probabilities, probabilities],
            [*(layer_names or _numbered(len(layer_probabilities))), "classifier"],
            labels,
            classes,
            num_coarse_layers,
        ),
        "groups": _groups(correct, labels, classes),
        "classes": _classes(confusion, classes.names),
        "confusion": confusion.tolist(),
        "calibration": _calibration(probabilities, labels, temperature),
    }


def _numbered(num_layers: int) -> list[str]:
    return [f"layer {number}" for number in range(1, num_layers + 1)]


def _layers(
    layer_probabilities: Sequence[LayerProbabilities],
    names: Sequence[str],
    labels: Labels,
    classes: Classes,
    num_coarse_layers: int,
) -> list[dict[str, Any]]:
    """Accuracy after each layer; the last entry is the classifier itself.

    Every layer is also measured on verb groups, the only thing that coarse layers answer,
    so that all layers can be read along one line.
    """
    group_labels = classes.group_of_class[labels]
    layers = []
    for index, (name, layer) in enumerate(zip(names, layer_probabilities, strict=True)):
        coarse = index < num_coarse_layers
        groups = layer
        if not coarse:
            groups = metrics.group_probabilities(layer, classes.group_of_class, len(classes.group_names))
        layers.append(
            {
                "name": name,
                "top1": None if coarse else proportion(layer.argmax(axis=1) == labels),
                "group_top1": proportion(groups.argmax(axis=1) == group_labels),
            }
        )
    return layers


def _groups(correct: Bool[np.ndarray, " clips"], labels: Labels, classes: Classes) -> list[dict[str, Any]]:
    """Accuracy over the clips of each verb group; groups without clips are left out.

    There are none where every class is a group of its own, as classes that are no sentences are.
    """
    if classes.num_groups == len(classes.names):
        return []
    group_labels = classes.group_of_class[labels]
    return [
        {
            "name": name,
            "num_classes": int((classes.group_of_class == group).sum()),
            "support": int((group_labels == group).sum()),
            "top1": proportion(correct[group_labels == group]),
        }
        for group, name in enumerate(classes.group_names)
        if (group_labels == group).any()
    ]


def _classes(confusion: Int[np.ndarray, "classes classes"], names: Sequence[str]) -> list[dict[str, Any]]:
    scores = metrics.class_scores(confusion)
    return [
        {
            "name": name,
            "support": int(scores.support[c]),
            "num_predicted": int(scores.num_predicted[c]),
            "recall": _number(scores.recall[c]),
            "recall_interval": wilson(int(confusion[c, c]), int(scores.support[c])),
            "precision": _number(scores.precision[c]),
        }
        for c, name in enumerate(names)
    ]


def _calibration(probabilities: Probabilities, labels: Labels, temperature: float | None) -> dict[str, Any]:
    bins = calibration.reliability(probabilities, labels)
    record: dict[str, Any] = {
        "expected_error": bins.expected_error,
        "negative_log_likelihood": calibration.negative_log_likelihood(probabilities, labels),
        "bins": {
            "edges": bins.edges.tolist(),
            "count": bins.count.tolist(),
            "confidence": [_number(value) for value in bins.confidence],
            "accuracy": [_number(value) for value in bins.accuracy],
        },
        "temperature": temperature,
    }
    if temperature is not None:
        scaled = calibration.apply_temperature(probabilities, temperature)
        record["with_temperature"] = {
            "expected_error": calibration.reliability(scaled, labels).expected_error,
            "negative_log_likelihood": calibration.negative_log_likelihood(scaled, labels),
        }
    return record


def _number(value: float) -> float | None:
    """JSON has no NaN: what no clip decides is null."""
    return None if math.isnan(value) else float(value)
