"""`linear`: each stream pooled, concatenated, normalised, one linear layer.

Source: docs/method.md, peers. It is GASM-CAST's head without anything before it, and so
what the rest has to beat on the same features.
"""

from __future__ import annotations

from torch import Tensor

from gasm_cast.config import ModelConfig
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import PooledClassifier


class Linear(FusionModel):
    """Linear probe on the pooled features of both streams."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        self.head = PooledClassifier(self.streams, task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens."""
        return Prediction(self.head(semantic, motion))
