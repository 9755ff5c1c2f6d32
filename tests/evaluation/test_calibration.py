"""Calibration error and temperature."""

import numpy as np
import pytest

from gasm_cast.evaluation import calibration


def clips_with_temperature(temperature: float, num: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Clips whose labels follow softmax(logits) and whose probabilities are softmax(logits / T)."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(num, 6)) * 2
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < generator.random((num, 1))).sum(axis=1)
    flattened = np.exp(logits / temperature)
    return flattened / flattened.sum(axis=1, keepdims=True), labels


def test_expected_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    labels = np.array([0, 1, 0, 1])
    result = calibration.reliability(probabilities, labels, num_bins=5)
    assert result.count.tolist() == [0, 0, 2, 0, 2]
    assert result.accuracy[[2, 4]].tolist() == [1.0, 0.5]
    assert result.expected_error == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_certain_clips_fall_into_the_last_bin() -> None:
    result = calibration.reliability(np.array([[1.0, 0.0]]), np.array([0]), num_bins=10)
    assert result.count.tolist() == [0] * 9 + [1]
    assert result.expected_error == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(temperature: float) -> None:
    probabilities, labels = clips_with_temperature(temperature)
    assert calibration.fit_temperature(probabilities, labels) == pytest.approx(1 / temperature, rel=0.06)


def test_temperature_lowers_the_error_and_keeps_the_order() -> None:
    probabilities, labels = clips_with_temperature(0.4)
    cooled = calibration.apply_temperature(
        probabilities, calibration.fit_temperature(probabilities[:2000], labels[:2000])
    )
    before = calibration.reliability(probabilities[2000:], labels[2000:]).expected_error
    after = calibration.reliability(cooled[2000:], labels[2000:]).expected_error
    assert before > 0.15
    assert after < 0.03
    assert (cooled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(cooled.sum(axis=1), 1)


def test_temperature_1_changes_nothing() -> None:
    probabilities, _ = clips_with_temperature(1.0, num=10)
    np.testing.assert_allclose(calibration.apply_temperature(probabilities, 1.0), probabilities)


def test_a_probability_of_zero_costs_much_but_not_infinitely() -> None:
    loss = calibration.negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1]))
    assert 80 < loss < 90
    assert np.isfinite(calibration.fit_temperature(np.array([[1.0, 0.0]]), np.array([1])))
