"""The colours that every figure and every picture shares, on a light ground."""

from __future__ import annotations

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
