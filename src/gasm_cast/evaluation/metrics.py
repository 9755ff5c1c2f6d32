"""Metrics of a classifier, as plain counts over numpy arrays.

One array in, one number or array out, each a few lines that can be checked by eye. All
ties are broken by the lower class index, as `argmax` does, so that top-1 accuracy and the
confusion matrix always agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float, Int

from gasm_cast.evaluation.intervals import Interval, wilson

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
    correct: Bool[np.ndarray, " clips"], labels: Labels, *, confidence: float = 0.95
) -> Interval:
    """Interval of the mean class accuracy: Wilson's, for as many clips as the mean is worth.

    The mean m over K classes with n_c clips each would be known as well as the share of
    `n = K^2 / sum_c 1/n_c` clips, if all classes were equally hard. That they are not
    multiplies its variance by the design effect

        d = sum_c w_c / n_c / sum_c a_c / n_c,

    with w_c the variance of a clip's being right within class c, and a_c the variance if the
    class were as hard as all are together. The interval is Wilson's of m from n / d clips.
    A class shows little of w_c by few clips, nothing by a single one; so w_c and a_c both
    count z^2 more clips, of the variance b of Wilson's centre (as Agresti and Coull do):

        w_c = (n_c p_c (1 - p_c) + z^2 b) / (n_c - 1 + z^2)
        a_c = ((n_c - 1) m (1 - m) + z^2 b) / (n_c - 1 + z^2)

    So it always has a width, even where each class is all right or all wrong, as a bootstrap
    within classes has not.

    Source: Kish, Survey sampling, 1965 (design effect); Franco, Little, Louis and Slud,
    Journal of Survey Statistics and Methodology 7, 2019 (Wilson's interval with it);
    Agresti and Coull, American Statistician 52, 1998.
    """
    z_squared = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    counts = np.bincount(labels)
    support = counts[counts > 0]
    share = np.bincount(labels, weights=correct)[counts > 0] / support
    mean = float(share.mean())
    num = len(support) ** 2 / float((1 / support).sum())
    centre = (mean * num + z_squared / 2) / (num + z_squared)
    pseudo = z_squared * centre * (1 - centre)
    within = (support * share * (1 - share) + pseudo) / (support - 1 + z_squared)
    alike = ((support - 1) * mean * (1 - mean) + pseudo) / (support - 1 + z_squared)
    num_worth = num * float((alike / support).sum() / (within / support).sum())
    return wilson(mean * num_worth, num_worth, confidence)


def group_probabilities(
    probabilities: Probabilities, group_of_class: Int[np.ndarray, " classes"], num_groups: int
) -> Float[np.ndarray, "clips groups"]:
    """Probability of each group of classes: the sum over its classes."""
    membership = np.zeros((len(group_of_class), num_groups), dtype=probabilities.dtype)
    membership[np.arange(len(group_of_class)), group_of_class] = 1
    return probabilities @ membership
