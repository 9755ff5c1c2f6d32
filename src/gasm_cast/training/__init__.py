"""Training: the loop, what it needs, and the search over its settings."""

from gasm_cast.training.candidates import Candidate, final_recipe, read_grid
from gasm_cast.training.learner import TrainingDivergedError
from gasm_cast.training.loop import train
from gasm_cast.training.preview import preview
from gasm_cast.training.recording import TrainingResult
from gasm_cast.training.sweep import SweepResult, sweep

__all__ = [
    "Candidate",
    "SweepResult",
    "TrainingDivergedError",
    "TrainingResult",
    "final_recipe",
    "preview",
    "read_grid",
    "sweep",
    "train",
]
