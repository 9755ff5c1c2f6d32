"""A sweep: candidates side by side on one pass over the data, the best one trained in full.

The field's habit is to train a grid of probes and to report the best of them on the
validation split. Here candidates are ranked on a tenth held back from the training split;
the labels of the validation split are not read. Only the best is then trained on the whole
training split, and measured on validation once, at its end.

What candidates share is done once: reading, copying, pooling, standardising. Candidates
that fall behind are dropped: after a quarter of the epochs the better half goes on, after
half of them the better half of these.

Source: successive halving, Jamieson and Talwalkar, arXiv 1502.07943. Differs in that all
candidates follow the learning-rate schedule of the whole run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from gasm_cast.config import to_toml
from gasm_cast.errors import InputError
from gasm_cast.files import write_text
from gasm_cast.training.batches import TrainingClips
from gasm_cast.training.candidates import Candidate, with_held_out
from gasm_cast.training.devices import launch, repeatable
from gasm_cast.training.locking import alone_in
from gasm_cast.training.race import Race
from gasm_cast.training.setup import read_data
from gasm_cast.training.validation import Accuracy


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended."""

    best: Candidate
    held_out: Accuracy
    """Of the best candidate, after its last epoch."""
    records: tuple[dict[str, Any], ...]
    """Every candidate in the order of the grid."""
    seconds: float
    """Of this call: an interrupted sweep spent more."""


def sweep(
    candidates: Sequence[Candidate], folder: Path, *, drop: bool = True, console: Console | None = None
) -> SweepResult:
    """Rank candidates by training them side by side.

    Writes sweep.json with every candidate's accuracies, and best.toml. An interrupted sweep
    goes on after its last whole epoch.

    Args:
        candidates: Recipes that differ in what a sweep may vary.
        folder: Where to write.
        drop: Drop candidates that fall behind; off trains all of them to the end.
        console: Where to report; None is silent.

    Raises:
        InputError: if recipe, annotations and store do not belong together, the precision is
            fp16, the folder is a run's or another process writes there, or every candidate diverged.
    """
    if (folder / "config.toml").exists():
        raise InputError(f"{folder} holds a run, and a sweep makes runs of its own; choose another --out")
    printer = console or Console(quiet=True)

    def say(line: str) -> None:
        printer.print(line, markup=False, highlight=False, soft_wrap=True)

    shared = with_held_out(candidates[0].recipe)
    if shared.training.precision == "fp16":  # one loss scale cannot serve gradients of several models
        raise InputError("a sweep does not train in fp16; use training.precision = 'bf16' or 'fp32'")
    fabric = launch(shared.training)
    if fabric.world_size > 1:
        raise InputError("a sweep trains in one process; start it without torchrun and with num_devices = 1")
    start = time.perf_counter()
    num_epochs = shared.training.num_epochs
    with alone_in(folder, fabric), repeatable(shared.training.deterministic):
        data = read_data(shared, with_validation=False)
        clips = TrainingClips(data.store, data.learn, shared, rank=0, num_processes=1)
        begins = not (folder / "sweep.pt").exists()
        race = Race(fabric, candidates, data, clips, num_epochs=num_epochs, drop=drop, begins=begins, say=say)
        if not begins:
            race.resume(folder / "sweep.pt")
        for _ in range(race.num_epochs_done, num_epochs):
            race.run_epoch()
            race.save(folder / "sweep.pt", is_over=race.num_epochs_done == num_epochs)
            leader = race.ranking()[0]
            say(
                f"epoch {race.num_epochs_done}/{num_epochs}  {len(race.running)} candidates go on  best "
                f"{leader.accuracies[-1].top1:.1%} of held-out clips: {leader.candidate.name}"
            )
    best = race.ranking()[0]
    records = tuple(entrant.record() for entrant in race.entrants)
    report = {
        "num_clips": len(data.learn),
        "held_out": shared.data.held_out,
        "best": race.entrants.index(best),
        "candidates": records,
    }
    write_text(folder / "sweep.json", json.dumps(report, indent=2) + "\n")
    write_text(folder / "best.toml", to_toml(best.candidate.recipe))
    return SweepResult(best.candidate, best.accuracies[-1], records, time.perf_counter() - start)
