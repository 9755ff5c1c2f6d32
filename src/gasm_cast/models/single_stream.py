"""`semantic-only` and `motion-only`: the linear probe of one stream.

Source: docs/method.md, peers; late fusion. They tell what each stream knows by itself.
"""

from __future__ import annotations

from torch import Tensor

from gasm_cast.config import ModelConfig
from gasm_cast.models.contract import FusionModel, Prediction, Task
from gasm_cast.models.head import PooledClassifier


class SemanticOnly(FusionModel):
    """Linear probe on the pooled semantic features."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        self.head = PooledClassifier(self.streams[:1], task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens of the semantic stream; motion is not read."""
        return Prediction(self.head(semantic))


class MotionOnly(FusionModel):
    """Linear probe on the pooled motion features."""

    def __init__(self, config: ModelConfig, task: Task) -> None:
        super().__init__(config, task)
        self.head = PooledClassifier(self.streams[1:], task.num_classes, config.head)

    def classify(self, semantic: Tensor, motion: Tensor) -> Prediction:
        """Score the classes from prepared tokens of the motion stream; semantics are not read."""
        return Prediction(self.head(motion))
