"""The figures of a paper, of a size at which they can be read in print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gasm_cast.report import figures
from gasm_cast.report.clustering import confusion_order
from gasm_cast.report.models import ModelSummary

MOST_NAMES = 32
"""Classes whose names can be read beside a matrix that is as wide as a page."""


def draw(models: Sequence[ModelSummary]) -> dict[str, Figure]:
    """Every figure by its name; those of one model are of the first.

    Scores and the ends of their intervals are means over the seeds of a model; confusions
    and confidences are those of all of its seeds.
    """
    ours = models[0]
    metrics = ours.metrics
    scores = [model.metrics["top1"] for model in models]
    matrix = np.array(metrics["confusion"])
    names = ours.class_names if names_are_legible(ours) else None
    drawn = {
        "accuracy": figures.forest(
            [model.name for model in models],
            [100 * score["value"] for score in scores],
            [(100 * score["interval"][0], 100 * score["interval"][1]) for score in scores],
            "top-1 accuracy (%), 95% interval",
        ),
        "confusion": figures.confusion(matrix, names, confusion_order(matrix)),
        "reliability": figures.reliability(metrics["calibration"]["bins"], ours.name),
    }
    if len(metrics["layers"]) > 1:
        key = "group_top1" if ours.has_verb_groups else "top1"
        drawn["layers"] = figures.layer_accuracy({ours.name: ours.layers}, key)
    return drawn


def names_are_legible(model: ModelSummary) -> bool:
    """Whether a confusion matrix on a page has room for the names of the classes."""
    return len(model.class_names) <= MOST_NAMES
