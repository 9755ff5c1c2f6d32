"""What a run leaves behind while it works: lines on the console, metrics.jsonl, curves."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from torch import nn

from gasm_cast.devices import resolve_precision
from gasm_cast.runs import Run
from gasm_cast.training.learner import Learner, Step
from gasm_cast.training.progress import Display, Stopwatch
from gasm_cast.training.setup import Data
from gasm_cast.training.state import TrainState
from gasm_cast.training.trackers import open_tracker, require_tracker
from gasm_cast.training.validation import Accuracy

LOGGED_PER_EPOCH = 50
"""Steps of an epoch that are logged, evenly spread, the last among them; all where there are fewer."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    num_epochs: int
    """Epochs trained: fewer than asked for where it stopped early."""
    best_epoch: int
    """Epoch of best.pt, from 1: the last one, unless clips are held out to choose by."""
    train_loss: float
    """Mean loss of the last epoch."""
    held_out_top1: float | None
    """Accuracy of best.pt on the held-out part of the training split."""
    validation_top1: float | None
    """Accuracy of best.pt on the validation split, if it was measured in that epoch."""
    clips_per_sec: float
    """Mean speed over all epochs, evaluation not counted."""
    wait_share: float
    """Share of that time spent waiting for data."""
    seconds: float

    @classmethod
    def of_run(cls, run: Run) -> TrainingResult:
        """Read how a run ended from what it logged."""
        epochs = list(run.events("epoch"))
        best = [epoch for epoch in epochs if epoch["is_best"]][-1]
        seconds = sum(epoch["train_sec"] for epoch in epochs)
        return cls(
            num_epochs=epochs[-1]["epoch"],
            best_epoch=best["epoch"],
            train_loss=epochs[-1]["train_loss"],
            held_out_top1=best.get("held_out_top1"),
            validation_top1=best.get("validation_top1"),
            clips_per_sec=sum(epoch["num_clips"] for epoch in epochs) / seconds,
            wait_share=sum(epoch["wait_sec"] for epoch in epochs) / seconds,
            seconds=seconds,
        )


