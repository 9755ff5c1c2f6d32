"""A run is a function of its recipe: repeated, interrupted or resumed, it ends in the same bits."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from gasm_cast.config import Recipe
from gasm_cast.errors import InputError
from gasm_cast.models import load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.training import train
from gasm_cast.training.learner import Learner, Step


def with_training(recipe: Recipe, **changes: Any) -> Recipe:
    return dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, **changes))


def weights_of(run: Run) -> Mapping[str, Tensor]:
    return load_checkpoint(run.best_checkpoint).model.state_dict()


def assert_equal_bits(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different


@pytest.fixture
def busy(recipe: Recipe) -> Recipe:
    """Everything on that could make two runs differ."""
    recipe = with_training(recipe, ema_decay=0.9, accumulate=2, batch_size=4)
    augmentation = dataclasses.replace(
        recipe.augmentation, token_dropout=0.2, segment_dropout=0.2, noise=0.1, mixup=0.4
    )
    return dataclasses.replace(recipe, augmentation=augmentation)


def test_same_seed_same_bits_and_other_seed_other_weights(busy: Recipe, tmp_path: Path) -> None:
    runs = [Run.create(tmp_path / name, busy) for name in ("a", "b")]
    for run in runs:
        torch.rand(7)  # what was drawn before must not matter
        train(run)
    other = Run.create(tmp_path / "c", with_training(busy, seed=1))
    train(other)
    assert_equal_bits(weights_of(runs[0]), weights_of(runs[1]))
    pairs = zip(weights_of(runs[0]).values(), weights_of(other).values(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("stop_after", [1, 4, 6, 11])  # 6 ends the first epoch
def test_stopped_at_any_step_and_resumed_is_the_uninterrupted_run(
    busy: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    whole = Run.create(tmp_path / "whole", busy)
    expected = train(whole)

    cut = Run.create(tmp_path / "cut", busy)
    finish = Learner.finish

    def interrupted_finish(learner: Learner, batch: Any) -> Step:
        step = finish(learner, batch)
        if batch.step + 1 == stop_after:
            signal.raise_signal(signal.SIGINT)
        return step

    monkeypatch.setattr(Learner, "finish", interrupted_finish)
    with pytest.raises(KeyboardInterrupt):
        train(cut)
    monkeypatch.undo()
    assert torch.load(cut.last_checkpoint)["step"] == stop_after
    result = train(cut)

    assert_equal_bits(weights_of(whole), weights_of(cut))
    assert (result.best_epoch, result.validation_top1) == (expected.best_epoch, expected.validation_top1)
    losses = [[epoch["train_loss"] for epoch in run.events("epoch")] for run in (whole, cut)]
    assert losses[0] == losses[1]
    steps = [(e["step"], e["loss"], e["grad_norm"]) for e in whole.events("step")]
    assert steps == [(e["step"], e["loss"], e["grad_norm"]) for e in cut.events("step")]


def test_a_finished_run_is_not_trained_again(recipe: Recipe, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe)
    result = train(run)
    before = run.last_checkpoint.stat().st_mtime_ns
    assert train(Run.create(tmp_path / "run", recipe)) == result
    assert run.last_checkpoint.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    busy: Recipe, tmp_path: Path, damage: str
) -> None:
    run = Run.create(tmp_path / "run", busy)
    train(run)
    expected = weights_of(run)
    if damage == "truncated":
        run.last_checkpoint.write_bytes(run.last_checkpoint.read_bytes()[:-1000])
    else:
        run.last_checkpoint.unlink()  # killed between the two renames
    run.best_checkpoint.unlink()

    console = Console(record=True, width=200)
    train(run, console=console)
    said = console.export_text()
    assert "going on after step 12 of 18" in said
    assert ("last.pt: damaged" in said and "previous.pt, the one before" in said) == (damage == "truncated")
    assert_equal_bits(weights_of(run), expected)


def test_without_a_readable_checkpoint_the_run_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe)
    train(run)
    for path in run.last_checkpoint.parent.iterdir():
        path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"previous\.pt: damaged"):
        train(run)
