"""Accuracies of several models on the same clips, and their paired differences to one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gasm_cast.annotations import natural_key
from gasm_cast.evaluation.comparison import Side, compare
from gasm_cast.evaluation.intervals import paired_t, wilson
from gasm_cast.files import write_text


def show(sides: Sequence[Side], baseline: Side, json_path: Path | None, *, alike: int = 1) -> None:
    """Print a line for each model, and write the rows where asked to.

    With `alike` above 1 so many neighbours of a class, in order of their names, are one unit of
    the intervals, since clips cut from one recording are right or wrong together.
    """
    rows = [row(side, baseline) if alike == 1 else row_of_blocks(side, baseline, alike) for side in sides]
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


def row_of_blocks(side: Side, baseline: Side, alike: int) -> dict[str, Any]:
    """The same, with intervals over blocks of neighbouring clips and over seeds."""
    of_side, of_baseline = block_means(side, alike), block_means(baseline, alike)
    entry: dict[str, Any] = {
        "name": side.name,
        "value": float(of_side.mean()),
        "unit": "top-1",
        "target": None,
        "met": None,
        "peer": baseline.name,
        "interval": paired_t(of_side, np.zeros((1, of_side.shape[1]))).interval,
        "num_blocks": of_side.shape[1],
        "num_seeds": len(side.runs),
    }
    if side is not baseline:
        entry["difference"] = float(of_side.mean() - of_baseline.mean())
        entry["difference_interval"] = paired_t(of_side, of_baseline).interval
    return entry


def block_means(side: Side, alike: int) -> NDArray[np.float64]:
    """Share of right answers in each block of so many clips, one row a seed.

    Raises:
        ValueError: if the clips of a class cannot be cut into such blocks.
    """
    rows = []
    for run in side.runs:
        blocks = []
        for label in np.unique(run.labels):
            clips = np.flatnonzero(run.labels == label)
            if len(clips) % alike:
                raise ValueError(
                    f"{len(clips)} clips of {run.class_names[label]} cannot be cut in blocks of {alike}"
                )
            ordered = sorted(clips, key=lambda clip: natural_key(run.ids[clip]))
            blocks += list(run.correct[ordered].reshape(-1, alike).mean(axis=1))
        rows.append(blocks)
    return np.array(rows)
