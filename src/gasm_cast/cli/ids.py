"""Lists of ids that commands take."""

from __future__ import annotations

from pathlib import Path

from gasm_cast.errors import InputError


def read_ids(path: Path) -> list[str]:
    """The ids of a file, one a line.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read ids: {error}") from None
    return [line.strip() for line in lines if line.strip()]
