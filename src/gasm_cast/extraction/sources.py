"""Which clips to extract: those that annotations name, or every video below a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gasm_cast.annotations import ClipTable, available_splits, read_annotations, video_files
from gasm_cast.errors import InputError
from gasm_cast.extraction.reading import Source


def find_sources(videos: Path, annotations: Path | None = None, split: str = "all") -> list[Source]:
    """The clips to extract, in the order of the store.

    Args:
        videos: A data set that lists its clips, or any folder of videos.
        annotations: Annotations that list the clips of the folder `videos`.
        split: A split of the data set, or `all`.

    Raises:
        InputError: if there are no clips, or ids are not unique.
    """
    if annotations is None and not _lists_clips(videos):
        if split != "all":
            raise InputError(f"{videos} is a folder of videos without splits; leave out --split {split}")
        return sources_in_folder(videos)
    listed, folder = (videos, None) if annotations is None else (annotations, videos)
    splits = available_splits(listed) if split == "all" else (split,)
    return sources_of_tables(read_annotations(listed, name, folder) for name in splits)


def sources_in_folder(folder: Path) -> list[Source]:
    """Every video file below a folder, by name; its id is its path below the folder, without ending.

    Raises:
        InputError: if the folder is missing or holds no videos, or two files would share an id.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of videos")
    found = files_by_id(folder)
    if shared := {name: paths for name, paths in found.items() if len(paths) > 1}:
        name, (first, second, *_) = next(iter(shared.items()))
        raise InputError(
            f"{folder}: files share {len(shared)} id(s): {first.name} and {second.name} would both be "
            f"{name!r}; rename one of each (`gasm-cast scan` lists them), or list clips in a CSV"
        )
    if not found:
        raise InputError(f"{folder}: no videos in it")
    return [Source(name, path) for name, (path,) in found.items()]


def files_by_id(folder: Path) -> dict[str, list[Path]]:
    """Every video file below a folder under its id: its path below the folder, without ending."""
    found: dict[str, list[Path]] = {}
    for path in video_files(folder):
        found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found


def sources_of_tables(tables: Iterable[ClipTable]) -> list[Source]:
    """The clips of some splits, in order; a clip that several splits name is taken once.

    Raises:
        InputError: if an id stands for different files.
    """
    found: dict[str, Path | None] = {}
    for table in tables:
        for name, path in zip(table.ids, table.paths, strict=True):
            if found.setdefault(name, path) != path:
                raise InputError(
                    f"id {name!r} stands for {found[name]} and, in split {table.split!r}, for {path}; "
                    "give them different ids"
                )
    return [Source(name, path) for name, path in found.items()]


def _lists_clips(videos: Path) -> bool:
    """Whether there are splits or a list; a folder per class is taken as the plain folder that it is."""
    try:
        return available_splits(videos) != ("all",) or videos.is_file()
    except InputError:
        return False
