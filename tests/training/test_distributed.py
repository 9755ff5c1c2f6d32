"""Two processes take the steps of one with twice the batch, and every variant trains under DDP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from gasm_cast.config import ModelKind, Recipe, to_toml
from gasm_cast.models import load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.training import train

pytestmark = pytest.mark.slow


def torchrun(num_processes: int, folder: Path) -> None:
    """Train all recipes of a folder in processes that talk through gloo."""
    worker = Path(__file__).with_name("train_in_processes.py")
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={num_processes}",
    ]
    done = subprocess.run(
        [*launcher, str(worker), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def variants(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Every model, and every ablation of ours that takes a part away."""
    model = recipe.model
    for kind in get_args(ModelKind):
        head = model.head if kind == "gasm-cast" else replace(model.head, coarse_layers=0)
        yield kind, replace(recipe, model=replace(model, kind=kind, head=head))
    no_exchange = replace(model.head, coarse_layers=0)
    ablations: dict[str, Any] = {
        "no-graph": {"graph": replace(model.graph, enabled=False)},
        "no-exchange": {"exchange": replace(model.exchange, enabled=False), "head": no_exchange},
        "neither": {
            "graph": replace(model.graph, enabled=False),
            "exchange": replace(model.exchange, enabled=False),
            "head": no_exchange,
        },
        "spatial-edges": {"graph": replace(model.graph, edges="adjacent")},
        "similar-edges": {"graph": replace(model.graph, edges="similar")},
        "dense": {"graph": replace(model.graph, edges="dense")},
        "fixed-similarity": {"graph": replace(model.graph, similarity="fixed")},
        "rotary": {"graph": replace(model.graph, positions="rotary", num_heads=1)},
        "no-positions": {"graph": replace(model.graph, positions="none")},
        "one-layer": {"exchange": replace(model.exchange, num_layers=1), "head": no_exchange},
        "semantic-from-motion": {"exchange": replace(model.exchange, direction="semantic-from-motion")},
        "motion-from-semantic": {"exchange": replace(model.exchange, direction="motion-from-semantic")},
        "motion-feed-forward": {"exchange": replace(model.exchange, feed_forward="motion")},
        "no-feed-forward": {"exchange": replace(model.exchange, feed_forward="none")},
        "stream": {"exchange": replace(model.exchange, residual="stream")},
        "attention-pooling": {"head": replace(model.head, pooling="attention")},
        "no-deep-supervision": {"head": replace(model.head, deep_supervision=False, coarse_layers=0)},
        "unweighted-layers": {"head": replace(model.head, layer_weights=(0.0,))},
    }
    for name, changes in ablations.items():
        yield name, replace(recipe, model=replace(model, **changes))


@pytest.fixture(scope="module")
def runs(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All runs of this file: those of two processes share one start of torchrun, which is slow."""
    folder = tmp_path_factory.mktemp("runs")
    short = replace(recipe.training, num_epochs=1, batch_size=11, warmup_epochs=0.0, validate_every=0)
    for name, variant in variants(recipe):
        (folder / f"{name}.toml").write_text(to_toml(replace(variant, training=short)))

    # Nothing random that would differ between processes: no dropout, one view.
    # 42 clips: six batches of 7, which two processes share as 4 and 3.
    exact = replace(
        recipe,
        model=replace(
            recipe.model,
            exchange=replace(recipe.model.exchange, dropout=0.0),
            head=replace(recipe.model.head, dropout=0.0),
        ),
        augmentation=replace(recipe.augmentation, random_views=False),
        training=replace(recipe.training, batch_size=8, accumulate=2, ema_decay=0.5),
    )
    train(Run.create(folder / "one process", exact))
    halved = replace(exact, training=replace(exact.training, batch_size=4))
    (folder / "two processes.toml").write_text(to_toml(halved))
    compiled = replace(halved, training=replace(halved.training, compile=True))
    (folder / "two processes, compiled.toml").write_text(to_toml(compiled))
    torchrun(2, folder)
    return folder


def test_two_processes_are_one_with_twice_the_batch(runs: Path) -> None:
    one, two = Run.open(runs / "one process"), Run.open(runs / "two processes")
    losses = [[step["loss"] for step in run.events("step")] for run in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    norms = [[step["grad_norm"] for step in run.events("step")] for run in (one, two)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    starts = [next(run.events("start")) for run in (one, two)]
    assert starts[0]["effective_batch"] == starts[1]["effective_batch"] == 16
    assert starts[1]["num_processes"] == 2
    accuracies = [[epoch["validation_top1"] for epoch in run.events("epoch")] for run in (one, two)]
    assert accuracies[0] == accuracies[1]
    weights = [load_checkpoint(run.best_checkpoint).model.state_dict() for run in (one, two)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_two_processes_train_compiled(runs: Path) -> None:
    plain, compiled = Run.open(runs / "two processes"), Run.open(runs / "two processes, compiled")
    losses = [[step["loss"] for step in run.events("step")] for run in (plain, compiled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_machines_that_share_no_disk_end_alike_and_are_not_taken_up_apart(runs: Path) -> None:
    first, second = (json.loads((runs / "apart" / f"disk {rank}.json").read_text()) for rank in (0, 1))
    assert first["result"] == second["result"]
    assert first["result"]["num_epochs"] == 1
    for seen in (first, second):
        assert "different steps (0, 2); put the run on a disk that all machines share" in seen["refusal"]


def test_every_variant_trains_in_two_processes(runs: Path, recipe: Recipe) -> None:
    """DDP stops in the second step if a parameter took no part in the first one's loss."""
    for name, _ in variants(recipe):
        epoch = next(Run.open(runs / name).events("epoch"))
        assert epoch["step"] == 2, name
