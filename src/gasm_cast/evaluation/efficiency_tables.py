"""The efficiency tables as Markdown, and every figure of them for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gasm_cast.evaluation.claims import Verdict
from gasm_cast.evaluation.efficiency import Measurement
from gasm_cast.evaluation.growth import Growth

REFERENCE = "cross-attention"
_UNITS = {
    "parameters": "1",
    "flops": "FLOP",
    "forward_sec": "s",
    "train_step_sec": "s",
    "saved_bytes": "B",
    "peak_bytes": "B",
}


def cost_table(rows: Sequence[Measurement]) -> str:
    """Costs on one grid, with ratios to the full-width reference where it was measured."""
    reference = next((row for row in rows if row.name == REFERENCE), None)
    header = (
        "model",
        "parameters, M",
        "GFLOP a clip",
        "inference, ms",
        "training step, ms",
        "saved for backward, MB",
        "peak of a step, MB",
        f"FLOPs, step, saved over {REFERENCE}",
    )
    body = []
    for row in rows:
        ratios = "-"
        if reference is not None:
            fields = ("flops", "train_step_sec", "saved_bytes")
            ratios = ", ".join(f"{getattr(row, f) / getattr(reference, f):.3f}" for f in fields)
        body.append(
            (
                row.name,
                f"{row.parameters / 1e6:.2f}",
                f"{row.flops / 1e9:.3f}",
                f"{1e3 * row.forward_sec:.1f}",
                f"{1e3 * row.train_step_sec:.1f}",
                f"{row.saved_bytes / 1e6:.1f}",
                "-" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}",
                ratios,
            )
        )
    return f"**{rows[0].grid}, {rows[0].batch_size} clip(s) a step**\n\n{_markdown(header, body)}"


def growth_table(growth: Growth) -> str:
    """Milliseconds of a graph layer, in both computations, and of what it replaces, over the nodes."""
    columns: tuple[Sequence[float | None], ...] = (
        growth.neighbour_list_sec,
        growth.masked_dense_sec,
        growth.fused_attention_sec,
        growth.biased_attention_sec,
    )
    body = []
    for nodes, *seconds in zip(growth.num_nodes, *columns, strict=True):
        body.append((str(nodes), *("-" if sec is None else f"{1e3 * sec:.1f}" for sec in seconds)))
    header = ("nodes", "neighbour lists", "masked dense", "all pairs, fused", "all pairs with bias")
    title = "**One layer inside a stream, one clip: forward and backward pass, ms**"
    return f"{title}\n\n{_markdown(header, body)}"


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Claims, measured and judged."""
    body = [
        (
            v.claim.name,
            v.claim.ours,
            v.claim.peer or "-",
            v.claim.document,
            f"{v.claim.target:,g}",
            f"{v.value:,.3g}",
            "met" if v.met else "not met",
        )
        for v in verdicts
    ]
    header = ("claim", "ours", "against", "document", "target", "measured", "verdict")
    return f"**Claims**\n\n{_markdown(header, body)}"


def figures(measurements: Sequence[Measurement], verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Every figure as `{"name", "value", "unit", "target", "met", "peer"}`."""
    plain = [
        {
            "name": f"{row.name}, {row.grid}, {field}",
            "value": getattr(row, field),
            "unit": unit,
            "target": None,
            "met": None,
            "peer": None,
        }
        for row in measurements
        for field, unit in _UNITS.items()
        if getattr(row, field) is not None
    ]
    judged = [
        {
            "name": f"{v.claim.name}: {v.claim.ours}",
            "value": v.value,
            "unit": "1",
            "target": v.claim.target,
            "met": v.met,
            "peer": v.claim.peer,
        }
        for v in verdicts
    ]
    return plain + judged


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = ["---" if place == 0 else "--:" for place in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))
