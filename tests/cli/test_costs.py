"""Costs of trained runs: each model's own, written where the report reads them."""

import json
from pathlib import Path

import pytest

from gasm_cast.cli.costs import measure_runs
from gasm_cast.config import DataConfig, ModelConfig, ModelKind, PeerConfig, Recipe, TrainingConfig
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models.checkpoints import ModelCard, save_checkpoint
from gasm_cast.runs import Run


def write_checkpoint(path: Path, kind: ModelKind, grid: Grid) -> int:
    """A run with an untrained model; returns how many parameters it has."""
    recipe = Recipe(
        data=DataConfig(),
        model=ModelConfig(kind=kind, peer=PeerConfig(width=8, num_layers=1, num_heads=2)),
        training=TrainingConfig(batch_size=3),
    )
    run = Run.create(path, recipe)
    card = ModelCard(
        recipe=recipe,
        class_names=("up", "down"),
        num_groups=0,
        semantic=StreamSpec(grid, 10),
        motion=StreamSpec(Grid(4, 1, 1), 6),
        provenance={"streams": {}, "preprocessing": {}},
    )
    model = card.build()
    save_checkpoint(run.best_checkpoint, model.state_dict(), card, epoch=1, step=1)
    return model.num_parameters


@pytest.fixture
def runs(tmp_path: Path) -> dict[Path, int]:
    """Two models of one grid and one of another, with their numbers of parameters."""
    models: tuple[tuple[str, ModelKind, Grid], ...] = (
        ("linear", "linear", Grid(1, 2, 3)),
        ("probe", "attentive-probe", Grid(1, 2, 3)),
        ("probe-of-frames", "attentive-probe", Grid(4, 2, 3)),
    )
    return {tmp_path / name: write_checkpoint(tmp_path / name, kind, grid) for name, kind, grid in models}


def test_every_run_has_the_cost_of_its_own_model(runs: dict[Path, int]) -> None:
    measure_runs(list(runs))
    costs = {folder.name: json.loads((folder / "cost.json").read_text()) for folder in runs}
    assert {folder.name: num for folder, num in runs.items()} == {
        name: cost["parameters"] for name, cost in costs.items()
    }
    assert {name: cost["grid"] for name, cost in costs.items()} == {
        "linear": "1x2x3",
        "probe": "1x2x3",
        "probe-of-frames": "4x2x3",
    }
    assert all(cost["batch_size"] == 3 and cost["train_step_sec"] > 0 for cost in costs.values())
    assert 0 < costs["linear"]["flops"] < costs["probe"]["flops"] < costs["probe-of-frames"]["flops"]
