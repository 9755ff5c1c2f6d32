"""What the model takes for similar: the learned similarity space, as colour."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure

from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.explaining import Explanation, shown_frame
from gasm_cast.visualization.style import heading, look, quiet, show

_PANEL_IN = 1.9
_MOST_COLUMNS = 4


def principal_colours(
    z: Float[np.ndarray, "tokens width"],
) -> tuple[Float[np.ndarray, "tokens 3"], Float[np.ndarray, 3]]:
    """First three principal components as red, green and blue, and the variance that each holds.

    The sign of a component is arbitrary; it is fixed such that its largest entry is
    positive. Components are scaled to their 2nd and 98th percentile.
    """
    centred = z - z.mean(axis=0)
    _, scales, directions = np.linalg.svd(centred, full_matrices=False)
    components = np.zeros((len(z), 3))
    variance = np.zeros(3)
    count = min(3, len(scales))
    strongest = directions[np.arange(count), np.abs(directions[:count]).argmax(axis=1)]
    components[:, :count] = centred @ (directions[:count] * np.sign(strongest)[:, None]).T
    variance[:count] = scales[:count] ** 2 / max(float((scales**2).sum()), 1e-12)
    low, high = np.percentile(components, (2, 98), axis=0)
    return np.clip((components - low) / np.maximum(high - low, 1e-9), 0, 1), variance


def _tinted(
    frame: UInt8[np.ndarray, "size size 3"], colours: Float[np.ndarray, "rows cols 3"]
) -> UInt8[np.ndarray, "size size 3"]:
    """Colours of the patches with the frame shining through."""
    size = frame.shape[:2]
    large = cv2.resize(colours, size[::-1], interpolation=cv2.INTER_NEAREST)
    tinted: np.ndarray = (0.72 * 255 * large + 0.28 * quiet(frame)).astype(np.uint8)
    return tinted


def draw_clusters(explanation: Explanation, clip: ShownClip) -> Figure:
    """Patches in the colours of their similarity; frames above, one row a graph layer below."""
    grid = explanation.semantic_grid
    step = -(-grid.num_frames // _MOST_COLUMNS)
    maps = list(range(step // 2, grid.num_frames, step))
    rows = 1 + len(explanation.graphs)
    width, height = max(5.2, 0.2 + len(maps) * _PANEL_IN), 1.3 + rows * (_PANEL_IN + 0.2)
    if grid.num_frames == 1:
        width, height = max(5.2, 0.2 + rows * 2 * _PANEL_IN), 1.3 + 2 * _PANEL_IN
    with look():
        figure = Figure(figsize=(width, height))
        shares = []
        side = _PANEL_IN if grid.num_frames > 1 else 2 * _PANEL_IN

        def panel(row: int, column: int) -> tuple[float, float, float, float]:
            if grid.num_frames == 1:
                row, column = 0, row
            left, top = 0.12 + column * side, 1.25 + row * (side + 0.2)
            size = side - 0.12
            return (left / width, 1 - (top + size) / height, size / width, size / height)

        for column, own in enumerate(maps):
            frame = shown_frame(own, grid.num_frames)
            show(figure.add_axes(panel(0, column)), clip.frames[frame], f"{clip.times_sec[frame]:.2f} s")
        for layer, graph in enumerate(explanation.graphs):
            colours, variance = principal_colours(graph.similarity_embedding)
            shares.append(f"{variance.sum():.0%}")
            picture = colours.reshape(*grid.shape, 3)
            for column, own in enumerate(maps):
                axes = figure.add_axes(panel(layer + 1, column))
                frame = clip.frames[shown_frame(own, grid.num_frames)]
                show(
                    axes,
                    _tinted(frame, picture[own]),
                    f"graph layer {layer + 1}" if len(explanation.graphs) > 1 else "similarity",
                )
        caption = (
            "Colour is the first three principal components of the vectors in which similar patches are "
            f"sought (they hold {', '.join(shares)} of the variance): patches of like colour are neighbours "
            "in the graph."
        )
        heading(figure, "What the model takes for similar", caption)
    return figure
