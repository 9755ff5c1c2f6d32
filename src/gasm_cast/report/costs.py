"""What models cost, as columns of a table: the same from a run's cost.json and from `gasm-cast bench`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gasm_cast.report.tables import Column, Value

# As many as a page is wide.
_QUANTITIES = (
    ("parameters", "Params (M)", 1e-6),
    ("flops", "GFLOP a clip", 1e-9),
    ("train_step_sec", "Step (ms)", 1e3),
    ("saved_bytes", "Kept (MiB)", 1 / 2**20),
)

WHAT = (
    "trainable parameters, operations of a forward pass, time of a training step, and memory that the step "
    "keeps for its backward pass"
)
"""The columns in words, for captions."""


def cost_columns(
    costs: Sequence[Mapping[str, Any]], best: Literal["min"] | None = None
) -> tuple[tuple[Column, ...], list[tuple[Value, ...]]]:
    """Columns of those quantities that were measured, and the cells of each model in them.

    Args:
        costs: What each model costs, by the names of `evaluation.efficiency.Measurement`.
        best: Which value of a column is the best, to be marked.
    """
    shown = [quantity for quantity in _QUANTITIES if any(quantity[0] in cost for cost in costs)]
    columns = tuple(Column(title, "number", best=best) for _, title, _ in shown)
    cells = [tuple(cost[key] * scale if key in cost else None for key, _, scale in shown) for cost in costs]
    return columns, cells
