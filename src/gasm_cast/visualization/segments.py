"""The other direction: which motion segments the patches read, layer by layer."""

from __future__ import annotations

import cv2
import matplotlib as mpl
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gasm_cast.geometry import cells
from gasm_cast.palette import ACCENT, MUTED, RULE
from gasm_cast.visualization.clip import SHOWN_PX, ShownClip
from gasm_cast.visualization.explaining import Explanation, shown_frame
from gasm_cast.visualization.layers import layer_name
from gasm_cast.visualization.patches import outline, patch_name
from gasm_cast.visualization.style import CHOSEN, axes_at, heading, look, show

TIME = "viridis"
_PANEL_IN = 1.3
_MAP_IN = 1.75
_HEAD_IN = 0.95
_FIRST_IN = 0.12 + _MAP_IN + 0.25


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
    with look():
        width = _FIRST_IN + num_segments * _PANEL_IN + 0.1
        figure = Figure(figsize=(width, _HEAD_IN + (1 + len(readings)) * _MAP_IN + 0.5))
        heading(figure, f"What the patch at {patch_name(grid, token)} reads", _CAPTION)
        frame = clip.frames[shown_frame(own_map, grid.num_frames)]
        axes = axes_at(figure, 0.12, _HEAD_IN + 0.07, _MAP_IN - 0.15)
        show(axes, frame)
        outline(axes, grid, token, frame.shape[0], colour=CHOSEN, linewidth=1.8)
        for segment in range(num_segments):
            shown = shown_frame(segment, num_segments)
            axes = axes_at(figure, _FIRST_IN + segment * _PANEL_IN, _HEAD_IN + 0.26, _PANEL_IN - 0.06)
            show(axes, clip.frames[shown], f"segment {segment + 1} · {clip.times_sec[shown]:.2f} s")
        for row, ((layer, weights), values) in enumerate(zip(readings, relative, strict=True), start=1):
            top_in = _HEAD_IN + row * _MAP_IN
            axes = axes_at(figure, 0.12, top_in + 0.07, _MAP_IN - 0.15)
            show(axes, _time_map(weights.reshape(*grid.shape, -1)[own_map]))
            axes = axes_at(figure, _FIRST_IN, top_in + 0.28, num_segments * _PANEL_IN - 0.06, _MAP_IN - 0.55)
            _draw_deviations(axes, values, reach)
            name = layer_name(layer, len(explanation.layers))
            axes.set_title(name, loc="left", fontsize=9, fontweight="bold", pad=4)
        _time_bar(figure)
    return figure


def _draw_deviations(axes: Axes, values: Float[np.ndarray, " segments"], reach: float) -> None:
    """Bars from 1, even attention, up and down."""
    colours = [ACCENT if value > 1 else MUTED for value in values]
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
    "Right: attention of the outlined patch over the motion segments (mean over heads), in "
    "multiples of even attention. Left: the mean time that each patch of its frame reads; the stronger "
    "the colour, the more it prefers some segments."
)


def _time_map(weights: Float[np.ndarray, "rows cols segments"]) -> UInt8[np.ndarray, "size size 3"]:
    """Colour: mean segment; strength: how far attention is from even (total variation, 0.25 is full)."""
    num_segments = weights.shape[-1]
    mean = weights @ np.arange(num_segments) / max(num_segments - 1, 1)
    uneven = np.clip(np.abs(weights - 1 / num_segments).sum(axis=-1) / 2 / 0.25, 0, 1)[..., None]
    # Even attention has its mean in the middle; what is left is spread over the colours.
    spread = np.clip(0.5 + (mean - 0.5) * 2, 0, 1)
    colour = uneven * colormaps[TIME](spread)[..., :3] + (1 - uneven) * 0.93
    square = cv2.resize(255 * colour, (SHOWN_PX, SHOWN_PX), interpolation=cv2.INTER_NEAREST)
    picture: np.ndarray = square.astype(np.uint8)
    return picture


def _time_bar(figure: Figure) -> None:
    axes = axes_at(figure, 0.12, figure.get_figheight() - 0.38, _MAP_IN - 0.15, 0.08)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), TIME)
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal", ticks=[0, 1])
    early, late = bar.ax.set_xticklabels(["reads early", "reads late"], fontsize=7)
    early.set_horizontalalignment("left")
    late.set_horizontalalignment("right")
    bar.outline.set_visible(False)
    axes.tick_params(length=0, color=RULE)
