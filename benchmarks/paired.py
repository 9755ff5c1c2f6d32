"""Accuracies of several models on the same clips, and their paired differences to one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gasm_cast.evaluation.comparison import Side, compare
from gasm_cast.evaluation.intervals import wilson
from gasm_cast.files import write_text


def show(sides: Sequence[Side], baseline: Side, json_path: Path | None) -> None:
    """Print a line for each model, and write the rows where asked to."""
    rows = [row(side, baseline) for side in sides]
    for entry in rows:
        low, high = entry["interval"]
        text = f"{entry['name']:<36} {100 * entry['value']:5.1f}  [{100 * low:.1f}, {100 * high:.1f}]"
        if "difference" in entry:
            low, high = entry["difference_interval"]
            text += (
                f"  to {baseline.name} {100 * entry['difference']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            )
        print(text)
    if json_path is not None:
        write_text(json_path, json.dumps(rows, indent=2) + "\n")


def row(side: Side, baseline: Side) -> dict[str, Any]:
    """Mean accuracy over the seeds; its interval is that of one run of so many clips."""
    value = float(np.mean([run.correct.mean() for run in side.runs]))
    num_clips = len(side.runs[0].ids)
    entry: dict[str, Any] = {
        "name": side.name,
        "value": value,
        "unit": "top-1",
        "target": None,
        "met": None,
        "peer": baseline.name,
        "interval": wilson(round(value * num_clips), num_clips),
        "num_clips": num_clips,
        "num_seeds": len(side.runs),
    }
    if side is not baseline:
        comparison = compare(side, baseline)
        entry["difference"] = comparison.difference
        entry["difference_interval"] = comparison.interval
    return entry
