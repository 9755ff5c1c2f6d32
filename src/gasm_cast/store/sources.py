"""Features that people already have: a folder with a file per id, or one file with an entry per id.

Nothing is unpickled: a file that holds more than arrays is refused. Files are opened when
they are first read, by whoever reads.
"""

from __future__ import annotations

import functools
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gasm_cast.errors import InputError

FILES = (".npy", ".npz", ".pt", ".pth", ".safetensors")
CONTAINERS = (".h5", ".hdf5", ".safetensors")
MOST_SHOWN = 5


@dataclass(frozen=True)
class Source:
    """One stream's arrays on disk, by id."""

    path: Path
    key: str | None
    """Which array of a file to take, if it holds several."""
    entries: Mapping[str, str]
    """Where each id lies: a file of the folder, or an entry of the file."""
    passed_over: tuple[str, ...]
    """Files or entries whose name does not fit."""

    def read(self, name: str) -> Tensor:
        """The array of one id, as it is stored.

        Raises:
            InputError: if it cannot be read, or is no array of floating-point numbers: which and why.
        """
        where = self.where(name)
        try:
            array = self._entry(self.entries[name])
        except pickle.UnpicklingError as error:
            damaged = "global" not in str(error).lower()
            raise InputError(f"{where}: {'damaged' if damaged else _OBJECTS}") from None
        except (
            OSError,
            EOFError,
            ValueError,
            KeyError,
            RuntimeError,
            zipfile.BadZipFile,
            SafetensorError,
        ) as error:
            if isinstance(error, InputError):
                raise InputError(f"{where}: {error}") from None
            reason = f"cut short or damaged: {str(error).partition(chr(10))[0]}"
            if "Object arrays" in str(error):
                reason = _OBJECTS
            elif "pickled (object) data" in str(error):  # numpy's word for all that it did not write
                reason = "not written by numpy, whatever its name; save it with numpy.save"
            raise InputError(f"{where}: {reason}") from None
        return _as_tensor(array, where)

    def where(self, name: str) -> str:
        """File or entry of an id, for messages."""
        return f"{self.path.name}/{self.entries[name]}"

    @functools.cached_property
    def _entry(self) -> Callable[[str], Any]:
        if self.path.is_dir():
            return lambda entry: _read_file(self.path / entry, self.key)
        if self.path.suffix == ".safetensors":
            get_tensor: Callable[[str], Any] = safe_open(self.path, framework="pt").get_tensor
            return get_tensor
        file = h5py.File(self.path)
        return lambda entry: file[entry][()]


_OBJECTS = "holds Python objects, which are never unpickled; save plain arrays or tensors"


def open_source(path: Path, *, names: str = "{id}", key: str | None = None) -> Source:
    """List the ids of a folder or file; arrays stay on disk.

    Args:
        path: A folder of `.npy`, `.npz`, `.pt`, `.pth` or `.safetensors` files (also in
            subfolders, which are then part of the id), or one `.h5`, `.hdf5` or
            `.safetensors` file with an entry per id.
        names: How a file or entry is called, without suffix; `{id}` stands for the id, as in `{id}_rgb`;
            it may occur again, as in `{id}/{id}`.
        key: Which array of a file to take, if it holds several; in HDF5, the data set inside each
            id's group.

    Raises:
        InputError: if there is nothing to read, or an id occurs twice.
    """
    if "{id}" not in names:
        raise InputError(f"file names need {{id}} where the id stands, got {names!r}, as in '{{id}}_rgb'")
    if path.is_dir():
        found = _files(path)
        suffixes: tuple[str, ...] = FILES
    elif path.is_file() and path.suffix in CONTAINERS:
        found, suffixes = _entries(path), ("",)
    else:
        problem = "no such file or folder" if not path.exists() else f"not one of {', '.join(CONTAINERS)}"
        raise InputError(f"{path}: {problem}; give a folder of {', '.join(FILES)}, or one file")
    inside = "" if path.is_dir() or key is None or path.suffix not in (".h5", ".hdf5") else f"/{key}"
    before, *after = (re.escape(part) for part in names.split("{id}"))
    pattern = re.compile(f"{before}(?P<id>.+){'(?P=id)'.join(after)}{re.escape(inside)}")
    entries: dict[str, str] = {}
    passed_over = []
    for entry in found:
        suffix = next((s for s in suffixes if entry.endswith(s)), None)
        match = None if suffix is None else pattern.fullmatch(entry.removesuffix(suffix))
        if match is None or entry.rpartition("/")[2].startswith("."):
            passed_over.append(entry)
        elif (name := match["id"]) in entries:
            raise InputError(
                f"{path}: both {entries[name]} and {entry} are called {name!r}; keep one of them"
            )
        else:
            entries[name] = entry
    if not entries:
        shown = ", ".join(passed_over[:MOST_SHOWN]) or "nothing"
        raise InputError(f"{path}: no features named {names}{inside}; it holds {shown}")
    return Source(path, key, entries, tuple(passed_over))


def _files(folder: Path) -> list[str]:
    """All files below a folder, relative to it, in order."""
    files = []
    for inside, _, names in os.walk(folder):
        prefix = Path(inside).relative_to(folder).as_posix()
        files += names if prefix == "." else [f"{prefix}/{name}" for name in names]
    return sorted(files)


def _read_file(path: Path, key: str | None) -> Any:
    match path.suffix:
        case ".npy":
            return np.load(path, allow_pickle=False)
        case ".npz":
            # Opened here, since numpy forgets to close a file that turns out to be damaged.
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                return archive[_choose(archive.files, key)]
        case ".safetensors":
            with safe_open(path, framework="pt") as tensors:
                return tensors.get_tensor(_choose(tensors.keys(), key))
        case _:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
            return loaded[_choose(loaded, key)] if isinstance(loaded, dict) else loaded


def _choose(names: Iterable[Any], key: str | None) -> Any:
    """The one array to take."""
    names = list(names)
    if key is None and len(names) == 1:
        return names[0]
    if key not in names:
        wanted = "which one to take is not said" if key is None else f"none is called {key!r}"
        raise InputError(
            f"holds the arrays {', '.join(map(str, names))}; {wanted} (--semantic-key, --motion-key)"
        )
    return key


def _entries(path: Path) -> list[str]:
    """Names of all arrays of one file."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return sorted(file.keys())
        names: list[str] = []
        with h5py.File(path) as file:
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return sorted(names)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cut short or damaged: {str(error).partition(chr(10))[0]}") from None


def _as_tensor(array: Any, where: str) -> Tensor:
    if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
        return torch.from_numpy(native)
    if isinstance(array, Tensor) and array.is_floating_point() and array.layout is torch.strided:
        return array.detach()
    kind = array.dtype if isinstance(array, np.ndarray | Tensor) else type(array).__name__
    raise InputError(f"{where}: holds {kind}, not floating-point numbers; save the features themselves")
