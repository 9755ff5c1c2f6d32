"""A process that dies without warning loses nothing but the steps since its last checkpoint."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gasm_cast.config import Recipe, to_toml
from gasm_cast.models import load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.training import train


@pytest.mark.slow
def test_killed_at_a_random_step_and_resumed_is_the_uninterrupted_run(recipe: Recipe, tmp_path: Path) -> None:
    # Six steps an epoch, a checkpoint every four; more epochs than the killer waits for.
    recipe = replace(
        recipe,
        model=replace(recipe.model, kind="linear", head=replace(recipe.model.head, coarse_layers=0)),
        training=replace(
            recipe.training, num_epochs=40, checkpoint_every_steps=4, ema_decay=0.9, validate_every=0
        ),
        augmentation=replace(recipe.augmentation, mixup=0.4, token_dropout=0.2),
    )
    file = tmp_path / "recipe.toml"
    file.write_text(to_toml(recipe))
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "gasm_cast", "train", str(file), "--out", str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    step = random.Random().randint(7, 60)
    deadline = time.monotonic() + 120
    while sum(1 for _ in Run(killed, recipe).events("step")) < step:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    stopped_at = torch.load(killed / "checkpoints" / "last.pt")["step"]
    assert 0 < stopped_at < 240, step

    run = Run.create(killed, recipe)
    train(run)
    whole = Run.create(tmp_path / "whole", recipe)
    train(whole)
    expected = load_checkpoint(whole.best_checkpoint).model.state_dict()
    found = load_checkpoint(run.best_checkpoint).model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items()), (step, stopped_at)
    losses = [[line["loss"] for line in r.events("step")] for r in (whole, run)]
    assert losses[0] == losses[1]
