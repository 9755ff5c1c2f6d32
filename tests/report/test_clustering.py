"""The order of classes brings those together that are confused."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.report.clustering import confusion_order


@given(st.permutations(range(9)))
def test_planted_blocks_become_neighbours(shuffle: list[int]) -> None:
    block = np.arange(9) // 3
    confusion = np.where(block[:, None] == block[None, :], 5, 0) + 20 * np.eye(9, dtype=int)
    order = confusion_order(confusion[np.ix_(shuffle, shuffle)])
    blocks = block[np.array(shuffle)[order]].tolist()
    assert sorted(order.tolist()) == list(range(9))
    assert sum(a != b for a, b in pairwise(blocks)) == 2


def test_a_chain_of_confusions_is_laid_out_as_a_chain() -> None:
    chain = [3, 0, 4, 1, 2]
    confusion = 10 * np.eye(5, dtype=int)
    for weight, (a, b) in enumerate(pairwise(chain), start=3):
        confusion[a, b] = weight
    assert confusion_order(confusion).tolist() in (chain, chain[::-1])


def test_classes_without_clips_are_kept() -> None:
    assert sorted(confusion_order(np.zeros((4, 4), dtype=int)).tolist()) == [0, 1, 2, 3]
