"""An order of classes that puts those next to each other which a model confuses."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def confusion_order(confusion: Int[np.ndarray, "classes classes"]) -> Int[np.ndarray, " classes"]:
    """Order classes so that confusions lie near the diagonal.

    Average-linkage clustering: the two groups of classes with the largest mean confusion
    between their members are joined until one is left; when two are joined, each is turned
    so that the most similar ends meet. Confusion of i and j is the mean of the shares of
    i's clips called j and of j's clips called i. Deterministic; ties go to lower indices.

    Args:
        confusion: Clips of each true class (row) given each class (column).
    """
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    similarity = (share + share.T) / 2
    chains = [[c] for c in range(len(confusion))]
    linkage = similarity.copy()
    np.fill_diagonal(linkage, -1)
    while len(chains) > 1:
        a, b = sorted(divmod(int(linkage.argmax()), len(chains)))
        merged = _join(chains[a], chains[b], similarity)
        weights = len(chains[a]), len(chains[b])
        row = (linkage[a] * weights[0] + linkage[b] * weights[1]) / sum(weights)
        linkage[a], linkage[:, a] = row, row
        linkage[a, a] = -1
        linkage = np.delete(np.delete(linkage, b, axis=0), b, axis=1)
        chains[a] = merged
        del chains[b]
    return np.array(chains[0])


def _join(
    first: list[int], second: list[int], similarity: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> list[int]:
    options = [left + right for left in (first, first[::-1]) for right in (second, second[::-1])]
    return max(options, key=lambda chain: similarity[chain[len(first) - 1], chain[len(first)]])
