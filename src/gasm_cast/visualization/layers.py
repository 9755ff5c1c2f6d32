"""What each layer's motion segments look at, layer under layer, over the frames of each segment."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gasm_cast.backbones.contract import middle_frame
from gasm_cast.palette import ACCENT, MUTED, RULE
from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.explaining import Explanation, part_of_frame
from gasm_cast.visualization.style import axes_at, bars, heading, heat_colours, heat_over, look, show, text_at

LAYER_NAMES = ("basic", "pattern", "action")
"""What the layers of the three-layer form are meant to find: correspondences of growing scope."""
_PANEL_IN = 1.42
_LEFT_IN = 1.75
_HEAD_IN = 1.8
_LEAST_SCALE = 1.5
"""Attention that is even to within this factor is not blown up."""


def layer_name(layer: int, num_layers: int) -> str:
    """`layer 1, basic`; numbers alone where there are not three."""
    return f"layer {layer + 1}" + (f", {LAYER_NAMES[layer]}" if num_layers == len(LAYER_NAMES) else "")


def heat_scale(explanation: Explanation) -> float:
    """Weight that has the brightest colour: what one cell in two hundred exceeds, over all layers."""
    maps = [layer.motion_from_semantic for layer in explanation.layers]
    read = [weights.mean(axis=0).ravel() for weights in maps if weights is not None]
    return max(
        _LEAST_SCALE, float(np.quantile(np.concatenate(read), 0.995)) * explanation.semantic_grid.num_tokens
    )


def map_at_frame(
    explanation: Explanation, layer: int, segment: int, frame: int
) -> Float[np.ndarray, "rows cols"] | None:
    """Where a segment looks in one frame of the clip, in multiples of even attention."""
    tokens = explanation.segment_map(layer, segment)
    return None if tokens is None else tokens[part_of_frame(frame, explanation.semantic_grid.num_frames)]


def draw_layers(explanation: Explanation, clip: ShownClip) -> Figure:
    """Columns are motion segments; under their frames, where each layer reads from the patches."""
    num_layers, num_segments = len(explanation.layers), explanation.motion_grid.num_frames
    num_maps = explanation.semantic_grid.num_frames
    high = heat_scale(explanation)
    row_in = _PANEL_IN + (0.32 if num_maps > 1 else 0.06)
    width = _LEFT_IN + num_segments * _PANEL_IN + 0.15
    with look():
        figure = Figure(figsize=(width, _HEAD_IN + (num_layers + 1) * row_in + 0.45))
        heading(figure, clip.title(explanation.answer), _caption(explanation), room_in=3.9)
        bars(axes_at(figure, width - 3.6, 0.1, 3.45, 1.4), explanation.answer.top(5))
        for segment in range(num_segments):
            frame = middle_frame(segment, num_segments)
            left_in = _LEFT_IN + segment * _PANEL_IN
            axes = axes_at(figure, left_in, _HEAD_IN, _PANEL_IN - 0.05)
            show(axes, clip.frames[frame], f"segment {segment} · {clip.times_sec[frame]:.2f} s")
            for layer in range(num_layers):
                weights = map_at_frame(explanation, layer, segment, frame)
                if weights is None:
                    continue
                axes = axes_at(figure, left_in, _HEAD_IN + (layer + 1) * row_in, _PANEL_IN - 0.05)
                show(axes, heat_over(clip.frames[frame], weights, low=1.0, high=high))
                if num_maps > 1:
                    _frame_shares(axes, explanation, layer, segment)
        _row_labels(figure, explanation, row_in)
        _colour_bar(figure, high)
    return figure


def _caption(explanation: Explanation) -> str:
    grid = explanation.semantic_grid
    what = f"{grid.num_rows} x {grid.num_cols} patches"
    if grid.num_frames == 1:
        what += ", one map for the whole clip, laid over the frame of each segment"
    else:
        what += (
            f" in {grid.num_frames} frames; bars tell how much of a segment's attention falls on each frame"
        )
    return (
        f"Which patches each motion segment reads in each exchange layer (mean over heads): {what}. "
        "Colour starts above even attention; the scale is the same for all layers. Segments are counted "
        "from 0."
    )


def _row_labels(figure: Figure, explanation: Explanation, row_in: float) -> None:
    """Name of each layer, and what its own head says."""
    middle_in = _HEAD_IN + _PANEL_IN / 2
    text_at(figure, 0.12, middle_in, "frames", fontweight="bold", va="center")
    num_layers = len(explanation.layers)
    for layer in range(num_layers):
        middle_in += row_in
        text_at(figure, 0.12, middle_in - 0.17, layer_name(layer, num_layers), fontweight="bold", va="center")
        answers = [*explanation.layer_answers, explanation.answer]
        if len(answers) == num_layers:
            best, probability = answers[layer].top(1)[0]
            words = textwrap.wrap(f"“{best}” {probability:.0%}", 27)[:4]
            text_at(figure, 0.12, middle_in - 0.05, "\n".join(words), color=MUTED, fontsize=7)


def _frame_shares(axes: Axes, explanation: Explanation, layer: int, segment: int) -> None:
    """Share of a segment's attention on each frame of the grid; its own frames are coloured."""
    tokens = explanation.segment_map(layer, segment)
    assert tokens is not None
    shares = tokens.mean(axis=(1, 2)) / len(tokens)
    num_segments = explanation.motion_grid.num_frames
    own = [part_of_frame(middle_frame(f, len(shares)), num_segments) == segment for f in range(len(shares))]
    inset = axes.inset_axes((0, -0.17, 1, 0.14))
    inset.bar(np.arange(len(shares)), shares, width=0.8, color=[ACCENT if mine else RULE for mine in own])
    inset.set_ylim(0, max(2 / len(shares), float(shares.max())))
    inset.axis("off")


def _colour_bar(figure: Figure, high: float) -> None:
    bottom_in = figure.get_figheight()
    axes = axes_at(figure, _LEFT_IN, bottom_in - 0.36, 2.6, 0.09)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(1, high), heat_colours())
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=7, length=2, color=RULE)
    text_at(
        figure,
        _LEFT_IN + 2.8,
        bottom_in - 0.31,
        "times even attention",
        color=MUTED,
        fontsize=7.5,
        va="center",
    )
