"""What training minimises: cross-entropy of the classifier and of each layer's own head."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gasm_cast.models import FusionModel, Prediction


class Targets(NamedTuple):
    """Probabilities that the model is to give, so that mixed clips need no case of their own."""

    classes: Float[Tensor, "batch classes"]
    groups: Float[Tensor, "batch groups"]
    """Of the verb groups: the sum over their classes."""

    @classmethod
    def of_labels(
        cls, labels: Int[Tensor, " batch"], group_of_class: Int[Tensor, " classes"], num_groups: int
    ) -> Targets:
        """All probability on the label and on its group."""
        return cls(
            classes=F.one_hot(labels, len(group_of_class)).float(),
            groups=F.one_hot(group_of_class[labels], num_groups).float(),
        )

    def mixed(self, share: Float[Tensor, " batch"], partner: Int[Tensor, " batch"]) -> Targets:
        """`share` of each clip's own targets and the rest of its partner's."""
        share = share[:, None]
        return Targets(
            classes=torch.lerp(self.classes[partner], self.classes, share),
            groups=torch.lerp(self.groups[partner], self.groups, share),
        )


def clip_losses(
    model: FusionModel, prediction: Prediction, targets: Targets, label_smoothing: float
) -> Float[Tensor, " batch"]:
    """Loss of each clip, `L_i = H(y_i, p_i) + sum_l w_l H(y_i^l, p_i^l)`, in nats.

    `H` is the cross-entropy with `label_smoothing` of the target's mass spread evenly,
    `p^l` the model's further head l with its weight `w_l`, `y^l` the verb group for the
    model's coarse heads and the class for the others. One value a clip, so that whoever
    sums can weigh clips equally over uneven batches, and can name the clip whose loss is
    not finite. In float32 whatever the model computes in.
    """

    def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), target, reduction="none", label_smoothing=label_smoothing)

    losses = cross_entropy(prediction.logits, targets.classes)
    for layer, (logits, weight) in enumerate(zip(prediction.layer_logits, model.layer_weights, strict=True)):
        target = targets.groups if layer < model.coarse_layers else targets.classes
        losses = losses + weight * cross_entropy(logits, target)
    return losses


class Objective(nn.Module):
    """Loss of each clip from what the model is to see of it: what DDP wraps and what is compiled.

    Args:
        model: The model to train.
        label_smoothing: Mass of each target spread over all classes.
    """

    def __init__(self, model: FusionModel, label_smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.label_smoothing = label_smoothing

    def forward(
        self,
        semantic: Float[Tensor, "batch tokens width"],
        motion: Float[Tensor, "batch segments motion_width"],
        targets: Targets,
    ) -> Float[Tensor, " batch"]:
        """Losses from prepared and augmented tokens."""
        prediction = self.model.classify(semantic, motion)
        return clip_losses(self.model, prediction, targets, self.label_smoothing)
