"""Metrics equal short, obvious counts in plain Python."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.evaluation import metrics
from gasm_cast.evaluation.intervals import wilson
from gasm_cast.evaluation.summary import Classes, summarize


@st.composite
def scored_clips(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities on a coarse lattice, so that ties are common, and labels."""
    num_classes = draw(st.integers(1, 8))
    num_clips = draw(st.integers(1, 12))
    weights = draw(
        st.lists(
            st.lists(st.integers(1, 4), min_size=num_classes, max_size=num_classes),
            min_size=num_clips,
            max_size=num_clips,
        )
    )
    labels = draw(st.lists(st.integers(0, num_classes - 1), min_size=num_clips, max_size=num_clips))
    values = np.array(weights, dtype=np.float64)
    return values / values.sum(axis=1, keepdims=True), np.array(labels)


@given(scored_clips(), st.integers(1, 6))
def test_top_k_equals_a_five_line_count(clips: tuple[np.ndarray, np.ndarray], k: int) -> None:
    probabilities, labels = clips
    expected = []
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        ranked = sorted(range(len(row)), key=lambda c: (-row[c], c))
        expected.append(label in ranked[:k])
    assert metrics.top_k_correct(probabilities, labels, k).tolist() == expected


@given(scored_clips())
def test_top_1_and_the_confusion_matrix_agree(clips: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = clips
    num_classes = probabilities.shape[1]
    confusion = metrics.confusion_matrix(labels, probabilities.argmax(axis=1), num_classes)
    assert confusion.sum() == len(labels)
    assert np.trace(confusion) == metrics.top_k_correct(probabilities, labels, 1).sum()
    assert confusion.sum(axis=1).tolist() == [int((labels == c).sum()) for c in range(num_classes)]


def test_top_5_of_three_classes_is_always_right() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    assert metrics.top_k_correct(probabilities, np.array([2, 1]), 5).all()


@given(scored_clips())
def test_class_scores_equal_counts(clips: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = clips
    num_classes = probabilities.shape[1]
    predictions = probabilities.argmax(axis=1)
    scores = metrics.class_scores(metrics.confusion_matrix(labels, predictions, num_classes))
    pairs = list(zip(labels.tolist(), predictions.tolist(), strict=True))
    recalls = []
    for c in range(num_classes):
        hits = sum(label == c == prediction for label, prediction in pairs)
        support = sum(label == c for label, _ in pairs)
        given_c = sum(prediction == c for _, prediction in pairs)
        assert (scores.support[c], scores.num_predicted[c]) == (support, given_c)
        np.testing.assert_equal(scores.recall[c], hits / support if support else math.nan)
        np.testing.assert_equal(scores.precision[c], hits / given_c if given_c else math.nan)
        recalls += [hits / support] if support else []
    mean = metrics.mean_class_accuracy(predictions == labels, labels)
    assert mean == pytest.approx(sum(recalls) / len(recalls))


def test_mean_class_accuracy_weighs_classes_and_not_clips() -> None:
    labels = np.array([0] * 9 + [1])
    assert metrics.mean_class_accuracy(labels == 0, labels) == 0.5


def test_mean_class_interval_covers_and_narrows_with_clips() -> None:
    generator = np.random.default_rng(0)
    few, many = (generator.integers(3, size=n) for n in (30, 3000))
    low, high = metrics.mean_class_interval(generator.random(30) < 0.7, few)
    low_many, high_many = metrics.mean_class_interval(generator.random(3000) < 0.7, many)
    assert low < 0.7 < high
    assert low_many < 0.7 < high_many
    assert high_many - low_many < (high - low) / 5


@given(scored_clips())
def test_mean_class_interval_holds_the_mean_and_has_a_width(clips: tuple[np.ndarray, np.ndarray]) -> None:
    """Also of one clip a class, and where each class is all right or all wrong."""
    probabilities, labels = clips
    correct = probabilities.argmax(axis=1) == labels
    low, high = metrics.mean_class_interval(correct, labels)
    assert 0 <= low <= metrics.mean_class_accuracy(correct, labels) <= high <= 1
    assert high - low > 0.1  # of at most 12 clips; Wilson's of 12 clips that are all right is 0.24 wide


@given(st.integers(1, 6), st.lists(st.booleans(), min_size=1, max_size=30))
def test_mean_class_interval_of_equal_classes_is_that_of_all_clips(
    num_classes: int, correct: list[bool]
) -> None:
    """Classes of one size and difficulty tell no more than their clips together."""
    everywhere = np.tile(correct, num_classes)
    labels = np.repeat(np.arange(num_classes), len(correct))
    low, high = metrics.mean_class_interval(everywhere, labels)
    expected = wilson(int(everywhere.sum()), len(labels))
    np.testing.assert_allclose(high - low, expected.high - expected.low, rtol=0.16)
    if all(correct) or not any(correct):
        np.testing.assert_allclose((low, high), expected)


@pytest.mark.parametrize(
    ("recall", "support", "at_most"),
    [
        ([0.25] * 4, [2] * 4, 99),
        ([0.98] * 10, [6] * 10, 99),
        ([0.5] * 32, [3] * 32, 97),
        ([0.5] * 174, [1] * 174, 97),
        (np.linspace(0.2, 1.0, 174), [40] * 174, 97),
        (np.linspace(0.2, 1.0, 174), np.linspace(5, 300, 174), 97),
        ([0.95] * 10 + [0.5] * 10, [200] * 10 + [5] * 10, 97),
    ],
    ids=["few", "nearly all", "small", "one clip a class", "unlike", "unlike sizes", "rare and hard"],
)
def test_mean_class_interval_covers_in_simulation(
    recall: Sequence[float], support: Sequence[float], at_most: float
) -> None:
    generator = np.random.default_rng(0)
    truth = float(np.mean(recall))
    labels = np.repeat(np.arange(len(recall)), np.asarray(support, dtype=np.int64))
    chance = np.asarray(recall)[labels]
    covers = []
    for _ in range(1000):
        low, high = metrics.mean_class_interval(generator.random(len(labels)) < chance, labels)
        covers.append(low <= truth <= high)
    assert 92 <= 100 * np.mean(covers) <= at_most


def test_group_probabilities_are_sums_over_classes() -> None:
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4]])
    grouped = metrics.group_probabilities(probabilities, np.array([1, 0, 1, 0]), 2)
    np.testing.assert_allclose(grouped, [[0.6, 0.4]])


def test_verb_groups_that_are_the_classes_again_are_left_out() -> None:
    probabilities, labels = np.eye(2, dtype=np.float32), np.array([0, 1])
    own = summarize(probabilities, [], labels, Classes.of_names(("fight", "calm")))
    assert own["groups"] == []
    shared = summarize(probabilities, [], labels, Classes.of_names(("Lifting a", "Lifting b")))
    assert [group["num_classes"] for group in shared["groups"]] == [2]
