"""Which video file belongs to an id."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from gasm_cast.errors import InputError

VIDEO_SUFFIXES = (
    ".webm", ".mp4", ".mkv", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv",
    ".flv", ".3gp", ".ogv", ".gif", ".h264", ".264", ".hevc", ".h265", ".265", ".ivf", ".obu", ".vob",
    ".asf", ".mjpeg", ".mjpg", ".y4m",
)  # fmt: skip
"""Endings taken for videos, in any case; where an id has several files the first ending wins."""

_USUAL_FOLDERS = ("videos", "20bn-something-something-v2")


def is_video(path: Path) -> bool:
    """Whether the name has the ending of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def video_files(folder: Path) -> list[Path]:
    """Videos below `folder`, at any depth, sorted by their path; hidden files are passed over.

    Links to folders are followed, but not to one that they lie in.
    """
    found: list[Path] = []
    above: dict[str, frozenset[str]] = {}
    for root, inner, names in os.walk(folder, followlinks=True):
        real = {name: os.path.realpath(os.path.join(root, name)) for name in inner}
        within = above.pop(root, frozenset()) | {os.path.realpath(root)}
        inner[:] = [name for name in inner if real[name] not in within]
        above |= {os.path.join(root, name): within for name in inner}
        found += [Path(root, name) for name in names if not name.startswith(".") and is_video(Path(name))]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def find_video_folder(annotations: Path, video_folder: Path | None) -> Path:
    """Folder of the videos: the one given, or one of the usual names beside the annotations.

    Raises:
        InputError: if the folder given does not exist.
    """
    if video_folder is not None:
        if not video_folder.is_dir():
            raise InputError(f"{video_folder}: no such video folder")
        return video_folder
    for base in (annotations, annotations.parent):
        for name in _USUAL_FOLDERS:
            if (base / name).is_dir():
                return base / name
    return annotations


def match_files(names: Iterable[str], folders: Sequence[Path]) -> list[Path | None]:
    """File of each name: an id, a path below one of `folders` with or without ending, or an absolute path.

    Folders are listed once, so that 220,000 ids cost one listing and not as many look-ups.
    """
    listings: dict[Path, dict[str, str]] = {}

    def match(name: str) -> Path | None:
        for folder in folders:
            path = folder / name
            if path.parent not in listings:
                listings[path.parent] = _by_name(path.parent)
            found = listings[path.parent].get(path.name)
            if found is not None:
                return path.parent / found
        return None

    return [match(name) for name in names]


def _by_name(folder: Path) -> dict[str, str]:
    """File names of `folder`, by themselves and by their stems."""
    if not folder.is_dir():
        return {}
    names = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    videos = [name for name in names if is_video(Path(name))]
    videos.sort(key=lambda name: VIDEO_SUFFIXES.index(Path(name).suffix.lower()), reverse=True)
    return {Path(name).stem: name for name in videos} | {name: name for name in names}
