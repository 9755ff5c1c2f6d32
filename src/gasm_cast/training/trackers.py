"""Where curves go besides the run's own metrics.jsonl."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Protocol, runtime_checkable

from gasm_cast.config import Recipe, to_table
from gasm_cast.errors import InputError
from gasm_cast.runs import Run


@runtime_checkable
class Tracker(Protocol):
    """Takes named numbers of a step."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the numbers of one step."""
        ...

    def close(self) -> None:
        """Write what is still in memory."""
        ...


class NoTracker:
    """Keeps nothing: metrics.jsonl alone."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TensorBoard:
    """Event files in RUN/tensorboard; `tensorboard --logdir runs` shows them.

    Args:
        run: The run.
        step: Where training goes on; later steps of an interrupted attempt are hidden.
    """

    def __init__(self, run: Run, step: int) -> None:
        # Imported here: it takes long, and runs without a tracker do without.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=step)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the numbers of one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases, resumed by the run folder's name."""

    def __init__(self, run: Run) -> None:
        wandb = _import("wandb")
        self._run = wandb.init(
            project="gasm-cast",
            id=f"{run.path.name}-{run.hash}",
            name=run.path.name,
            dir=str(run.path),
            config=to_table(run.recipe),
            resume="allow",
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the numbers of one step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


class MLflow:
    """A run of MLflow, in the experiment `gasm-cast`."""

    def __init__(self, run: Run) -> None:
        self._mlflow = _import("mlflow")
        self._mlflow.set_experiment("gasm-cast")
        self._mlflow.start_run(run_name=f"{run.path.name}-{run.hash}")
        self._mlflow.log_dict(to_table(run.recipe), "config.json")

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the numbers of one step."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._mlflow.end_run()


def require_tracker(recipe: Recipe) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:
        InputError: saying how to get it.
    """
    if recipe.training.tracker in ("wandb", "mlflow"):
        _import(recipe.training.tracker)


def open_tracker(run: Run, step: int) -> Tracker:
    """The tracker that the recipe names.

    Raises:
        InputError: if its package is not installed.
    """
    match run.recipe.training.tracker:
        case "tensorboard":
            return TensorBoard(run, step)
        case "wandb":
            return WeightsAndBiases(run)
        case "mlflow":
            return MLflow(run)
        case "none":
            return NoTracker()


def _import(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise InputError(
            f"training.tracker = {package!r} needs the package {package}: `pip install {package}`, "
            "or choose 'tensorboard'"
        ) from None
