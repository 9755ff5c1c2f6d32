"""Comparisons count the same clips, and say how sure they are."""

import dataclasses

import numpy as np
import pytest

from gasm_cast.errors import InputError
from gasm_cast.evaluation.comparison import Side, compare
from gasm_cast.evaluation.intervals import mcnemar
from gasm_cast.predictions import Predictions

NAMES = ("up", "down", "still")


def predictions(right: np.ndarray, *, first: int = 0) -> Predictions:
    """Clips `first ...` of class i % 3, right where asked and else taken for the next class."""
    labels = np.arange(first, first + len(right)) % 3
    said = np.where(right, labels, (labels + 1) % 3)
    return Predictions(
        ids=tuple(f"c{first + i}" for i in range(len(right))),
        labels=labels,
        probabilities=np.eye(3, dtype=np.float32)[said],
        layer_predictions=np.empty((len(right), 0), dtype=np.int64),
        class_names=NAMES,
    )


def side(name: str, *runs: Predictions) -> Side:
    return Side(name, runs)


def test_one_seed_each_by_hand() -> None:
    right_a = np.array([1, 1, 1, 1, 0, 0, 1, 1], dtype=bool)
    right_b = np.array([1, 1, 0, 0, 1, 0, 0, 0], dtype=bool)
    found = compare(side("a", predictions(right_a)), side("b", predictions(right_b)))
    assert (found.accuracy_a, found.accuracy_b, found.difference) == (6 / 8, 3 / 8, 3 / 8)
    assert found.only_a == ("c2", "c3", "c6", "c7")
    assert found.only_b == ("c4",)
    assert (found.p_value, found.test) == (mcnemar(4, 1), "McNemar")
    assert found.interval.low < found.difference < found.interval.high


def test_seeds_are_averaged_clip_by_clip() -> None:
    a = [predictions(np.array(row, dtype=bool)) for row in ([1, 1, 0, 0], [1, 0, 0, 0])]
    b = [predictions(np.array(row, dtype=bool)) for row in ([1, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 1])]
    found = compare(side("a", *a), side("b", *b))
    assert found.right_a.tolist() == [1, 0.5, 0, 0]
    assert found.right_b.tolist() == pytest.approx([2 / 3, 0, 0, 1])
    assert found.difference == pytest.approx(1.5 / 4 - (2 / 3 + 1) / 4)
    assert (found.only_a, found.only_b) == (("c0", "c1"), ("c3",))


def test_the_luck_of_seeds_is_no_difference_between_models() -> None:
    """Seeds of 40 to 75% against steady ones: ten points ahead in the mean, and nothing proven."""
    generator = np.random.default_rng(2)
    lucky = [predictions(generator.random(500) < share) for share in (0.4, 0.75, 0.75)]
    steady = [predictions(generator.random(500) < 0.5) for _ in range(3)]
    found = compare(side("a", *lucky), side("b", *steady))
    assert found.difference > 0.08
    assert mcnemar(len(found.only_a), len(found.only_b)) < 0.001  # what takes these seeds as given
    assert (found.test, found.record["test"]) == ("t", "t")
    assert found.p_value > 0.05
    assert found.interval.low < 0 < found.interval.high
    # One run of a model says nothing of its seeds, but those of the other are still drawn.
    assert compare(side("a", *lucky), side("b", steady[0])).test == "t"


def test_only_common_clips_count_whatever_their_order() -> None:
    right = np.random.default_rng(0).random(20) < 0.6
    a, b = predictions(right[:15]), predictions(right[5:], first=5)
    order = np.random.default_rng(1).permutation(15)
    b = dataclasses.replace(
        b,
        ids=tuple(b.ids[i] for i in order),
        labels=b.labels[order],
        probabilities=b.probabilities[order],
    )
    found = compare(side("a", a), side("b", b))
    assert found.ids == tuple(f"c{i}" for i in range(5, 15))
    assert found.num_left_out == 10
    assert found.difference == 0
    assert tuple(found.interval) == (0, 0)
    assert found.p_value == 1


def test_swapping_the_sides_mirrors_the_result() -> None:
    generator = np.random.default_rng(0)
    a, b = (side(name, predictions(generator.random(300) < p)) for name, p in (("a", 0.7), ("b", 0.5)))
    there, back = compare(a, b), compare(b, a)
    assert there.difference == -back.difference
    assert there.p_value == back.p_value < 0.01
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low), abs=0.005)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(24):
        shared = generator.random(200)
        a, b = shared < 0.7, np.where(generator.random(200) < 0.2, generator.random(200), shared) < 0.6
        found = compare(side("a", predictions(a)), side("b", predictions(b)))
        covered += found.interval.low <= 0.1 <= found.interval.high
    assert covered >= 20  # 23 expected


def test_other_labels_classes_or_clips_are_refused() -> None:
    a = predictions(np.ones(6, dtype=bool))
    other_labels = dataclasses.replace(a, labels=(a.labels + 1) % 3)
    with pytest.raises(InputError, match="clip c0 is of class 0 in one run and 1 in another"):
        compare(side("a", a), side("b", other_labels))
    with pytest.raises(InputError, match="class 0"):
        compare(side("a", a), side("b", dataclasses.replace(a, class_names=NAMES[::-1])))
    with pytest.raises(InputError, match="no clip in common"):
        compare(side("a", a), side("b", predictions(np.ones(6, dtype=bool), first=6)))
