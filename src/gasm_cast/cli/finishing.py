"""What `train` and `tune` leave and say when a run is trained."""

from __future__ import annotations

import dataclasses
import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gasm_cast.runs import Run
    from gasm_cast.training import TrainingResult


def finish(run: Run, result: TrainingResult, line: str, json: Path | None) -> None:
    """Draw the curves, print a line and what comes next, and write the result where it is asked for."""
    from gasm_cast.files import write_text
    from gasm_cast.training.curves import draw_curves

    draw_curves([run], run.path / "curves.png")
    print(line)
    print(f"next: gasm-cast evaluate {run.path}")
    if json is not None:
        record = {"run": str(run.path), "recipe_hash": run.hash, **dataclasses.asdict(result)}
        write_text(json, json_format.dumps(record, indent=2) + "\n")
