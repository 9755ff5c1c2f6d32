"""From the labels that a file holds to class indices, strictly."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from gasm_cast.annotations.templates import strip_brackets
from gasm_cast.errors import InputError

_MAX_LISTED = 5


def read_json(path: Path) -> Any:
    """Contents of a JSON file.

    Raises:
        InputError: if the file cannot be read as JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a JSON file: {error}") from None


def read_class_names(path: Path) -> tuple[str, ...]:
    """Class names in order, from SSv2's `{"template": "index"}`, a JSON list, or a text file of lines.

    Raises:
        InputError: if the indices are not 0, 1, 2 ... each once, or a name occurs twice.
    """
    if path.suffix == ".txt":
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    else:
        content = read_json(path)
        names = _in_order(path, content) if isinstance(content, Mapping) else content
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f'{path}: expected {{"class name": index}} or a list of class names')
    names = [strip_brackets(name) for name in names]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: class {repeated[0]!r} occurs more than once; names must differ")
    return tuple(names)


def _in_order(path: Path, index_of: Mapping[str, Any]) -> list[str]:
    by_index: dict[int, str] = {}
    for name, index in index_of.items():
        try:
            by_index[int(index)] = name
        except (TypeError, ValueError):
            raise InputError(f"{path}: index of {name!r} must be a whole number, got {index!r}") from None
    if sorted(by_index) != list(range(len(index_of))):
        missing = next(i for i in range(len(index_of)) if i not in by_index)
        raise InputError(f"{path}: indices must be 0 to {len(index_of) - 1}, each once; {missing} is missing")
    return [by_index[i] for i in range(len(by_index))]


def to_indices(
    texts: Sequence[str], class_names: Sequence[str], *, source: Path
) -> Int64[np.ndarray, " clips"]:
    """Class index of each text: a class name (brackets do not count) or an index in digits.

    A text is first sought among the names, so that a class may be called `7`.

    Args:
        texts: The labels as written.
        class_names: Names in order.
        source: File of the texts, for the message.

    Raises:
        InputError: listing the texts that are no class, with counts and the closest
            names, and the indices out of range.
    """
    index_of = {name: index for index, name in enumerate(class_names)}
    for text in set(texts):
        stripped = strip_brackets(text)
        index = index_of.get(stripped)
        if index is None and stripped.isdecimal() and int(stripped) < len(class_names):
            index = int(stripped)
        if index is not None:
            index_of[text] = index
    unknown = Counter(text for text in texts if text not in index_of)
    if unknown:
        listed = [_describe(text, count, class_names) for text, count in unknown.most_common(_MAX_LISTED)]
        more = f" and {len(unknown) - _MAX_LISTED} more" if len(unknown) > _MAX_LISTED else ""
        raise InputError(
            f"{source}: {len(unknown)} label(s) are not in the class list: {'; '.join(listed)}{more}; "
            f"mend the labels or the class list"
        )
    return np.array([index_of[text] for text in texts], dtype=np.int64)


def _describe(text: str, count: int, class_names: Sequence[str]) -> str:
    clips = f"{count} clip{'s' if count > 1 else ''}"
    if text.lstrip("-").isdecimal():
        return f"{text} ({clips}; indices run from 0 to {len(class_names) - 1})"
    close = difflib.get_close_matches(strip_brackets(text), class_names, n=1, cutoff=0.0)
    return f"{text!r} ({clips}; closest: {close[0]!r})" if close else f"{text!r} ({clips})"
