"""Models of equal shape as one batched computation.

Their parameters are stacked, forward and backward run once through `torch.func.vmap`, and
each model's gradient comes back to its own parameters; so optimiser, clipping and average
stay each learner's own. What does not depend on the parameters, as the mean over tokens,
is computed once for all.

It pays where a model is light against the tokens it reads. On one core, per model of 12,
tokens [64, 196, 768], stacked against one after the other: `linear` 0.29 of the time; but
GASM-CAST 0.9 to 1.1, `attentive-probe` 1.1, `cross-attention` 1.35, whose products fill
the processor as they are. `benchmarks/training.py` measures the former again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from gasm_cast.config import ModelKind
from gasm_cast.training.batches import Batch
from gasm_cast.training.learner import Learner, Prepared
from gasm_cast.training.losses import Objective

STACKED: tuple[ModelKind, ...] = ("linear", "concat-mlp", "semantic-only", "motion-only", "ensemble")
"""Models that gain: those that pool their tokens before anything else."""


def stack_key(learner: Learner) -> Hashable:
    """Equal for learners that can be stacked: they differ in nothing but how they are updated."""
    training = replace(
        learner.recipe.training,
        learning_rate=1.0,
        base_batch_size=0,
        weight_decay=0.0,
        warmup_epochs=0.0,
        clip_norm=0.0,
        ema_decay=0.0,
    )
    can = learner.recipe.model.kind in STACKED and not training.compile
    return (learner.recipe.model, learner.recipe.augmentation, training, None if can else id(learner))


def accumulate_together(learners: Sequence[Learner], batch: Batch, prepared: Prepared) -> None:
    """Do what :meth:`Learner.accumulate` does, for learners of equal key at once.

    All draws are the same for all, and those that each would make alone.
    """
    fabric = learners[0].fabric
    objectives = [cast(Objective, learner.objective.module) for learner in learners]
    of_models = [dict(objective.named_parameters()) for objective in objectives]
    stacked = {name: torch.stack([own[name] for own in of_models]) for name in of_models[0]}

    seen = learners[0].augment(batch, prepared)

    def losses_of(parameters: dict[str, Tensor]) -> Tensor:
        return cast(Tensor, functional_call(objectives[0], parameters, tuple(seen)))

    with fabric.autocast():
        losses = vmap(losses_of, randomness="same")(stacked)
    fabric.backward(losses.sum() / batch.num_clips_of_step)
    for learner, own in zip(learners, losses, strict=True):
        learner.note(own, batch)
