"""Finding what a folder of annotations holds: split files, class list, folders per class."""

from __future__ import annotations

from pathlib import Path

from gasm_cast.annotations.files import is_video
from gasm_cast.annotations.lists import LIST_SUFFIXES
from gasm_cast.errors import InputError

SPLITS = ("train", "validation", "test")
ALL = "all"
"""Split of a source that is not divided: one list, or a folder per class."""

_SPELLINGS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
_PREFIXES = ("", "something-something-v2-")
_CLASS_LISTS = ("labels.json", "something-something-v2-labels.json", "classes.json", "classes.txt")


def available_splits(path: Path) -> tuple[str, ...]:
    """Splits that `path` offers, in the order train, validation, test; `all` if it is not divided.

    Raises:
        InputError: if nothing at `path` looks like annotations.
    """
    path = labels_folder(path)
    if path.is_file():
        return (ALL,)
    divided = tuple(split for split in SPLITS if split_source(path, split) is not None)
    if divided:
        return divided
    if class_folders(path):
        return (ALL,)
    raise InputError(
        f"{path}: no annotations; expected train.json and labels.json (Something-Something V2), "
        f"train.csv with lines of `path,label`, or a folder of videos per class"
    )


def labels_folder(path: Path) -> Path:
    """`path`, or its folder `labels` if the split files lie there, as the official archive has them.

    Raises:
        InputError: if `path` does not exist, or is a file but no list.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of annotations")
    if path.is_file() and path.suffix not in LIST_SUFFIXES:
        raise InputError(f"{path}: expected a folder, or a list ({', '.join(LIST_SUFFIXES)})")
    inner = path / "labels"
    if inner.is_dir() and any(split_source(inner, split) for split in SPLITS):
        return inner
    return path


def split_source(folder: Path, split: str) -> Path | None:
    """JSON file, list, or folder of class folders of one split; None if there is none."""
    for spelling in _SPELLINGS[split]:
        for suffix in (".json", *LIST_SUFFIXES):
            for prefix in _PREFIXES:
                if (folder / f"{prefix}{spelling}{suffix}").is_file():
                    return folder / f"{prefix}{spelling}{suffix}"
        if class_folders(folder / spelling):
            return folder / spelling
    return None


def split_sources(folder: Path) -> list[Path]:
    """What :func:`split_source` finds for each split."""
    return [source for split in SPLITS if (source := split_source(folder, split)) is not None]


def class_list(folder: Path) -> Path | None:
    """File of class names, if there is one."""
    return next((folder / name for name in _CLASS_LISTS if (folder / name).is_file()), None)


def class_folders(folder: Path) -> list[Path]:
    """Folders below `folder` that hold videos, sorted by name, whatever order the disk lists them in."""
    if not folder.is_dir():
        return []
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path for path in inner if any(is_video(file) for file in path.iterdir())]
