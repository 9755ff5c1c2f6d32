"""Plain measures of what features tell, without anything to tune."""

from __future__ import annotations

import numpy as np


def standardized(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Rows with each channel's mean and deviation over `train` taken out."""
    mean, std = train.mean(0), train.std(0) + 1e-6
    return [(rows - mean) / std for rows in (train, *others)]


def nearest(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Index of the most similar training row (cosine, standardised channels) of each test row."""
    train, test = (x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9) for x in standardized(train, test))
    index: np.ndarray = (test @ train.T).argmax(1)
    return index


def ridge_scores(
    train: np.ndarray, targets: np.ndarray, test: np.ndarray, penalties: tuple[float, ...] = (0.1, 1, 10, 100)
) -> np.ndarray:
    """Scores of test rows by ridge regression on +-1 targets.

    The penalty (relative to the mean squared length of a row) is the one with the least
    leave-one-out error on the training rows, which ridge regression has in closed form.
    """
    train, test = standardized(train, test)
    gram = train @ train.T
    values, vectors = np.linalg.eigh(gram / np.trace(gram) * len(gram))
    centred = targets - targets.mean(0)
    best = None
    for penalty in penalties:
        inverse = (vectors / (np.maximum(values, 0) + penalty)) @ vectors.T
        dual = inverse @ centred
        error = float(np.square(dual / np.diag(inverse)[:, None]).mean())
        if best is None or error < best[0]:
            best = (error, dual)
    assert best is not None
    return test @ train.T / np.trace(gram) * len(gram) @ best[1] + targets.mean(0)


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under precision over recall, of one binary task."""
    hits = positive[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