class Recorder:
    """Writes metrics.jsonl, the tracker's curves and the console; silent in all but the first process.

    Raises:
        InputError: if the tracker's package is not installed.
    """

    def __init__(self, run: Run, console: Console | None, *, is_first: bool) -> None:
        require_tracker(run.recipe)
        self._run = run
        self._is_first = is_first
        self._console = console if console is not None and is_first else Console(quiet=True)
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def start(self, learner: Learner, data: Data, state: TrainState) -> None:
        """Begin the run's folder; state what is trained, on what, and how fast it is to learn."""
        training, schedule, fabric = self._run.recipe.training, learner.schedule, learner.fabric
        precision = resolve_precision(training.precision, fabric.device)
        num_held_out = 0 if data.held_out is None else len(data.held_out)
        self.say(
            f"{self._run.recipe.model.kind}, {learner.model.num_parameters:,} parameters, on "
            f"{fabric.device} in {precision}, {fabric.world_size} process(es)"
        )
        self.say(
            f"{len(data.learn):,} clips to learn from, {num_held_out:,} held out, {data.num_failed:,} "
            f"without features (recorded failures), {len(data.classes.names)} classes"
        )
        self.say(schedule.describe(training))
        if state.step:
            self.say(f"going on after step {state.step} of {schedule.num_steps}")
        if not self._is_first:
            return
        self._run.begin()
        self._run.rewind(state.step)
        self._run.log(
            "start",
            {
                "step": state.step,
                "num_parameters": learner.model.num_parameters,
                "num_clips": len(data.learn),
                "num_held_out": num_held_out,
                "num_failed": data.num_failed,
                "effective_batch": schedule.effective_batch,
                "peak_learning_rate": schedule.peak,
                "num_warmup_steps": schedule.num_warmup_steps,
                "num_steps": schedule.num_steps,
                "device": str(fabric.device),
                "precision": precision,
                "num_processes": fabric.world_size,
            },
        )
        self._tracker = open_tracker(self._run, state.step)
        self._closing.callback(self._tracker.close)
        self._display = self._closing.enter_context(
            Display(self._console, num_steps=schedule.num_steps, step=state.step)
        )

    def step(self, step: Step, state: TrainState, watch: Stopwatch, *, epoch: int) -> None:
        """Show every step; log :data:`LOGGED_PER_EPOCH` of each epoch."""
        if not self._is_first:
            return
        self._display.advance(watch, epoch=epoch, loss=step.loss)
        if not is_logged(state.step, state.steps_per_epoch):
            return
        values = {
            "loss": step.loss,
            "learning_rate": step.rate,
            "grad_norm": step.grad_norm,
            "wait_sec": watch.last_wait_sec,
            "wait_share": watch.wait_share,
        }
        self._run.log("step", {"step": state.step, "epoch": epoch, **values})
        self._tracker.log({f"train/{name}": value for name, value in values.items()}, state.step)

    def epoch(
        self,
        learner: Learner,
        state: TrainState,
        watch: Stopwatch,
        held_out: Accuracy | None,
        validation: Accuracy | None,
        *,
        epoch: int,
    ) -> dict[str, Any]:
        """Log an epoch and print its line.

        Returns:
            What was logged.
        """
        values: dict[str, Any] = {
            "step": state.step,
            "epoch": epoch,
            "train_loss": state.train_loss,
            "is_best": state.best_epoch == epoch,
            "num_clips": watch.num_clips * learner.fabric.world_size,
            "train_sec": watch.elapsed_sec,
            "wait_sec": watch.wait_sec,
            "gains": gains(learner.model),
        }
        for name, accuracy in (("held_out", held_out), ("validation", validation)):
            if accuracy is not None:
                values |= {
                    f"{name}_top1": accuracy.top1,
                    f"{name}_log_loss": accuracy.log_loss,
                    f"{name}_layers": list(accuracy.layers),
                }
        if self._is_first:
            self._run.log("epoch", values)
            self._tracker.log(_curves(values), state.step)
            self.say(_line(values, self._run.recipe.training.num_epochs))
        return values


def is_logged(step: int, steps_per_epoch: int) -> bool:
    """Whether a step, counted from 1, is among the :data:`LOGGED_PER_EPOCH` of its epoch."""
    before = (step - 1) % steps_per_epoch
    return (before + 1) * LOGGED_PER_EPOCH // steps_per_epoch > before * LOGGED_PER_EPOCH // steps_per_epoch


def gains(model: nn.Module) -> dict[str, list[float]]:
    """The learned gain g_h of every head of every graph layer: how much similarity counts in attention."""
    return {
        name.removesuffix(".gain"): parameter.detach().flatten().tolist()
        for name, parameter in model.named_parameters()
        if name.endswith(".gain")
    }


def _curves(values: dict[str, Any]) -> dict[str, float]:
    """One number a curve."""
    curves: dict[str, float] = {"epoch/train_loss": values["train_loss"]}
    for name in ("held_out", "validation"):
        if f"{name}_top1" in values:
            curves |= {f"epoch/{name}_{key}": values[f"{name}_{key}"] for key in ("top1", "log_loss")}
            for layer, top1 in enumerate(values[f"{name}_layers"], start=1):
                curves[f"epoch/{name}_layer_{layer}"] = top1
    for layer, of_heads in values["gains"].items():
        for head, gain in enumerate(of_heads):
            curves[f"gain/{layer}/head_{head}"] = gain
    return curves


def _line(values: dict[str, Any], num_epochs: int) -> str:
    parts = [f"epoch {values['epoch']}/{num_epochs}", f"loss {values['train_loss']:.3f}"]
    parts += [
        f"{name.replace('_', ' ')} {values[f'{name}_top1']:.1%}"
        for name in ("held_out", "validation")
        if f"{name}_top1" in values
    ]
    seconds = values["train_sec"]
    parts += [
        f"{values['num_clips'] / seconds:,.0f} clips/s",
        f"{values['wait_sec'] / seconds:.0%} waiting for data",
        f"{seconds:.1f} s",
    ]
    return "  ".join(parts)
