"""Metrics equal short, obvious counts in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.evaluation import metrics


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


def test_mean_class_interval_keeps_every_class_in_every_sample() -> None:
    """One clip in a class: it is never lost, so a class that is all right or all wrong stays so."""
    labels = np.array([0] * 50 + [1])
    assert metrics.mean_class_interval(labels == 0, labels) == (0.5, 0.5)


def test_group_probabilities_are_sums_over_classes() -> None:
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4]])
    grouped = metrics.group_probabilities(probabilities, np.array([1, 0, 1, 0]), 2)
    np.testing.assert_allclose(grouped, [[0.6, 0.4]])
