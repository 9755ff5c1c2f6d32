"""Lines that commands print for a person."""

from __future__ import annotations

from rich.console import Console


def say(console: Console, line: str, *, style: str | None = None) -> None:
    """Print a line as it is, so that it can be copied: rich changes nothing in it and breaks it nowhere.

    Otherwise a folder called `[red]` would be taken for a colour.
    """
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
