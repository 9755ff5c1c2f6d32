"""Picture of cost over the number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gasm_cast.evaluation.efficiency import Measurement
from gasm_cast.evaluation.growth import Growth
from gasm_cast.files import atomic_path

_MOST_LINES = 8
_SHOWN = ("gasm-cast", "gasm-cast, motion feed-forward", "cross-attention", "attentive-probe", "cast")


def plot_costs(measurements: Sequence[Measurement], growth: Growth | None, path: Path) -> None:
    """Draw operations of whole models, and time of graph attention, over the tokens of a clip.

    Of many models only those of the claims are drawn.

    Raises:
        InputError: if `path` cannot be written.
    """
    num_panels = 1 if growth is None else 2
    figure = Figure(figsize=(5 * num_panels, 4.2), layout="constrained")
    left, *rest = figure.subplots(1, num_panels, squeeze=False).flat
    names = list(dict.fromkeys(row.name for row in measurements))
    for name in names if len(names) <= _MOST_LINES else _SHOWN:
        points = sorted((row.grid.num_tokens, row.flops / 1e9) for row in measurements if row.name == name)
        if points:
            left.plot(*zip(*points, strict=True), marker="o", label=name)
    left.set(xlabel="semantic tokens of a clip", ylabel="GFLOP, forward pass", title="Whole models")
    _finish(left, sorted({row.grid.num_tokens for row in measurements}))
    if growth is not None:
        (right,) = rest
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
        _finish(right, growth.num_nodes)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _finish(axes: Axes, sizes: Sequence[int]) -> None:
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.grid(alpha=0.3, which="both", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False, fontsize=8)
