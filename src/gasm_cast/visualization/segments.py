"""The other direction: which motion segments the patches read, layer by layer."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gasm_cast.backbones.contract import middle_frame
from gasm_cast.geometry import cells
from gasm_cast.palette import ACCENT, INK, MUTED, RULE, SECOND
from gasm_cast.visualization.clip import SHOWN_PX, ShownClip
from gasm_cast.visualization.explaining import Explanation
from gasm_cast.visualization.layers import layer_name
from gasm_cast.visualization.patches import outline, patch_name
from gasm_cast.visualization.style import CHOSEN, axes_at, heading, look, show, text_at

_PANEL_IN = 1.3
_MAP_IN = 1.75
_SQUARE_IN = _MAP_IN - 0.25
_HEAD_IN = 0.95
_FIRST_IN = 0.12 + _MAP_IN + 0.25
_LEAST_SHIFT = 0.5
"""Reading that is within half a segment of the middle is not blown up."""


def draw_segments(explanation: Explanation, clip: ShownClip, token: int) -> Figure | None:
    """For one patch its attention over the segments; for all patches the time that they read, as colour.

    Returns:
        None if no layer lets patches read from motion.
    """
    grid, num_segments = explanation.semantic_grid, explanation.motion_grid.num_frames
    readings = [
        (layer, arrays.semantic_from_motion.mean(axis=0))
        for layer, arrays in enumerate(explanation.layers)
        if arrays.semantic_from_motion is not None
    ]
    if not readings:
        return None
    own_map = int(cells(grid)[token][0])
    # Drawn as deviations from even attention, which is 1.
    relative = [weights[token] * num_segments for _, weights in readings]
    reach = max(0.25, 1.1 * max(float(np.abs(values - 1).max()) for values in relative))
    shifts = [_mean_shift(weights.reshape(*grid.shape, -1)[own_map]) for _, weights in readings]
    late = max(_LEAST_SHIFT, *(float(np.abs(shift).max()) for shift in shifts))
    with look():
        width = _FIRST_IN + num_segments * _PANEL_IN + 0.1
        figure = Figure(figsize=(width, _HEAD_IN + (1 + len(readings)) * _MAP_IN + 0.55))
        heading(figure, f"What the patch at {patch_name(grid, token)} reads", _CAPTION)
        shown = middle_frame(own_map, grid.num_frames)
        axes = axes_at(figure, 0.12, _HEAD_IN + 0.2, _SQUARE_IN)
        show(axes, clip.frames[shown], f"the patch · {clip.times_sec[shown]:.2f} s")
        outline(axes, grid, token, clip.frames.shape[1], colour=CHOSEN, linewidth=1.8)
        for segment in range(num_segments):
            shown = middle_frame(segment, num_segments)
            axes = axes_at(figure, _FIRST_IN + segment * _PANEL_IN, _HEAD_IN + 0.2, _PANEL_IN - 0.06)
            show(axes, clip.frames[shown], f"segment {segment} · {clip.times_sec[shown]:.2f} s")
        for row, ((layer, _), values, shift) in enumerate(
            zip(readings, relative, shifts, strict=True), start=1
        ):
            top_in = _HEAD_IN + row * _MAP_IN
            axes = axes_at(figure, 0.12, top_in + 0.2, _SQUARE_IN)
            show(axes, _shift_picture(shift, late), "when each patch reads")
            axes = axes_at(figure, _FIRST_IN, top_in + 0.28, num_segments * _PANEL_IN - 0.06, _MAP_IN - 0.55)
            _draw_deviations(axes, values, reach)
            name = layer_name(layer, len(explanation.layers))
            axes.set_title(name, loc="left", fontsize=9, fontweight="bold", pad=4)
        _shift_bar(figure, late)
    return figure


def _draw_deviations(axes: Axes, values: Float[np.ndarray, " segments"], reach: float) -> None:
    """Bars from 1, even attention, up and down."""
    colours = [INK if value > 1 else MUTED for value in values]  # not those of the maps beside them
    axes.bar(np.arange(len(values)), values - 1, bottom=1, width=0.62, color=colours)
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_ylim(max(0.0, 1 - reach), 1 + reach)
    axes.set_xticks([])
    axes.tick_params(labelsize=7, length=2)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter("{x:g}×")
    axes.spines[["top", "right", "bottom"]].set_visible(False)


_CAPTION = (
    "Right: attention of the outlined patch over the motion segments (mean over heads), in multiples of "
    "even attention. Left: for every patch of its frame, the mean time that it reads; even attention has its "
    "mean in the middle of the clip. Rows, columns, frames and segments are counted from 0."
)


def _mean_shift(weights: Float[np.ndarray, "rows cols segments"]) -> Float[np.ndarray, "rows cols"]:
    """Mean segment that each patch reads, less the middle of the clip."""
    num_segments = weights.shape[-1]
    shift: np.ndarray = weights @ np.arange(num_segments) - (num_segments - 1) / 2
    return shift


def _shift_picture(shift: Float[np.ndarray, "rows cols"], reach: float) -> UInt8[np.ndarray, "size size 3"]:
    colours = 255 * _shift_colours()(Normalize(-reach, reach)(shift))[..., :3]
    square: np.ndarray = cv2.resize(colours, (SHOWN_PX, SHOWN_PX), interpolation=cv2.INTER_NEAREST)
    return square.round().astype(np.uint8)


def _shift_colours() -> Colormap:
    """From early over the ground of no preference to late."""
    return LinearSegmentedColormap.from_list("early to late", [SECOND, "#eef0f2", ACCENT])


def _shift_bar(figure: Figure, reach: float) -> None:
    bottom_in = figure.get_figheight()
    axes = axes_at(figure, 0.2, bottom_in - 0.38, _SQUARE_IN - 0.16, 0.09)
    scale = ScalarMappable(Normalize(-reach, reach), _shift_colours())
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal", ticks=[-reach, 0, reach])
    bar.ax.set_xticklabels([f"{-reach:.1f}".replace("-", "−"), "0", f"+{reach:.1f}"], fontsize=7)
    bar.outline.set_visible(False)
    axes.tick_params(length=2, color=RULE)
    words = "mean time, in segments before (−) or after (+) the middle of the clip; one scale for all layers"
    text_at(figure, _FIRST_IN - 0.2, bottom_in - 0.34, words, color=MUTED, fontsize=7.5, va="center")
