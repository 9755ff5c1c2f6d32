"""The efficiency table of a paper, from what `gasm-cast bench model --json` wrote."""

from __future__ import annotations

import json
from pathlib import Path

from gasm_cast.errors import InputError
from gasm_cast.report.costs import WHAT, cost_columns
from gasm_cast.report.tables import Column, Table


def read_bench(path: Path) -> dict[str, Table]:
    """A table for each grid, with a row for each model, in the order in which they were measured.

    Raises:
        InputError: if the file is missing or is not what the command writes.
    """
    grids: dict[str, dict[str, dict[str, float]]] = {}
    try:
        for row in json.loads(path.read_text(encoding="utf-8")):
            if row["target"] is None:
                model, grid, quantity = row["name"].rsplit(", ", 2)
                grids.setdefault(grid, {}).setdefault(model, {})[quantity] = float(row["value"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not what `gasm-cast bench model --json` writes: {error}") from error
    found = {}
    for grid, costs in grids.items():
        columns, cells = cost_columns(list(costs.values()))
        if columns:
            rows = tuple((model, *of_model) for model, of_model in zip(costs, cells, strict=True))
            caption = f"Cost of each model on random tokens, {grid} (frames, rows, columns): {WHAT}"
            found[grid] = Table(caption, (Column("Model"), *columns), rows)
    if not found:
        raise InputError(f"{path} holds no costs of models; `gasm-cast bench model --json` writes them")
    return found
