"""AdamW, the learning-rate rule, and the moving average of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gasm_cast.config import TrainingConfig
from gasm_cast.models import FusionModel

Parameters = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class Schedule:
    """Learning rate of every step: a function of the step alone, so a resumed run cannot lose its place.

    The peak follows the linear scaling rule `learning_rate * effective_batch /
    base_batch_size` (Goyal et al., arXiv 1706.02677); `base_batch_size = 0` takes
    `learning_rate` as it stands. The rate climbs linearly over the warm-up and falls to
    zero along half a cosine.
    """

    peak: float
    effective_batch: int
    """Clips whose gradients make one step: batch size x accumulation x processes.

    No more than there are, or `base_batch_size` where those are fewer: the rate is not scaled up
    by clips that do not exist.
    """
    num_warmup_steps: int
    num_steps: int

    @classmethod
    def create(
        cls, config: TrainingConfig, *, num_clips: int, num_processes: int, steps_per_epoch: int
    ) -> Schedule:
        """The schedule of a run on so many training clips."""
        effective_batch = min(
            config.batch_size * config.accumulate * num_processes, max(num_clips, config.base_batch_size)
        )
        scale = effective_batch / config.base_batch_size if config.base_batch_size else 1.0
        num_steps = config.num_epochs * steps_per_epoch
        return cls(
            peak=config.learning_rate * scale,
            effective_batch=effective_batch,
            num_warmup_steps=min(round(config.warmup_epochs * steps_per_epoch), num_steps - 1),
            num_steps=num_steps,
        )

    def rate(self, step: int) -> float:
        """Learning rate of step 0, 1, ..., `num_steps` - 1."""
        if step < self.num_warmup_steps:
            return self.peak * (step + 1) / (self.num_warmup_steps + 1)
        progress = (step - self.num_warmup_steps) / (self.num_steps - self.num_warmup_steps)
        return self.peak * 0.5 * (1 + math.cos(math.pi * progress))

    def describe(self, config: TrainingConfig) -> str:
        """One line that states batch, rate and rule."""
        rule = (
            f"{config.learning_rate:g} x {self.effective_batch} / {config.base_batch_size}"
            if config.base_batch_size
            else "not scaled with the batch"
        )
        return (
            f"effective batch {self.effective_batch}, peak learning rate {self.peak:.3g} ({rule}), "
            f"{self.num_warmup_steps} of {self.num_steps} steps warm up"
        )


def build_optimizer(model: FusionModel, config: TrainingConfig) -> AdamW:
    """AdamW over the model's parameter groups; the learning rate is set anew in every step."""
    return AdamW(model.parameter_groups(config.weight_decay), lr=config.learning_rate)


def build_average(model: FusionModel, decay: float) -> AveragedModel | None:
    """Exponential moving average `e <- d e + (1 - d) w` of the weights, or None where `decay` is 0.

    In step n `d = min(decay, (1 + n) / (10 + n))`: with a constant decay of 0.9998 the average of
    the first epochs would be little but the weights that training began with.

    Create it after the channel statistics are set: buffers are copied here and stay.
    """
    if decay == 0:
        return None

    def update(average: Parameters, weights: Parameters, num_averaged: Tensor | int) -> None:
        n = int(num_averaged)
        step = get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))  # type: ignore[no-untyped-call]
        step(average, weights, num_averaged)

    return AveragedModel(model, multi_avg_fn=update)
