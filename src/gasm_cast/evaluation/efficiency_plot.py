"""Picture of cost over the number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gasm_cast.evaluation.efficiency import Measurement
from gasm_cast.evaluation.growth import Growth
from gasm_cast.files import atomic_path

_SHOWN = ("gasm-cast", "gasm-cast, motion feed-forward", "cross-attention", "attentive-probe", "cast")


def plot_costs(measurements: Sequence[Measurement], growth: Growth | None, path: Path) -> None:
    """Draw operations of whole models, and time of graph attention, over the tokens of a clip.

    Raises:
        InputError: if `path` cannot be written.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in _SHOWN:
        points = sorted((row.grid.num_tokens, row.flops / 1e9) for row in measurements if row.name == name)
        if points:
            left.plot(*zip(*points, strict=True), marker="o", label=name)
    left.set(xlabel="semantic tokens of a clip", ylabel="GFLOP, forward pass", title="Whole models")
    if growth is not None:
        lines = (
            ("neighbour lists", growth.neighbour_list_sec),
            ("masked dense", growth.masked_dense_sec),
            ("all pairs, fused", growth.fused_attention_sec),
            ("all pairs, with bias", growth.biased_attention_sec),
        )
        for label, seconds in lines:
            points = [(n, 1e3 * s) for n, s in zip(growth.num_nodes, seconds, strict=True) if s is not None]
            right.plot(*zip(*points, strict=True), marker="o", label=label)
        right.set(xlabel="nodes", ylabel="ms, forward and backward", title="One layer inside a stream")
    for axes in (left, right):
        _finish(axes)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _finish(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log")
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False, fontsize=8)
