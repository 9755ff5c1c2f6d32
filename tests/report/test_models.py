"""Means over seeds are those of the runs, and what is summed is summed."""

import numpy as np
import pytest

from gasm_cast import report
from gasm_cast.report.models import ModelSummary, mean_metrics, mean_score

from .conftest import MakeRun


@pytest.fixture
def model(make_run: MakeRun) -> ModelSummary:
    groups = report.read_groups([make_run(f"ours-{seed}", seed=seed, skill=1.5) for seed in range(3)])
    return ModelSummary("gasm-cast", tuple(groups["gasm-cast"]))


def test_scores_and_ends_of_intervals_are_means(model: ModelSummary) -> None:
    for key in ("top1", "top5", "mean_class_accuracy"):
        single = [run.metrics[key] for run in model.runs]
        assert model.metrics[key]["value"] == pytest.approx(np.mean([score["value"] for score in single]))
        assert model.metrics[key]["interval"] == pytest.approx(
            np.mean([score["interval"] for score in single], axis=0)
        )
    assert len({run.metrics["top1"]["value"] for run in model.runs}) > 1


def test_recall_and_precision_are_those_of_the_summed_confusion_matrix(model: ModelSummary) -> None:
    confusion = np.sum([run.metrics["confusion"] for run in model.runs], axis=0)
    assert np.array_equal(model.metrics["confusion"], confusion)
    for c, entry in enumerate(model.metrics["classes"]):
        assert entry["recall"] == pytest.approx(confusion[c, c] / confusion[c].sum())
        assert entry["precision"] == pytest.approx(confusion[c, c] / confusion[:, c].sum())
        assert entry["support"] == model.first.metrics["classes"][c]["support"]


def test_bins_of_confidence_hold_the_answers_of_all_seeds(model: ModelSummary) -> None:
    bins = model.metrics["calibration"]["bins"]
    correct = sum(run.predictions.correct.sum() for run in model.runs)
    assert sum(bins["count"]) == 3 * model.metrics["num_scored"]
    right = [c * a for c, a in zip(bins["count"], bins["accuracy"], strict=True) if a is not None]
    assert sum(right) == pytest.approx(correct)
    assert all((c == 0) == (a is None) for c, a in zip(bins["count"], bins["accuracy"], strict=True))


def test_layers_and_groups_are_means_by_name(model: ModelSummary) -> None:
    for key in ("layers", "groups"):
        for place, entry in enumerate(model.metrics[key]):
            single = [run.metrics[key][place] for run in model.runs]
            assert {one["name"] for one in single} == {entry["name"]}
            assert entry["top1"]["value"] == pytest.approx(np.mean([one["top1"]["value"] for one in single]))


def test_one_run_is_its_own_mean(model: ModelSummary) -> None:
    assert mean_metrics([model.first.metrics]) is model.first.metrics


def test_the_mean_with_a_missing_score_is_missing() -> None:
    score = {"value": 0.5, "interval": [0.4, 0.6]}
    assert mean_score([score, score]) == score
    assert mean_score([score, None]) is None
