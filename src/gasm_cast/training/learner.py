"""A model with what it learns by: optimiser, schedule, moving average."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor

from gasm_cast.config import Recipe
from gasm_cast.errors import InputError
from gasm_cast.models import FusionModel, mark_batch
from gasm_cast.training.augmentation import Augmentation, Augmented
from gasm_cast.training.batches import Batch
from gasm_cast.training.devices import seed_draws
from gasm_cast.training.losses import Objective
from gasm_cast.training.optimizer import Schedule, build_average, build_optimizer

MOST_SKIPPED = 20
"""Steps in a row that fp16 may skip: each halves the loss scale, and sixteen take it from 65,536 to 1."""


class TrainingDivergedError(InputError):
    """The loss or its gradient is no longer finite: names step, clips and learning rate."""


@dataclass(frozen=True)
class Step:
    """What one optimiser step showed."""

    loss: float
    """Mean loss over all clips of the step, those of all processes."""
    grad_norm: float
    """Norm of the gradient before clipping; not finite where it overflowed in fp16."""
    rate: float
    """Learning rate."""


class Prepared(NamedTuple):
    """Tokens of a batch as a model wants them."""

    semantic: Float[Tensor, "batch tokens width"]
    motion: Float[Tensor, "batch segments motion_width"]


class Learner:
    """Updates one model: `accumulate` every batch of a step, then `finish` the step.

    Args:
        fabric: Device, processes and arithmetic.
        model: The model, with its channel statistics set.
        recipe: The run.
        schedule: Learning rate of each step.
        augmentation: What the model sees of a batch.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: FusionModel,
        recipe: Recipe,
        schedule: Schedule,
        augmentation: Augmentation,
    ) -> None:
        self.fabric = fabric
        self.recipe = recipe
        self.schedule = schedule
        self.model = model.to(fabric.device)
        self.average = build_average(self.model, recipe.training.ema_decay)
        self.augmentation = augmentation.to(fabric.device)
        objective = Objective(model, recipe.training.label_smoothing)
        if recipe.training.compile:  # in place: Fabric would compile a wrapper anew, around DDP, and fail
            objective.compile(fullgraph=True)
        self.objective, self.optimizer = fabric.setup(objective, build_optimizer(model, recipe.training))
        self._losses: list[Tensor] = []
        self._ids: list[str] = []
        self._num_skipped = 0

    @property
    def model_to_use(self) -> FusionModel:
        """The model to evaluate and to ship: the averaged one, where the recipe averages."""
        return self.model if self.average is None else cast(FusionModel, self.average.module)

    @property
    def preparation_key(self) -> Hashable:
        """Equal for learners of the same clips that prepare batches alike: by the same statistics."""
        recipe = self.recipe
        prepared_by = (recipe.model.normalize, recipe.model.semantic_pool)
        return (*prepared_by, recipe.augmentation.flip, recipe.training.start_from)

    def prepare(self, batch: Batch) -> Prepared:
        """Pool and standardise a batch's tokens as this model wants them."""
        return Prepared(self.model.prepare_semantic(batch.semantic), self.model.prepare_motion(batch.motion))

    def accumulate(self, batch: Batch, prepared: Prepared) -> None:
        """Add a batch's share to the gradient of its step.

        The step's loss is the mean over all of its clips, however they fall into batches
        and processes: each batch adds the sum of its clips' losses over their number in
        the whole step. DDP averages gradients over processes, hence the factor.
        """
        seen = self.augment(batch, prepared)
        if self.recipe.training.compile:  # batches of an epoch differ in size by a clip
            mark_batch(seen.semantic, seen.motion, *seen.targets)
        with self.fabric.no_backward_sync(self.objective, enabled=not batch.ends_step):
            losses = self.objective(seen.semantic, seen.motion, seen.targets)
            self.fabric.backward(losses.sum() * (self.fabric.world_size / batch.num_clips_of_step))
        self.note(losses, batch)

    def augment(self, batch: Batch, prepared: Prepared) -> Augmented:
        """What the model sees of a batch; the model's own draws (dropout) follow these."""
        seed, rank = self.recipe.training.seed, self.fabric.global_rank
        seed_draws(seed, step=batch.step, part=batch.part, rank=rank)
        seen = self.augmentation(prepared.semantic, prepared.motion, batch.labels)
        return cast(Augmented, seen)

    def note(self, losses: Float[Tensor, " batch"], batch: Batch) -> None:
        """Remember a batch's losses for the end of its step."""
        self._losses.append(losses.detach())
        self._ids.extend(batch.ids)

    def finish(self, batch: Batch) -> Step:
        """Take the optimiser's step after the last batch of a step.

        Raises:
            TrainingDivergedError: on all processes, before the weights are touched, if the loss
                or the gradient is not finite; in fp16 only where gradients go on to overflow.
        """
        rate = self.schedule.rate(batch.step)
        losses = torch.cat(self._losses)
        loss_sum = cast(Tensor, self.fabric.all_reduce(losses.sum(), reduce_op="sum"))
        clip_norm = self.recipe.training.clip_norm or math.inf
        norm = self.fabric.clip_gradients(
            self.objective, self.optimizer, max_norm=clip_norm, error_if_nonfinite=False
        )
        total, grad_norm = torch.stack([loss_sum, cast(Tensor, norm)]).tolist()  # one wait for the device
        loss = total / batch.num_clips_of_step
        self._num_skipped = 0 if math.isfinite(grad_norm) else self._num_skipped + 1
        # In fp16 the gradient may overflow: the scaler then skips the step and scales less.
        num_allowed = MOST_SKIPPED if self.fabric.strategy.precision.precision == "16-mixed" else 0
        if not math.isfinite(loss) or self._num_skipped > num_allowed:
            self._raise_diverged(losses, loss, rate, batch.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self._losses, self._ids = [], []
        return Step(loss=loss, grad_norm=grad_norm, rate=rate)

    def _raise_diverged(self, losses: Tensor, loss: float, rate: float, step: int) -> None:
        finite = losses.isfinite().tolist()
        own = [name for name, ok in zip(self._ids, finite, strict=True) if not ok]
        gathered: list[list[str]] = [own]
        if self.fabric.world_size > 1:
            gathered = [[] for _ in range(self.fabric.world_size)]
            torch.distributed.all_gather_object(gathered, own)
        ids = [name for names in gathered for name in names]
        of_gradient = "the gradient is not finite"
        if self._num_skipped > 1:
            of_gradient += f", nor was it in the {self._num_skipped - 1} steps before"
        what = f"the loss is {loss}, not finite for {', '.join(ids)}" if ids else of_gradient
        is_exact = self.fabric.strategy.precision.precision == "32-true"
        remedy = "" if is_exact else ", or use training.precision = 'fp32'"
        raise TrainingDivergedError(
            f"step {step}: {what}; learning rate {rate:.3g}. Lower training.learning_rate{remedy}; "
            "`gasm-cast store verify` checks the features"
        )

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, beside the step's number: tensors, strings, numbers."""
        state = {
            "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
        }
        return state if self.average is None else {**state, "average": self.average.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
