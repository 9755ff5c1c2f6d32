"""Where a run stands: what is saved, and how an interrupted run is taken up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.models.checkpoints import (
    CheckpointError,
    ModelCard,
    read_card,
    read_checkpoint,
    save_checkpoint,
)
from gasm_cast.runs import Run
from gasm_cast.training.learner import Learner, Step
from gasm_cast.training.validation import Accuracy


@dataclass
class TrainState:
    """How far a run has come: plain numbers, saved with every checkpoint."""

    steps_per_epoch: int
    """Optimiser steps of an epoch; the number of processes and of clips decides it."""
    step: int = 0
    """Optimiser steps taken."""
    best_epoch: int = 0
    """Epoch of best.pt, from 1; 0 before the first."""
    best: Accuracy | None = None
    """Its accuracy on the held-out clips, if there are any."""
    loss_sum: float = 0.0
    """Sum of the losses of this epoch's steps so far."""
    num_losses: int = 0

    @property
    def num_epochs_done(self) -> int:
        """Epochs finished."""
        return self.step // self.steps_per_epoch

    @property
    def steps_into_epoch(self) -> int:
        """Steps taken of the epoch that is not finished."""
        return self.step % self.steps_per_epoch

    @property
    def train_loss(self) -> float:
        """Mean loss of this epoch's steps."""
        return self.loss_sum / self.num_losses

    def enter_epoch(self) -> None:
        """Forget the losses of the epoch before, unless an interrupted epoch goes on."""
        if self.steps_into_epoch == 0:
            self.loss_sum, self.num_losses = 0.0, 0

    def add(self, step: Step) -> None:
        """Count a step."""
        self.step += 1
        self.loss_sum += step.loss
        self.num_losses += 1

    def finish_epoch(self, held_out: Accuracy | None) -> bool:
        """Whether the epoch just finished is the best so far; without held-out clips the last one is."""
        if held_out is not None and not held_out.is_better_than(self.best):
            return False
        self.best_epoch, self.best = self.num_epochs_done, held_out
        return True


def previous_checkpoint(run: Run) -> Path:
    """The checkpoint before the last: what a damaged last one falls back to."""
    return run.last_checkpoint.with_name("previous.pt")


def has_checkpoint(run: Run) -> bool:
    """Whether there is anything to resume from, readable or not."""
    return run.last_checkpoint.exists() or previous_checkpoint(run).exists()


def save_last(run: Run, learner: Learner, card: ModelCard, state: TrainState) -> None:
    """Write last.pt, in the first process; the one before becomes previous.pt.

    Args:
        run: The run.
        learner: What is trained.
        card: What the model is.
        state: How far the run has come.
    """
    if not learner.fabric.is_global_zero:
        return
    new = run.last_checkpoint.with_name("new.pt")
    training = {"learner": learner.state_dict(), "standing": dataclasses.asdict(state)}
    weights = learner.model_to_use.state_dict()
    save_checkpoint(new, weights, card, epoch=state.num_epochs_done, step=state.step, training=training)
    if run.last_checkpoint.exists():
        run.last_checkpoint.replace(previous_checkpoint(run))
    new.replace(run.last_checkpoint)  # killed before this line, the run goes on from previous.pt


def save_best(run: Run, learner: Learner, card: ModelCard, state: TrainState) -> None:
    """Write best.pt, in the first process: the weights to use, without what only training needs."""
    if learner.fabric.is_global_zero:
        weights = learner.model_to_use.state_dict()
        save_checkpoint(run.best_checkpoint, weights, card, epoch=state.num_epochs_done, step=state.step)


def resume(
    run: Run, learner: Learner, card: ModelCard, say: Callable[[str], None], *, steps_per_epoch: int
) -> TrainState:
    """Take up a run where its last readable checkpoint left it, or begin.

    Args:
        run: The run.
        learner: Takes the checkpoint's weights and optimiser.
        card: What the model is, by today's store and annotations.
        say: Takes lines for the user.
        steps_per_epoch: Steps of an epoch, by today's clips and processes.

    Raises:
        InputError: if features, classes or steps are not those that the run began with, if
            there are checkpoints but none can be read, or if processes find different ones.
    """
    content = _read_newest(run, say)
    state = TrainState(steps_per_epoch)
    if content is not None:
        state = _take_up(content, run, learner, card, steps_per_epoch)
    found = torch.tensor(state.step, device=learner.fabric.device)
    steps = sorted(set(cast(Tensor, learner.fabric.all_gather(found)).flatten().tolist()))
    if len(steps) > 1:
        raise InputError(
            f"{run.path}: the processes find checkpoints of different steps ({', '.join(map(str, steps))}); "
            "put the run on a disk that all machines share, or copy its folder from the first to the others"
        )
    return state


def _take_up(
    content: dict[str, Any], run: Run, learner: Learner, card: ModelCard, steps_per_epoch: int
) -> TrainState:
    began = read_card(content, run.last_checkpoint)
    began.require_provenance(card.provenance, where=str(run.recipe.data.store))
    began.require_classes(card.class_names)
    # Older checkpoints do not hold their steps an epoch: of them nothing can be checked.
    saved = {"steps_per_epoch": steps_per_epoch, **content["training"]["standing"]}
    if saved["steps_per_epoch"] != steps_per_epoch:
        raise InputError(
            f"{run.path} was begun with {saved['steps_per_epoch']} steps an epoch, and there are "
            f"{steps_per_epoch} now; go on with as many processes and the same training clips"
        )
    learner.load_state_dict(content["training"]["learner"])
    best = saved.pop("best")
    return TrainState(**saved, best=None if best is None else Accuracy(**best))


def _read_newest(run: Run, say: Callable[[str], None]) -> dict[str, Any] | None:
    candidates = [path for path in (run.last_checkpoint, previous_checkpoint(run)) if path.exists()]
    for place, path in enumerate(candidates):
        try:
            return read_checkpoint(path)
        except CheckpointError as error:
            if place == len(candidates) - 1:
                raise
            say(f"{error}; going on from {candidates[place + 1].name}, the one before")
    return None
