"""The graph of one patch: which patches it is joined to, and how much it takes from each."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from gasm_cast.backbones.contract import middle_frame
from gasm_cast.geometry import Grid, cells
from gasm_cast.palette import INK, MUTED, RULE
from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.explaining import Explanation, GraphArrays
from gasm_cast.visualization.patches import centre, outline, patch_name
from gasm_cast.visualization.style import (
    ADJACENT,
    CHOSEN,
    ONE_MAP,
    SIMILAR,
    axes_at,
    heading,
    look,
    quiet,
    show,
)

_SIDE_IN = 3.3
_BARS_IN = 2.6
_MOST_BARS = 20
_HEAD_IN = 1.5


def draw_graph(explanation: Explanation, clip: ShownClip, token: int) -> Figure:
    """Frames with the edges of one patch, and its attention over them; one row a graph layer.

    Over frames: the patch's own frame in the middle, the frames that its edges reach beside it.
    """
    grid = explanation.semantic_grid
    maps = _reached_maps(explanation, token)
    row_in = _SIDE_IN + 0.3
    width = len(maps) * _SIDE_IN + _BARS_IN + 0.85
    with look():
        figure = Figure(figsize=(width, _HEAD_IN + len(explanation.graphs) * row_in))
        caption = _CAPTION if grid.num_frames > 1 else f"{_CAPTION} {ONE_MAP}"
        heading(figure, f"Graph of the patch at {patch_name(grid, token)}", caption)
        for layer, graph in enumerate(explanation.graphs):
            top_in = _HEAD_IN + layer * row_in
            for column, own in enumerate(maps):
                axes = axes_at(figure, 0.12 + column * _SIDE_IN, top_in, _SIDE_IN - 0.1)
                frame = middle_frame(own, grid.num_frames)
                title = f"graph layer {layer + 1}" if len(explanation.graphs) > 1 else ""
                if grid.num_frames > 1:
                    title = f"{title}  frame {own} · {clip.times_sec[frame]:.2f} s".strip()
                show(axes, _dimmed(clip.frames[frame]), title)
                _draw_edges(axes, grid, graph, token, own)
                if own == cells(grid)[token][0]:
                    outline(axes, grid, token, clip.frames.shape[1], colour=CHOSEN, linewidth=2.2)
            axes = axes_at(figure, width - _BARS_IN - 0.1, top_in + 0.1, _BARS_IN, _SIDE_IN - 0.3)
            _draw_bars(axes, grid, graph, token)
    return figure


_CAPTION = (
    "White: the patch. Blue: edges to patches that touch it in space or time. Yellow: edges to the patches "
    "most similar to it, sought anew in every clip. The thicker an edge, the more the patch takes from there "
    "(attention over its edges, mean over heads). Rows, columns and frames are counted from 0."
)


def _reached_maps(explanation: Explanation, token: int) -> list[int]:
    """Frames of the grid that edges of the patch reach in any layer."""
    grid = explanation.semantic_grid
    frames = {int(cells(grid)[token][0])}
    for graph in explanation.graphs:
        reached = graph.neighbours[token][graph.is_edge[token]]
        frames |= set(cells(grid)[reached][:, 0].tolist())
    return sorted(frames)


def _dimmed(frame: np.ndarray) -> np.ndarray:
    dimmed: np.ndarray = (0.65 * quiet(frame) + 0.3 * frame).astype(np.uint8)
    return dimmed


def _draw_edges(axes: Axes, grid: Grid, graph: GraphArrays, token: int, frame: int) -> None:
    """Edges from the patch to the nodes of one frame; those to other frames start at its own place."""
    size_px = axes.images[0].get_size()[0]
    weights = graph.weights[:, token].mean(axis=0)
    start = centre(grid, token, size_px)
    largest = weights[graph.is_edge[token]].max()
    for node, is_edge, is_adjacent, weight in zip(
        graph.neighbours[token], graph.is_edge[token], graph.is_adjacent[token], weights, strict=True
    ):
        if not is_edge or node == token or cells(grid)[node][0] != frame:
            continue
        colour = ADJACENT if is_adjacent else SIMILAR
        strength = float(weight / largest)
        outline(axes, grid, int(node), size_px, colour=colour, linewidth=0.8 + strength)
        if centre(grid, int(node), size_px) == start:  # the same cell, before or after
            continue
        axes.add_patch(
            FancyArrowPatch(
                start,
                centre(grid, int(node), size_px),
                connectionstyle="arc3,rad=0" if is_adjacent else "arc3,rad=0.18",
                arrowstyle="-",
                linewidth=0.6 + 3.4 * strength,
                color=colour,
                alpha=0.45 + 0.5 * strength,
                capstyle="round",
            )
        )


def _draw_bars(axes: Axes, grid: Grid, graph: GraphArrays, token: int) -> None:
    """Attention over the edges, largest first."""
    weights = np.where(graph.is_edge[token], graph.weights[:, token].mean(axis=0), -1.0)
    order = np.argsort(-weights, kind="stable")[: min(_MOST_BARS, int(graph.is_edge[token].sum()))]
    nodes = graph.neighbours[token][order]
    kinds = [
        "itself" if node == token else "adjacent" if graph.is_adjacent[token, edge] else "similar"
        for node, edge in zip(nodes, order, strict=True)
    ]
    colours = {"itself": "#b9bec6", "adjacent": ADJACENT, "similar": SIMILAR}
    places = np.arange(len(order))
    axes.barh(places, weights[order], color=[colours[kind] for kind in kinds], height=0.72)
    for place, (node, kind, weight) in enumerate(zip(nodes, kinds, weights[order], strict=True)):
        frame, row, col = cells(grid)[node].tolist()
        where = f"{row}, {col}" if grid.num_frames == 1 else f"{row}, {col} · {frame}"
        axes.text(-0.02 * weights.max(), place, where, ha="right", va="center", fontsize=7, color=MUTED)
        axes.text(
            weight + 0.02 * weights.max(), place, f"{weight:.3f}  {kind}", va="center", fontsize=7, color=INK
        )
    axes.set_ylim(max(len(order), 12) - 0.4, -0.6)
    axes.set_xlim(0, 1.55 * weights.max())
    axes.set_yticks([])
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(RULE)
    what = "row, column" if grid.num_frames == 1 else "row, column · frame"
    axes.set_title(f"attention ({what})", fontsize=8, color=MUTED, loc="left", pad=4)
