"""Model, augmentation and loss as one module."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from gasm_cast.models import FusionModel
from gasm_cast.training.augmentation import Augmentation
from gasm_cast.training.losses import clip_losses


class Objective(nn.Module):
    """Loss of each clip of a batch: what DDP wraps and what is compiled.

    Args:
        model: The model to train.
        augmentation: What it sees of a clip.
        label_smoothing: Mass of each target spread over all classes.
    """

    def __init__(self, model: FusionModel, augmentation: Augmentation, label_smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing

    def forward(
        self,
        semantic: Float[Tensor, "batch tokens width"],
        motion: Float[Tensor, "batch segments motion_width"],
        labels: Int[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """Loss of each clip from prepared tokens and labels.

        Preparation has no parameters and lies outside, so that models with equal
        preparation can share it.
        """
        seen = self.augmentation(semantic, motion, labels)
        prediction = self.model.classify(seen.semantic, seen.motion)
        return clip_losses(self.model, prediction, seen.targets, self.label_smoothing)
