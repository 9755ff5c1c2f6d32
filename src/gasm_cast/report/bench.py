"""The efficiency table of a paper, from what `gasm-cast bench model --json` wrote."""

from __future__ import annotations

import json
from pathlib import Path

from gasm_cast.errors import InputError
from gasm_cast.report.tables import Column, Table

# As many as a page is wide.
_KINDS = (
    ("parameters", "Params (M)", 1e-6),
    ("flops", "GFLOP a clip", 1e-9),
    ("train_step_sec", "Step (ms)", 1e3),
    ("saved_bytes", "Kept (MiB)", 1 / 2**20),
)

_CAPTION = (
    "Cost of each model on random tokens, {grid} (frames, rows, columns): trainable parameters, operations "
    "of a forward pass, time of a training step, and memory that the step keeps for its backward pass"
)


def read_bench(path: Path) -> dict[str, Table]:
    """A table for each grid, with a row for each model, in the order in which they were measured.

    Raises:
        InputError: if the file is missing or is not what the command writes.
    """
    costs: dict[tuple[str, str], dict[str, float]] = {}
    try:
        for row in json.loads(path.read_text(encoding="utf-8")):
            if row["target"] is None:
                model, grid, quantity = row["name"].rsplit(", ", 2)
                costs.setdefault((grid, model), {})[quantity] = float(row["value"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not what `gasm-cast bench model --json` writes: {error}") from error
    shown = [kind for kind in _KINDS if any(kind[0] in cost for cost in costs.values())]
    if not shown:
        raise InputError(f"{path} holds no costs of models; `gasm-cast bench model --json` writes them")
    columns = (Column("Model"), *(Column(title, "number") for _, title, _ in shown))
    found = {}
    for grid in dict.fromkeys(grid for grid, _ in costs):
        rows = tuple(
            (model, *(cost[key] * scale if key in cost else None for key, _, scale in shown))
            for (of, model), cost in costs.items()
            if of == grid
        )
        found[grid] = Table(_CAPTION.format(grid=grid), columns, rows)
    return found
