"""What trained models cost, measured side by side and left in their run folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def measure_runs(folders: Sequence[Path]) -> None:
    """Measure the models of runs on random tokens, and write each one's cost.json.

    Models of one task, which is the shapes of the streams and the classes, take turns, so that
    their ratios can be trusted; a step has the clips that the first of them was trained with.
    """
    import dataclasses
    import json

    from gasm_cast.evaluation.efficiency import Settings, measure
    from gasm_cast.files import write_text
    from gasm_cast.models import load_checkpoint
    from gasm_cast.runs import Run

    models = {folder: load_checkpoint(Run.open(folder).best_checkpoint).model for folder in folders}
    for task in dict.fromkeys(model.task for model in models.values()):
        of_task = [folder for folder, model in models.items() if model.task == task]
        batch_size = Run.open(of_task[0]).recipe.training.batch_size
        settings = Settings(num_classes=task.num_classes, num_groups=task.num_groups, peak=False)
        configs = {str(folder): models[folder].config for folder in of_task}
        rows = measure(configs, task.semantic, task.motion, batch_size, settings)
        for folder, row in zip(of_task, rows, strict=True):
            cost = {**dataclasses.asdict(row), "grid": str(row.grid), "device": settings.describe()}
            del cost["name"]
            write_text(folder / "cost.json", json.dumps(cost, indent=2) + "\n")
