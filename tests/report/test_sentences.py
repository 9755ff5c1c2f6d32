"""Sentences say what is there, and how to get what is not."""

import dataclasses
import json

import pytest

from gasm_cast import report
from gasm_cast.config import DataConfig, Recipe
from gasm_cast.report import sentences
from gasm_cast.report.models import ModelSummary

from .conftest import MakeRun

DIFFERENCES = (
    {"b": "linear", "accuracy_b": 0.6, "difference": 0.1, "interval": (0.05, 0.15)},
    {"b": "cast", "accuracy_b": 0.72, "difference": -0.02, "interval": (-0.04, 0.01)},
)


@pytest.fixture
def model(make_run: MakeRun) -> ModelSummary:
    return ModelSummary("ours", (report.read_run(make_run("ours")),))


def test_the_lede_names_the_best_of_the_others_and_the_interval_of_the_difference(
    model: ModelSummary,
) -> None:
    assert "points" not in sentences.lede(model, [])
    one = sentences.lede(model, DIFFERENCES[:1])
    assert one.endswith(
        "That is 10.0 points more than linear (95% interval of the paired difference +5.0 to +15.0)."
    )
    both = sentences.lede(model, DIFFERENCES)
    assert "That is 2.0 points less than cast, the best of the others" in both
    equal = sentences.lede(model, [{**DIFFERENCES[0], "difference": -0.0004}])
    assert "That is level with linear (95%" in equal


def test_calibration_tells_the_temperature_or_why_there_is_none(model: ModelSummary) -> None:
    assert "A temperature of 1.30, fitted on held-out training clips" in sentences.calibration(model)
    metrics = {**model.metrics, "calibration": {**model.metrics["calibration"], "temperature": None}}
    without = ModelSummary("ours", (dataclasses.replace(model.first, metrics=metrics),))
    assert "`data.held_out` above 0" in sentences.calibration(without)
    held_out = dataclasses.replace(without.first, recipe=Recipe(data=DataConfig(held_out=0.1)))
    assert "temperature" not in sentences.calibration(ModelSummary("ours", (held_out,)))


def test_cost_tells_the_device_or_how_to_measure(model: ModelSummary, make_run: MakeRun) -> None:
    assert "`gasm-cast report --cost`" in sentences.cost([model])
    path = make_run("measured")
    (path / "cost.json").write_text(json.dumps({"device": "abacus", "batch_size": 4}))
    measured = ModelSummary("measured", (report.read_run(path),))
    assert sentences.cost([model, measured]) == "Measured on abacus, batches of 4 clips."


def test_losses_with_and_without_auxiliary_heads_are_told_apart(model: ModelSummary) -> None:
    metrics = {**model.metrics, "layers": model.metrics["layers"][-1:]}
    plain = ModelSummary("linear", (dataclasses.replace(model.first, metrics=metrics),))
    assert sentences.loss([model]) == sentences.loss([plain]) == ""
    assert "That of ours includes" in sentences.loss([model, plain])
