"""One look for all pictures, and the two ways of putting numbers on a frame."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from gasm_cast.palette import ACCENT, INK, MUTED, RULE, font_families, lettering

ADJACENT, SIMILAR, CHOSEN = "#4cc9f0", "#ffb703", "#ffffff"
"""Colours of edges on frames: they differ in lightness too, for those who see few colours."""
DPI = 150
ONE_MAP = "The model has one map of patches for the whole clip; it is laid over the middle frame."

_SETTINGS: dict[Any, Any] = {
    "font.family": font_families(),
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Figures made inside have the common look."""
    with mpl.rc_context(_SETTINGS), lettering():
        yield


def heat_over(
    frame: UInt8[np.ndarray, "size size 3"],
    weights: Float[np.ndarray, "rows cols"],
    *,
    low: float,
    high: float,
) -> UInt8[np.ndarray, "size size 3"]:
    """Weights of the cells of a frame as colour over its grey picture.

    Weights are interpolated between the centres of the cells; where they are low the frame
    shows through, where they are high it is covered.

    Args:
        frame: The frame that the grid of cells lies on.
        weights: One a cell.
        low: Weight that leaves the frame as it is.
        high: Weight that has the brightest colour.
    """
    size = frame.shape[:2]
    # Clipped before it is interpolated: a weight far above the scale would spill over its neighbours.
    cells = np.clip((weights.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1)
    strength = np.clip(cv2.resize(cells, size[::-1], interpolation=cv2.INTER_LINEAR), 0, 1)
    heat = 255 * heat_colours()(strength)[..., :3]
    cover = 0.9 * strength[..., None] ** 0.7
    grey = quiet(frame)
    mixed: np.ndarray = ((1 - cover) * grey + cover * heat).round().astype(np.uint8)
    return mixed


def quiet(frame: UInt8[np.ndarray, "size size 3"]) -> Float[np.ndarray, "size size 3"]:
    """A frame as a grey ground for colours: lifted, so that dark clips are seen as well."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    quieted: np.ndarray = (40 + 0.62 * grey)[..., None].repeat(3, axis=2)
    return quieted


def heat_colours() -> Colormap:
    """Perceptually uniform, from violet over red to yellow; its black would hide the frame."""
    return ListedColormap(colormaps["inferno"](np.linspace(0.22, 1, 256)))


def show(axes: Axes, picture: UInt8[np.ndarray, "size size 3"], title: str = "") -> None:
    """A picture without ticks, under its title."""
    axes.imshow(picture, interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if title:
        axes.set_title(title, color=MUTED, fontsize=8, pad=3)


def axes_at(
    figure: Figure, left_in: float, top_in: float, width_in: float, height_in: float | None = None
) -> Axes:
    """Axes at a place of a figure, in inches from its top left corner; square by default."""
    width, height = figure.get_size_inches()
    height_in = width_in if height_in is None else height_in
    bottom = 1 - (top_in + height_in) / height
    return figure.add_axes((left_in / width, bottom, width_in / width, height_in / height))


def text_at(figure: Figure, left_in: float, top_in: float, text: str, **style: Any) -> None:
    """Text at a place of a figure, in inches from its top left corner; taken as it is, without markup."""
    width, height = figure.get_size_inches()
    style = {"va": "top", "parse_math": False, **style}
    figure.text(left_in / width, 1 - top_in / height, text, **style)


def heading(figure: Figure, title: str, caption: str, *, room_in: float = 0.0) -> None:
    """Title and caption at the top left, wrapped; the caption says how to read the figure.

    Args:
        figure: The figure.
        title: In bold; may take two lines.
        caption: Below it.
        room_in: Inches to leave free at the right.
    """
    free_in = figure.get_figwidth() - room_in - 0.3
    title = textwrap.fill(title, int(free_in * 8.2))
    below_in = 0.18 + 0.23 * len(title.splitlines())
    text_at(figure, 0.15, 0.1, title, fontsize=13, fontweight="bold")
    caption = textwrap.fill(caption, int(free_in * 15))
    text_at(figure, 0.15, below_in, caption, color=MUTED, fontsize=8.5, linespacing=1.35)


def bars(axes: Axes, answers: list[tuple[str, float]], *, width: int = 46) -> None:
    """Probabilities of classes, best first, each with its name and number."""
    names = [textwrap.shorten(name, width, placeholder=" …") for name, _ in answers]
    values = [value for _, value in answers]
    places = np.arange(len(answers))
    axes.barh(places, [1.0] * len(answers), color=RULE, height=0.22, alpha=0.6)
    axes.barh(places, values, color=[ACCENT] + [MUTED] * (len(answers) - 1), height=0.22)
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        bold = "bold" if place == 0 else "normal"
        axes.text(0, place - 0.37, name, fontsize=8, fontweight=bold, va="center", parse_math=False)
        axes.text(1, place - 0.37, f"{value:.0%}", fontsize=8, fontweight=bold, va="center", ha="right")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(answers) - 0.75, -0.75)
    axes.axis("off")
