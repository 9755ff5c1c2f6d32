"""One look for every figure: colours, type and how a figure becomes part of a page.

Figures for a page are SVG whose colours are the page's own CSS variables, so that the
same figure serves a light and a dark page. Figures for a paper are PDF with the light
values of the same palette.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path
from gasm_cast.palette import ACCENT, INK, MISSING_GLYPH, MUTED, RULE, SECOND, font_families, lettering

PALETTE: Mapping[str, str] = MappingProxyType(
    {
        "ink": INK,
        "muted": MUTED,
        "rule": RULE,
        "accent": ACCENT,
        "second": SECOND,
        "third": "#00795c",
        "fourth": "#8a4f9e",
        "fifth": "#7a6a00",
    }
)
"""Light values by name. The five hues differ in lightness too and stay apart under the common
forms of colour blindness (after Okabe and Ito's set, darkened to 4.5:1 on white)."""

DARK_PALETTE: Mapping[str, str] = MappingProxyType(
    {
        "ink": "#e8eaed",
        "muted": "#9aa4af",
        "rule": "#363c44",
        "accent": "#69b1ff",
        "second": "#f0965a",
        "third": "#3fc7a0",
        "fourth": "#cf9be0",
        "fifth": "#d6c24a",
    }
)
"""The same names on a dark page."""

SERIES = ("accent", "second", "third", "fourth", "fifth", "muted")
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Series differ in shape as well as colour."""

_SETTINGS: dict[Any, Any] = {
    "axes.edgecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["ink"],
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": PALETTE["ink"],
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": font_families(),
    "font.size": 9,
    "grid.color": PALETTE["rule"],
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": PALETTE["ink"],
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "text.color": PALETTE["ink"],
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "xtick.labelcolor": PALETTE["ink"],
    "ytick.labelcolor": PALETTE["ink"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


@contextlib.contextmanager
def drawing(width_inch: float, height_inch: float) -> Iterator[Figure]:
    """Give an empty figure that no window manager knows of, and the style while it is drawn."""
    with mpl.rc_context(_SETTINGS), _measuring():
        yield Figure(figsize=(width_inch, height_inch), layout="constrained")


def series_style(index: int) -> dict[str, Any]:
    """Colour and marker of the series at `index`, in order of importance."""
    return {"color": PALETTE[SERIES[index % len(SERIES)]], "marker": MARKERS[index % len(MARKERS)]}


def to_svg(figure: Figure, title: str, description: str) -> str:
    """The figure as an SVG element for a page.

    Args:
        figure: A figure made in this style.
        title: Short name, read aloud first.
        description: What the figure shows, for readers who cannot see it.
    """
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": title}), _measuring():
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Two figures on one page must not share element ids.
    prefix = re.sub(r"\W+", "-", title.lower()) + "-"
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\1{prefix}", svg)
    for name, value in PALETTE.items():
        svg = svg.replace(value, f"var(--{name})")
    svg = svg.replace("'DejaVu Sans'", "var(--figure-font)")
    width = re.search(r'width="([\d.]+)pt"', svg)
    if width is None:
        raise ValueError("matplotlib wrote an SVG without a width in points")
    natural_px = float(width.group(1)) * 96 / 72
    svg = re.sub(r'(width|height)="[\d.]+pt" ', "", svg, count=2)
    label = _escape(f"{title}. {description}")
    head = f'<svg role="img" aria-label="{label}" style="--natural: {natural_px:.0f}px"'
    return svg.replace("<svg", head, 1)


def save(figure: Figure, path: Path) -> None:
    """Write the figure as its suffix says (.pdf, .png, .svg), without a date.

    A PNG has a white ground: its dark letters could not be read on a dark page.

    Raises:
        InputError: if there is no format of the suffix, or the file cannot be written.
    """
    if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise InputError(f"{path}: the suffix names no kind of picture; use .png, .pdf or .svg")
    dateless: dict[str, dict[str, None]] = {
        ".pdf": {"CreationDate": None},
        ".svg": {"Date": None},
    }
    with (
        mpl.rc_context({**_SETTINGS, "svg.hashsalt": path.stem}),
        atomic_path(path) as temporary,
        lettering(),
    ):
        ground = "white" if path.suffix == ".png" else "none"
        figure.savefig(temporary, metadata=dateless.get(path.suffix, {}), dpi=200, facecolor=ground)


def css_variables(palette: Mapping[str, str]) -> str:
    """The palette as CSS custom properties."""
    return " ".join(f"--{name}: {value};" for name, value in palette.items())


@contextlib.contextmanager
def _measuring() -> Iterator[None]:
    """Letters are measured here and drawn elsewhere, by a browser or by :func:`save`: none is missed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MISSING_GLYPH)
        yield


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
