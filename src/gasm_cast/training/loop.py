"""The training loop: every step of a run can be read here, top to bottom.

A run is a function of its recipe, features and labels. Order, dropout and augmentation
are functions of (seed, epoch, step, process), and the learning rate of the step, so a
checkpoint holds weights, optimiser and the number of the step, and what follows is the
same whether the run was interrupted or not. On several processes a step's loss is the mean
over all clips of the step, so two processes take the steps of one with twice the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from gasm_cast.annotations import ClipTable
from gasm_cast.devices import resolve_precision
from gasm_cast.runs import Run
from gasm_cast.training.batches import TrainingClips
from gasm_cast.training.devices import launch, repeatable
from gasm_cast.training.interruption import Interruption
from gasm_cast.training.progress import Stopwatch
from gasm_cast.training.recording import Recorder, TrainingResult
from gasm_cast.training.setup import build_card, build_learner, read_data
from gasm_cast.training.state import resume, save_best, save_last
from gasm_cast.training.statistics import ChannelStatistics
from gasm_cast.training.validation import Accuracy, measure


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
        run: The run; its folder receives checkpoints, metrics and curves.
        console: Where to report; a terminal gets a progress bar. None is silent.
        on_epoch: Takes what each epoch logs. What it raises ends the run.

    Returns:
        How the run ended; the same for a run that was finished before.

    Raises:
        InputError: if recipe, annotations and store do not belong together.
        TrainingDivergedError: at the first loss or gradient that is not finite.
        KeyboardInterrupt: after a signal, with the checkpoint written.
    """
    recipe, training = run.recipe, run.recipe.training
    fabric = launch(training)
    recorder = Recorder(run, console, is_first=fabric.is_global_zero)
    with repeatable(training.deterministic), Interruption(fabric) as interruption, recorder:
        data = read_data(recipe, with_validation=training.validate_every > 0)
        clips = TrainingClips(
            data.store, data.learn, recipe, rank=fabric.global_rank, num_processes=fabric.world_size
        )
        statistics = ChannelStatistics(data.store, data.learn)
        learner = build_learner(fabric, recipe, data, clips, statistics=statistics, say=recorder.say)
        card = build_card(recipe, data)
        steps_per_epoch = clips.steps_per_epoch
        standing = resume(run, learner, card, recorder.say, steps_per_epoch=steps_per_epoch)
        recorder.start(learner, data, standing)

        def accuracy(of: ClipTable | None) -> Accuracy | None:
            if of is None:
                return None
            return measure(
                learner.model_to_use,
                data.store,
                of,
                data.classes,
                batch_size=training.batch_size,
                device=fabric.device,
                precision=resolve_precision(training.precision, fabric.device),
            )

        def save() -> None:
            if fabric.is_global_zero:
                save_last(run, learner, card, standing, epoch=standing.step // steps_per_epoch)

        watch = Stopwatch()
        for epoch in range(standing.step // steps_per_epoch, training.num_epochs):
            if training.patience and epoch - standing.best_epoch >= training.patience:
                recorder.say(f"stopped: no better held-out accuracy in {training.patience} epochs")
                break
            if standing.step % steps_per_epoch == 0:
                standing.start_epoch()
            watch.restart()
            learner.objective.train()
            batches = clips.epoch(epoch, first_step=standing.step % steps_per_epoch, device=fabric.device)
            for batch in watch.watch(batches):
                learner.accumulate(batch, learner.prepare(batch))
                watch.num_clips += len(batch.ids)
                if not batch.ends_step:
                    continue
                step = learner.finish(batch)
                standing.add(step)
                recorder.step(step, standing, watch, epoch=epoch + 1)
                if standing.step % steps_per_epoch == 0:
                    continue  # the epoch's end saves and stops
                stop = interruption.is_wanted()
                every = training.checkpoint_every_steps
                if stop or (every and standing.step % every == 0):
                    save()
                if stop:
                    recorder.say(f"stopped after step {standing.step}; the same command goes on from there")
                    raise KeyboardInterrupt

            held_out = accuracy(data.held_out)
            is_due = training.validate_every and (epoch + 1) % training.validate_every == 0
            validation = accuracy(data.validation) if is_due or epoch + 1 == training.num_epochs else None
            is_best = standing.finish_epoch(epoch + 1, held_out)
            if is_best and fabric.is_global_zero:
                save_best(run, learner, card, standing, epoch=epoch + 1)
            logged = recorder.epoch(learner, standing, watch, held_out, validation, epoch=epoch + 1)
            save()
            if on_epoch is not None:
                on_epoch(logged)
            if interruption.is_wanted():
                raise KeyboardInterrupt
        fabric.barrier()
        return TrainingResult.of_run(run)
