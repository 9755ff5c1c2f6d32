"""From the sampler's order to batches that know their labels and their place in a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gasm_cast.annotations import ClipTable
from gasm_cast.config import Recipe
from gasm_cast.store import BatchSampler, FeatureStore


@dataclass(frozen=True)
class Batch:
    """Part of a step that one process computes at once."""

    ids: tuple[str, ...]
    semantic: Float[Tensor, "batch tokens width"]
    motion: Float[Tensor, "batch segments motion_width"]
    labels: Int[Tensor, " batch"]
    step: int
    """Optimiser step of the run that it belongs to."""
    part: int
    """Its number among the batches of this step."""
    ends_step: bool
    num_clips_of_step: int
    """Clips of the whole step, on all processes."""


class TrainingClips:
    """The clips of a training run, in the order of each epoch.

    Args:
        store: Their features.
        clips: Ids and labels.
        recipe: Batch size, accumulation, seed, views.
        rank: This process.
        num_processes: Processes that share each step.
    """

    def __init__(
        self, store: FeatureStore, clips: ClipTable, recipe: Recipe, *, rank: int, num_processes: int
    ) -> None:
        self.store = store
        self.clips = clips
        self.accumulate = recipe.training.accumulate
        self.random_views = recipe.augmentation.random_views and store.num_views > 1
        self._rows = store.rows(clips.ids)
        size, seed = recipe.training.batch_size, recipe.training.seed
        self._sampler = BatchSampler(
            num_samples=len(clips), batch_size=size, seed=seed, rank=rank, world_size=num_processes
        )
        # What one process with larger batches would take is what all processes take together.
        together = BatchSampler(num_samples=len(clips), batch_size=size * num_processes, shuffle=False)
        self._num_clips = [len(samples) for samples in together.epoch(0)]

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch; the last may have fewer batches than the others."""
        return -(-self._sampler.num_steps // self.accumulate)

    def epoch(self, epoch: int, *, first_step: int, device: torch.device) -> Iterator[Batch]:
        """Batches of an epoch from one of its steps on.

        Args:
            epoch: Which epoch, from 0.
            first_step: Step inside the epoch to begin with.
            device: Where features and labels are wanted.
        """
        first = first_step * self.accumulate
        order = self._sampler.epoch(epoch, start_step=first)
        views = (
            0 if not self.random_views else self._sampler.views(epoch, self.store.num_views, start_step=first)
        )
        batches = self.store.batches([self._rows[samples] for samples in order], views=views, device=device)
        for number, (samples, read) in enumerate(zip(order, batches, strict=True), start=first):
            step, part = divmod(number, self.accumulate)
            of_step = self._num_clips[step * self.accumulate : (step + 1) * self.accumulate]
            yield Batch(
                ids=tuple(self.clips.ids[sample] for sample in samples),
                semantic=read.features.semantic,
                motion=read.features.motion,
                labels=torch.from_numpy(self.clips.labels[samples]).to(device),
                step=epoch * self.steps_per_epoch + step,
                part=part,
                ends_step=part == len(of_step) - 1,
                num_clips_of_step=sum(of_step),
            )
