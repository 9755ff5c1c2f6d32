"""GASM-CAST: graph-aware semantic-motion cross-attention for video action recognition.

The names that most people need are here; each is imported when it is asked for, so that
importing the package is fast and imports no torch. Every room offers more of its own.
"""

from typing import TYPE_CHECKING

from gasm_cast.lazy import offer

if TYPE_CHECKING:
    from gasm_cast.annotations import ClipTable, read_annotations
    from gasm_cast.classifying import Answer, Classifier, predict
    from gasm_cast.config import Recipe, read_recipe
    from gasm_cast.errors import InputError
    from gasm_cast.evaluation import evaluate
    from gasm_cast.models import FusionModel, LoadedModel, build_model, load_checkpoint
    from gasm_cast.runs import Run
    from gasm_cast.store import FeatureStore, StoreWriter
    from gasm_cast.training import train
else:
    __getattr__, __dir__ = offer(
        __name__,
        {
            "gasm_cast.annotations": "ClipTable read_annotations",
            "gasm_cast.classifying": "Answer Classifier predict",
            "gasm_cast.config": "Recipe read_recipe",
            "gasm_cast.errors": "InputError",
            "gasm_cast.evaluation": "evaluate",
            "gasm_cast.models": "FusionModel LoadedModel build_model load_checkpoint",
            "gasm_cast.runs": "Run",
            "gasm_cast.store": "FeatureStore StoreWriter",
            "gasm_cast.training": "train",
        },
    )

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Classifier",
    "ClipTable",
    "FeatureStore",
    "FusionModel",
    "InputError",
    "LoadedModel",
    "Recipe",
    "Run",
    "StoreWriter",
    "build_model",
    "evaluate",
    "load_checkpoint",
    "predict",
    "read_annotations",
    "read_recipe",
    "train",
]
