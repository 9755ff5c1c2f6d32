"""The colours that every figure and every picture shares, on a light ground, and its letters."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

INK = "#1a1d21"
"""Text."""
MUTED = "#5f6873"
"""Text beside the point, and what is not ours."""
RULE = "#d9dde2"
"""Lines that only guide the eye."""
ACCENT = "#0b62b8"
"""What the figure is about."""
SECOND = "#c2571a"
"""What it is compared with."""

MISSING_GLYPH = r"(?s)Glyph .* missing from font"
"""How matplotlib's warning about a letter begins for which no font is there."""

_WIDE_FONTS = (
    "NotoSansCJK",
    "NotoSansSC",
    "SourceHanSans",
    "wqy",
    "DroidSansFallback",
    "ipaexg",
    "PingFang",
    "msyh",
    "YuGoth",
    "malgun",
    "Arial Unicode",
    "unifont",
)
"""How the files of fonts begin that have Chinese, Japanese or Korean letters, the best first."""


@functools.cache
def font_families() -> tuple[str, ...]:
    """DejaVu Sans, and for letters that it lacks the first of :data:`_WIDE_FONTS` that is installed.

    DejaVu Sans ships with matplotlib, so that every machine draws the same.
    """
    from matplotlib.font_manager import findSystemFonts, fontManager, get_font

    files = sorted(findSystemFonts())  # matplotlib's own list does not know what was installed after it
    for beginning in _WIDE_FONTS:
        for file in files:
            if Path(file).name.startswith(beginning):
                fontManager.addfont(file)
                # Few of them have a bold face, of which matplotlib would speak.
                logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
                return ("DejaVu Sans", get_font(file).family_name)
    return ("DejaVu Sans",)


@contextlib.contextmanager
def lettering() -> Iterator[None]:
    """Say once and in one line that letters have no font, in place of matplotlib's warning for each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message=MISSING_GLYPH)
        yield
    lack = [warning for warning in caught if "missing from font" in str(warning.message)]
    for warning in caught:
        if warning not in lack:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if lack:
        _say_that_letters_lack()


@functools.cache
def _say_that_letters_lack() -> None:
    print(
        "pictures show boxes for letters of some names: no font on this machine has them; install one, such "
        "as Noto Sans CJK",
        file=sys.stderr,
    )
