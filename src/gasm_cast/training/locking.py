"""A folder is trained into by one call at a time, as two jobs of a cluster may forget."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lightning_fabric import Fabric

from gasm_cast.errors import InputError
from gasm_cast.runs import LOCK

if sys.platform != "win32":
    import fcntl

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
"""What file systems say that have no locks."""


@contextlib.contextmanager
def alone_in(folder: Path, fabric: Fabric) -> Iterator[None]:
    """Let no other call write into a folder; the first process holds it for all of this one's.

    A folder that was made for it, and is empty at the end, goes again.

    Raises:
        InputError: in all processes, if another call is at work there or the folder cannot be
            written.
    """
    with contextlib.ExitStack() as held:
        refusal: InputError | None = None
        if fabric.is_global_zero:
            try:
                held.enter_context(locked(folder))
            except InputError as error:
                refusal = error
        refusal = fabric.broadcast(refusal)
        if refusal is not None:
            raise refusal
        yield


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the kernel frees it when the process dies.

    Where the system or the disk has no locks, nothing is held.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (the caller's errors are not ours)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InputError(f"{folder}: cannot write: {reason}; free space or choose another folder") from error
    with file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{folder} is being trained by another process; wait for it, or stop it and repeat"
                ) from None
            except OSError as error:
                if error.errno not in _WITHOUT_LOCKS:
                    raise
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # somebody removed the folder meanwhile
                if [inner.name for inner in folder.iterdir()] == [LOCK]:
                    path.unlink()
                    folder.rmdir()
