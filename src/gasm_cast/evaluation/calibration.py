"""Calibration: whether a confidence of 0.8 is right in eight of ten clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gasm_cast.evaluation.metrics import Labels, Probabilities

_SMALLEST = float(np.finfo(np.float32).tiny)  # keeps log finite where a probability underflowed


@dataclass(frozen=True)
class Reliability:
    """Clips sorted into equal bins of confidence, the probability of the predicted class."""

    edges: Float[np.ndarray, " edges"]
    """Bin borders from 0 to 1; a clip on a border belongs to the bin below it."""
    count: Int[np.ndarray, " bins"]
    """Clips in each bin."""
    confidence: Float[np.ndarray, " bins"]
    """Mean confidence in each bin; NaN in an empty one."""
    accuracy: Float[np.ndarray, " bins"]
    """Share of right clips in each bin; NaN in an empty one."""

    @property
    def expected_error(self) -> float:
        """Expected calibration error, `sum_b count_b / n |accuracy_b - confidence_b|`.

        Source: Guo et al., On calibration of modern neural networks, ICML 2017, equation 3.
        """
        filled = self.count > 0
        gap = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((self.count[filled] * gap).sum() / self.count.sum())


def reliability(probabilities: Probabilities, labels: Labels, num_bins: int = 15) -> Reliability:
    """Sort the clips into bins of confidence."""
    predictions = probabilities.argmax(axis=1)
    confidence = np.clip(probabilities.max(axis=1).astype(np.float64), 0, 1)
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, num_bins - 1)
    count = np.bincount(bins, minlength=num_bins)

    def mean(values: Float[np.ndarray, " clips"]) -> Float[np.ndarray, " bins"]:
        total = np.bincount(bins, weights=values, minlength=num_bins)
        return np.asarray(np.divide(total, count, out=np.full(num_bins, np.nan), where=count > 0))

    return Reliability(edges, count, mean(confidence), mean((predictions == labels).astype(np.float64)))


def negative_log_likelihood(probabilities: Probabilities, labels: Labels) -> float:
    """Mean of `-log p` of the label, in nats."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_label, _SMALLEST)).mean())


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """Temperature T that makes `softmax(log p / T)` most likely.

    The likelihood is concave in 1/T, so that its derivative, the mean log probability
    under the model less that of the labels, is bisected. Fit it on clips held out of the
    training split; on the split that is reported it would flatter.

    Returns:
        T in [0.01, 100]; an end of the range where all clips are right, or none helps.

    Source: Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2.
    """
    log_p = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    target = log_p[np.arange(len(labels)), labels].mean()
    low, high = np.log(0.01), np.log(100)  # of 1/T
    for _ in range(50):
        middle = (low + high) / 2
        scaled = _softmax(np.exp(middle) * log_p)
        if (scaled * log_p).sum(axis=1).mean() < target:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def apply_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """`softmax(log p / T)`: T above 1 flattens; the order of the classes stays."""
    log_p = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    return _softmax(log_p / temperature).astype(probabilities.dtype)


def _softmax(logits: Float[np.ndarray, "clips classes"]) -> Float[np.ndarray, "clips classes"]:
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))
