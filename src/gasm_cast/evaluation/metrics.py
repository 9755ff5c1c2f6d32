"""Metrics of a classifier, as plain counts over numpy arrays.

One array in, one number or array out, each a few lines that can be checked by eye. All
ties are broken by the lower class index, as `argmax` does, so that top-1 accuracy and the
confusion matrix always agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from gasm_cast.evaluation.intervals import Interval, bootstrap

Probabilities = Float[np.ndarray, "clips classes"]
LayerProbabilities = Float[np.ndarray, "clips _"]
"""Of a layer's own head: over classes, or over verb groups."""
Labels = Int[np.ndarray, " clips"]


def top_k_correct(probabilities: Probabilities, labels: Labels, k: int) -> Bool[np.ndarray, " clips"]:
    """Whether the label is among the `min(k, classes)` most probable classes, a clip."""
    of_label = np.take_along_axis(probabilities, labels[:, None], axis=1)
    ahead = probabilities > of_label
    tied_ahead = (probabilities == of_label) & (np.arange(probabilities.shape[1]) < labels[:, None])
    return np.asarray((ahead | tied_ahead).sum(axis=1) < k)


def confusion_matrix(
    labels: Labels, predictions: Labels, num_classes: int
) -> Int[np.ndarray, "classes classes"]:
    """Clips of each true class (row) that were given each class (column)."""
    cells = labels * num_classes + predictions
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class ClassScores:
    """Recall and precision of each class; NaN where no clip decides them."""

    recall: Float[np.ndarray, " classes"]
    """Share of the class's clips that were recognised; NaN for a class without clips."""
    precision: Float[np.ndarray, " classes"]
    """Share of the clips given this class that are of it; NaN for a class never given."""
    support: Int[np.ndarray, " classes"]
    """Clips of the class."""
    num_predicted: Int[np.ndarray, " classes"]
    """Clips given the class."""


def class_scores(confusion: Int[np.ndarray, "classes classes"]) -> ClassScores:
    """Per-class scores from a confusion matrix with true classes as rows."""
    correct = np.diag(confusion)
    support, num_predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    recall = np.divide(correct, support, out=np.full(len(correct), np.nan), where=support > 0)
    precision = np.divide(correct, num_predicted, out=np.full(len(correct), np.nan), where=num_predicted > 0)
    return ClassScores(recall, precision, support, num_predicted)


def mean_class_accuracy(correct: Bool[np.ndarray, " clips"], labels: Labels) -> float:
    """Mean of the recall over the classes that have clips."""
    support = np.bincount(labels)
    recall = np.bincount(labels, weights=correct)[support > 0] / support[support > 0]
    return float(recall.mean())


def mean_class_interval(
    correct: Bool[np.ndarray, " clips"], labels: Labels, *, num_draws: int = 1000, seed: int = 0
) -> Interval:
    """Bootstrap interval of the mean class accuracy; clips are drawn within their class.

    Drawing within classes keeps every class in every sample, so that the statistic is the
    same mean in all of them.
    """
    order = np.argsort(labels, kind="stable")
    labels, correct = labels[order], correct[order]
    support = np.bincount(labels)
    first_of_class = (np.cumsum(support) - support)[labels]
    size_of_class = support[labels]

    def resample(generator: np.random.Generator) -> float:
        drawn = first_of_class + (generator.random(len(labels)) * size_of_class).astype(np.int64)
        return mean_class_accuracy(correct[drawn], labels)

    return bootstrap(resample, num_draws=num_draws, seed=seed)


def group_probabilities(
    probabilities: Probabilities, group_of_class: Int[np.ndarray, " classes"], num_groups: int
) -> Float[np.ndarray, "clips groups"]:
    """Probability of each group of classes: the sum over its classes."""
    membership = np.zeros((len(group_of_class), num_groups), dtype=probabilities.dtype)
    membership[np.arange(len(group_of_class)), group_of_class] = 1
    return probabilities @ membership
