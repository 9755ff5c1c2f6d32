"""What the model takes for similar: the learned similarity space, as colour."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gasm_cast.backbones.contract import middle_frame
from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.explaining import Explanation
from gasm_cast.visualization.style import ONE_MAP, axes_at, heading, look, quiet, show

_PANEL_IN = 1.9
_MOST_COLUMNS = 4
_HEAD_IN = 1.3


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
    """Frames, and their patches in the colours of their similarity, once for each graph layer.

    Frames in a row, layers below them; for one map the layers beside the frame.
    """
    grid, num_graphs = explanation.semantic_grid, len(explanation.graphs)
    step = -(-grid.num_frames // _MOST_COLUMNS)
    maps = list(range(step // 2, grid.num_frames, step))
    side = _PANEL_IN if grid.num_frames > 1 else 2 * _PANEL_IN
    num_rows, num_columns = (1 + num_graphs, len(maps)) if grid.num_frames > 1 else (1, 1 + num_graphs)
    width, height = max(5.2, 0.2 + num_columns * side), _HEAD_IN + num_rows * (side + 0.2)

    with look():
        figure = Figure(figsize=(width, height))

        def panel(row: int, column: int) -> Axes:
            if grid.num_frames == 1:
                row, column = 0, row
            return axes_at(figure, 0.12 + column * side, _HEAD_IN + row * (side + 0.2), side - 0.12)

        shares = []
        for column, own in enumerate(maps):
            frame = middle_frame(own, grid.num_frames)
            show(panel(0, column), clip.frames[frame], f"{clip.times_sec[frame]:.2f} s")
        for layer, graph in enumerate(explanation.graphs):
            colours, variance = principal_colours(graph.similarity_embedding)
            shares.append(f"{variance.sum():.0%}")
            title = f"graph layer {layer + 1}" if num_graphs > 1 else "similarity"
            for column, own in enumerate(maps):
                frame = middle_frame(own, grid.num_frames)
                tinted = _tinted(clip.frames[frame], colours.reshape(*grid.shape, 3)[own])
                show(panel(layer + 1, column), tinted, title)
        caption = (
            "Colour is the first three principal components of the vectors in which similar patches are "
            f"sought (they hold {', '.join(shares)} of the variance): patches of like colour are neighbours "
            "in the graph."
        )
        if grid.num_frames == 1:
            caption += f" {ONE_MAP}"
        heading(figure, "What the model takes for similar", caption)
    return figure
