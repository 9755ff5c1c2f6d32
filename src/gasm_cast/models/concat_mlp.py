"""`concat-mlp`: the pooled streams side by side, one hidden layer.

Source: docs/method.md, peers; late fusion. It tells whether a non-linear classifier alone
explains what attention between the streams gains.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gasm_cast.config import ModelConfig
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import Classifier, StreamPooling


class ConcatMLP(FusionModel):
    """LayerNorm, linear, GELU on the concatenated vectors, then the classifier."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        semantic, motion = self.streams
        self.semantic_pooling = StreamPooling(semantic, config.head)
        self.motion_pooling = StreamPooling(motion, config.head)
        width = self.semantic_pooling.width + self.motion_pooling.width
        self.hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.peer.width), nn.GELU())
        self.classifier = Classifier(config.peer.width, task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        vector = torch.cat([self.semantic_pooling(semantic), self.motion_pooling(motion)], dim=-1)
        return Prediction(self.classifier(self.hidden(vector)))
