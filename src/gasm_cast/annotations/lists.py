"""Lists of clips: `path,label` or `id,label` in CSV files, and `path label` as Kinetics users have it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gasm_cast.annotations.files import is_video
from gasm_cast.errors import InputError

LIST_SUFFIXES = (".csv", ".txt", ".tsv")
MAX_UNNAMED_CLASSES = 100_000

_MARKS = ",;\t"
_PATH_COLUMNS = (
    "path", "video", "video_path", "video_name", "file", "filepath", "file_path", "filename", "file_name",
    "name", "clip_path", "clip_name",
)  # fmt: skip
_ID_COLUMNS = ("id", "video_id", "clip", "clip_id")
_LABEL_COLUMNS = ("label", "class", "class_name", "label_id", "class_id", "template", "action")


@dataclass(frozen=True)
class Row:
    """One clip of a list."""

    clip_id: str
    file: str
    """Name under which the video is sought."""
    label: str | None
    """As written; None in a list without labels."""


def read_list(path: Path) -> list[Row]:
    """Rows of a list.

    A first line of column names (`path` or `id`, and `label`) is recognised; with it
    further columns are allowed and passed over. Without it there must be exactly two
    columns, or one in a list without labels. Columns are separated by commas,
    semicolons, tabs or, failing these, the last space of the line.

    Raises:
        InputError: naming the line that has another number of columns or an empty field,
            or if the first line names a column of labels and none of clips.
    """
    lines = _split(path)
    if not lines:
        raise InputError(f"{path}: empty list; expected lines of `path,label`")
    header = [column.lower() for column in lines[0][1]]
    if _names_columns(header):
        del lines[0]
        path_column = _column(header, _PATH_COLUMNS)
        id_column = _column(header, _ID_COLUMNS)
        label_column = _column(header, _LABEL_COLUMNS)
        width = len(header)
        if path_column is None and id_column is None:
            raise InputError(
                f"{path}: the first line, {','.join(header)!r}, names a column of labels and none of clips; "
                f"call that one `path` or `id`"
            )
    else:
        width = min(len(lines[0][1]), 2)
        path_column, id_column, label_column = 0, None, 1 if width == 2 else None
    rows = []
    for number, fields in lines:
        if len(fields) != width:
            raise InputError(
                f"{path}, line {number}: {len(fields)} column(s) where {width} are expected: "
                f"{','.join(fields)!r}; mend it, or name the columns in a first line such as `path,label`"
            )
        used = [column for column in (path_column, id_column, label_column) if column is not None]
        if not all(fields[column] for column in used):
            raise InputError(f"{path}, line {number}: empty field: {','.join(fields)!r}; fill it in")
        clip_id = None if id_column is None else fields[id_column]
        file = clip_id if path_column is None else fields[path_column]
        rows.append(
            Row(
                clip_id=clip_id or _id_of(str(file)),
                file=str(file),
                label=None if label_column is None else fields[label_column],
            )
        )
    if not rows:
        raise InputError(f"{path}: no clips below the line of column names")
    return rows


def class_names_of(labels: Sequence[str], source: Path) -> tuple[str, ...]:
    """Class names that a list without a class list implies: sorted names, or 0 to the largest index.

    Raises:
        InputError: if an index is so large that it must be a slip.
    """
    if labels and all(label.isdecimal() for label in labels):
        largest = max(map(int, labels))
        if largest >= MAX_UNNAMED_CLASSES:
            raise InputError(
                f"{source}: label {largest} is beyond {MAX_UNNAMED_CLASSES - 1}; "
                f"mend it, or put a class list (labels.json) beside the file"
            )
        return tuple(str(index) for index in range(largest + 1))
    return tuple(sorted(set(labels)))


def _names_columns(header: Sequence[str]) -> bool:
    """Whether the first line is one of column names: it holds a known one, and no file of a video."""
    known = _PATH_COLUMNS + _ID_COLUMNS + _LABEL_COLUMNS
    return any(cell in known for cell in header) and not any(is_video(Path(cell)) for cell in header)


def _split(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and fields of the lines that are not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    numbered = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    lines = [line for _, line in numbered]
    mark = _separator(lines)
    rows = [_split_at_spaces(line) for line in lines] if mark is None else _split_at(mark, lines)
    return [(number, fields) for (number, _), fields in zip(numbered, rows, strict=True)]


def _separator(lines: Sequence[str]) -> str | None:
    """The mark that gives every line equally many columns, else the first in the first line.

    Labels may hold a mark too: `1420;Moving something, then stopping`.
    """
    first = next(iter(lines), "")
    present = sorted((mark for mark in _MARKS if mark in first), key=first.index)
    even = (mark for mark in present if len({len(row) for row in _split_at(mark, lines)}) == 1)
    return next(even, present[0] if present else None)


def _split_at(mark: str, lines: Sequence[str]) -> list[list[str]]:
    return [[field.strip() for field in next(csv.reader([line], delimiter=mark))] for line in lines]


def _split_at_spaces(line: str) -> list[str]:
    """`path label`; a path may hold spaces, but a number before the label is a column of its own."""
    fields = line.strip().rsplit(maxsplit=2)
    if len(fields) == 3 and not fields[1].isdecimal():
        fields = line.strip().rsplit(maxsplit=1)
    return fields


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _id_of(file: str) -> str:
    """Path below the video folder without its ending: `fight/fi001.mp4` is the clip `fight/fi001`."""
    path = Path(file)
    return (path.with_suffix("") if is_video(path) else path).as_posix().lstrip("/")
