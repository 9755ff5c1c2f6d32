"""GASM-CAST and its peers, behind one contract."""

from gasm_cast.models.building import build_model
from gasm_cast.models.contract import Attention, EarlyPrediction, FusionModel, Prediction, Task

__all__ = ["Attention", "EarlyPrediction", "FusionModel", "Prediction", "Task", "build_model"]
