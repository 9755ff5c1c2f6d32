"""Training: the loop, what it needs, and the search over its settings."""

from gasm_cast.training.curves import draw_curves
from gasm_cast.training.learner import TrainingDivergedError
from gasm_cast.training.loop import train
from gasm_cast.training.preview import preview
from gasm_cast.training.recording import TrainingResult

__all__ = ["TrainingDivergedError", "TrainingResult", "draw_curves", "preview", "train"]
