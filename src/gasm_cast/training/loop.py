"""The training loop: every step of a run can be read here, top to bottom.

A run is a function of its recipe, features and labels. Order, dropout and augmentation
are functions of (seed, epoch, step, process), and the learning rate of the step, so a
checkpoint holds weights, optimiser and the number of the step, and what follows is the
same whether the run was interrupted or not. On several processes a step's loss is the mean
over all clips of the step, so two processes take the steps of one with twice the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from rich.console import Console

from gasm_cast.runs import Run
from gasm_cast.training.devices import launch, repeatable
from gasm_cast.training.interruption import Interruption
from gasm_cast.training.locking import alone_in
from gasm_cast.training.progress import Stopwatch
from gasm_cast.training.recording import Recorder, TrainingResult
from gasm_cast.training.setup import set_up
from gasm_cast.training.state import has_checkpoint, resume, save_best, save_last
from gasm_cast.training.validation import measure


def train(
    run: Run,
    *,
    console: Console | None = None,
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
) -> TrainingResult:
    """Train a run's recipe, or go on where it was interrupted.

    Under torchrun or SLURM every process calls this. The first SIGINT or SIGTERM ends the
    run after the current step with a checkpoint; the same call takes it up again.

    Args:
        run: The run; its folder receives checkpoints, metrics and curves, and is begun here once
            all that the run needs is there.
        console: Where to report; a terminal gets a progress bar. None is silent.
        on_epoch: Takes what each epoch logs. What it raises ends the run.

    Returns:
        How the run ended; the same for a run that was finished before.

    Raises:
        InputError: if recipe, annotations and store do not belong together, the disk is full, or
            another process trains this run.
        TrainingDivergedError: at the first loss or gradient that is not finite.
        KeyboardInterrupt: after a signal, with the checkpoint written.
    """
    recipe, training = run.recipe, run.recipe.training
    fabric = launch(training)
    recorder = Recorder(run, console, is_first=fabric.is_global_zero)
    with (
        alone_in(run.path, fabric),
        repeatable(training.deterministic),
        Interruption(fabric) as interruption,
        recorder,
    ):
        data, clips, learner, card = set_up(
            fabric, recipe, recorder.say, found=run.data, begins=not has_checkpoint(run)
        )
        state = resume(run, learner, card, recorder.say, steps_per_epoch=clips.steps_per_epoch)
        recorder.start(learner, data, state)
        watch = Stopwatch()
        for epoch in range(state.num_epochs_done, training.num_epochs):
            if training.patience and epoch - state.best_epoch >= training.patience:
                recorder.say(f"stopped: no better held-out accuracy in {training.patience} epochs")
                break
            state.enter_epoch()
            watch.restart()
            learner.objective.train()
            batches = clips.epoch(epoch, first_step=state.steps_into_epoch, device=fabric.device)
            for batch in watch.watch(batches):
                learner.accumulate(batch, learner.prepare(batch))
                watch.num_clips += len(batch.ids)
                if not batch.ends_step:
                    continue
                step = learner.finish(batch)
                state.add(step)
                recorder.step(step, state, watch, epoch=epoch + 1)
                if state.steps_into_epoch == 0:
                    continue  # the epoch's end saves and stops
                stop = interruption.is_wanted()
                every = training.checkpoint_every_steps
                if stop or (every and state.step % every == 0):
                    save_last(run, learner, card, state)
                if stop:
                    recorder.say(f"stopped after step {state.step}; the same command goes on from there")
                    raise KeyboardInterrupt

            held_out = None if data.held_out is None else measure(learner, data, data.held_out)
            is_due = training.validate_every and (epoch + 1) % training.validate_every == 0
            validation = None
            if data.validation is not None and (is_due or epoch + 1 == training.num_epochs):
                validation = measure(learner, data, data.validation)
            if state.finish_epoch(held_out):
                save_best(run, learner, card, state)
            logged = recorder.epoch(learner, state, watch, held_out, validation, epoch=epoch + 1)
            save_last(run, learner, card, state)
            if on_epoch is not None:
                on_epoch(logged)
            if interruption.is_wanted():
                raise KeyboardInterrupt
        # Only the first process has a log, where machines share no disk.
        result = TrainingResult.of_run(run) if fabric.is_global_zero else None
        return cast(TrainingResult, fabric.broadcast(result))
