"""Writing files so that a reader sees the old one or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from gasm_cast.errors import InputError

AnyPath = str | os.PathLike[str]
"""A path as those who call from Python may give it."""

STANDARD_OUTPUT = (Path("-"), Path("/dev/stdout"))
"""What :func:`write_text` takes for the standard output of the process."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it is renamed to `path`, else removed.

    The temporary keeps the suffix, since many writers choose their format by it. Data
    is flushed to disk before the rename, so that a crash leaves one of the two files. A
    link stays, and what it leads to is written. A device or a pipe is given itself.

    Raises:
        InputError: if the disk is full or the folder cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with _disk_errors(path, within=path):
            yield path
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    # Random, since processes of two containers may have the same number. Not by `mkstemp`, whose
    # files are private to their user.
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.partial{path.suffix}")
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _disk_errors(path, within=temporary):
            yield temporary
        with _disk_errors(path):
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):  # it is not there, or the disk is away: that was said before
            temporary.unlink()


@contextlib.contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success it takes the place of `path`, else it goes.

    Args:
        path: The folder.
        replace: Take the place of a filled folder too, once the new one is whole.

    Raises:
        InputError: if `path` exists and is no folder, or a filled one that is not to be
            replaced, or if it cannot be written.
    """
    if path.exists() and (not path.is_dir() or (not replace and any(path.iterdir()))):
        raise InputError(f"{path} exists and is not empty; remove it or choose another folder")
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        temporary = scratch / path.name  # `scratch` is private, results are to be shared
        temporary.mkdir()
    try:
        with _disk_errors(path, within=temporary):
            yield temporary
        with _disk_errors(path):
            if path.exists() and replace:
                path.rename(scratch / "replaced")
            temporary.rename(path)  # an empty folder gives way
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def is_partial(path: Path) -> bool:
    """Whether a file or folder is what a killed process left of its writing."""
    return path.name.startswith(".") and ".partial" in path.suffixes


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; to the standard output if that is the path.

    Raises:
        InputError: as :func:`atomic_path`.
    """
    if path in STANDARD_OUTPUT:
        print(text, end="", file=sys.__stdout__, flush=True)  # `sys.stdout` may be redirected beside it
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_text(path: Path, text: str) -> None:
    """Add UTF-8 text to the end of a file; not atomic, since logs grow line by line.

    Raises:
        InputError: if the disk is full or the file cannot be written.
    """
    with _disk_errors(path), open(path, "a", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def growing_text(path: Path) -> Iterator[Callable[[str], None]]:
    """Give what adds UTF-8 text to a new file: for results that come slowly, so that none is lost.

    Raises:
        InputError: if the file cannot be written, now or later.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115

    def add(text: str) -> None:
        with _disk_errors(path):
            file.write(text)
            file.flush()

    try:
        yield add
    finally:
        with contextlib.suppress(OSError):  # a full disk, which was said before
            file.close()


def require_writable(path: Path) -> None:
    """Refuse before a long computation what could not be written after it.

    Raises:
        InputError: as :func:`atomic_path`.
    """
    if path in STANDARD_OUTPUT or (path.exists() and not path.is_file() and not path.is_dir()):
        return
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent).close()


@contextlib.contextmanager
def _disk_errors(path: Path, *, within: Path | None = None) -> Iterator[None]:
    """Say in one line that `path` cannot be written.

    Args:
        path: What is written.
        within: For a block of the caller's: only a full disk, and errors of this file or of files
            below it, are errors of the writing. All others are the caller's own and pass.
    """
    try:
        yield
    except OSError as error:
        ours = within is None or error.errno in DISK_FULL or _is_within(error.filename, within)
        if not ours:
            raise
        # Not the error's own words, which are a page in some libraries.
        reason = error if error.errno is None else os.strerror(error.errno)
        remedy = "free space" if error.errno in DISK_FULL else "choose another place"
        raise InputError(f"{path}: cannot write: {reason}; {remedy}") from error


def _is_within(filename: object, folder: Path) -> bool:
    return isinstance(filename, str | os.PathLike) and Path(filename).is_relative_to(folder)
