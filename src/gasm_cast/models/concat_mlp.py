"""`concat-mlp`: the pooled streams side by side, one hidden layer.

Source: SPEC of the method, section 8, late fusion. It tells whether a non-linear classifier
alone explains what attention between the streams gains.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import Classifier


class ConcatMLP(FusionModel):
    """LayerNorm, linear, GELU on the concatenated means, then the classifier."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        width = task.semantic.width + task.motion.width
        self.hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.peer.width), nn.GELU())
        self.classifier = Classifier(config.peer.width, task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        vector = torch.cat([semantic.mean(dim=1), motion.mean(dim=1)], dim=-1)
        return Prediction(self.classifier(self.hidden(vector)))
