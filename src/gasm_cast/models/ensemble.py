"""`ensemble`: the mean of the probabilities of two linear probes, one a stream.

Source: docs/method.md, peers; late fusion. The probes share a training run but nothing
else: each has its own loss (they are `layer_logits`, with weight 1), and the mean is only
read, no gradient flows through it, as if they had been trained apart.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gasm_cast.config import ModelConfig
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import PooledClassifier


class Ensemble(FusionModel):
    """Two single-stream probes whose probabilities are averaged."""

    layer_weights = (1.0, 1.0)
    layer_names = ("semantic", "motion")

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        semantic, motion = self.streams
        self.semantic_head = PooledClassifier((semantic,), task.num_classes, config.head)
        self.motion_head = PooledClassifier((motion,), task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens; the logits are the logarithm of the mean."""
        each = (self.semantic_head(semantic), self.motion_head(motion))
        logs = torch.stack([logits.detach().float().log_softmax(dim=-1) for logits in each])
        return Prediction(logs.logsumexp(dim=0) - math.log(len(each)), each)
