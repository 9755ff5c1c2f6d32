"""GASM-CAST and its peers, behind one contract."""

from gasm_cast.models.building import build_model
from gasm_cast.models.checkpoints import (
    CheckpointError,
    LoadedModel,
    ModelCard,
    load_checkpoint,
    save_checkpoint,
)
from gasm_cast.models.compiling import mark_batch
from gasm_cast.models.contract import Attention, EarlyPrediction, FusionModel, Prediction, Task

__all__ = [
    "Attention",
    "CheckpointError",
    "EarlyPrediction",
    "FusionModel",
    "LoadedModel",
    "ModelCard",
    "Prediction",
    "Task",
    "build_model",
    "load_checkpoint",
    "mark_batch",
    "save_checkpoint",
]
