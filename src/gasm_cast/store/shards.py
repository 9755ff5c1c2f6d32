"""One shard: a safetensors file that any program can read, and that tells what it holds.

The file is written here rather than by the `safetensors` package for three reasons: the
checksum is taken of the bytes on their way to disk, the header is padded so that data
starts on a page (reads into page-aligned buffers run at full speed), and bfloat16 needs
no copy. Any safetensors reader opens it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path
from gasm_cast.store.manifest import canonical_json

PAGE_BYTES = 4096
NAMES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.int8: "I8"}
DTYPES = {name: dtype for dtype, name in NAMES.items()}


class CutShortError(InputError):
    """A shard of ours that lost its end: its clips have to be written again."""


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies inside a shard file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    """First byte, from the start of the file."""

    @functools.cached_property
    def row_bytes(self) -> int:
        """Bytes of one entry of the first dimension."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def stop(self) -> int:
        """Byte after the last."""
        return self.start + self.shape[0] * self.row_bytes


@dataclass(frozen=True)
class Shard:
    """What a shard's header says, without its data."""

    path: Path
    tensors: Mapping[str, StoredTensor]
    description: Mapping[str, Any]
    """As :meth:`StoreDescription.to_json`."""
    asked: tuple[str, ...]
    """The ids that this shard had to hold, in order."""
    failed: Mapping[str, str]
    """Those of them that have no features, with the reason."""
    relative_error: Mapping[str, float]
    """What int8 lost of each stream; empty for other dtypes."""
    data_sha256: str
    header_sha256: str
    num_bytes: int

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that have features, in the order of rows; each has `num_views` rows."""
        return tuple(name for name in self.asked if name not in self.failed)


def write_shard(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    description: Mapping[str, Any],
    asked: tuple[str, ...],
    failed: Mapping[str, str],
    relative_error: Mapping[str, float],
) -> None:
    """Write contiguous CPU tensors as one safetensors file, whole or not at all.

    Raises:
        InputError: if the disk is full or the folder cannot be written.
    """
    views = {name: _bytes(tensor) for name, tensor in tensors.items()}
    digest = hashlib.sha256()
    for view in views.values():
        digest.update(view)
    entries: dict[str, Any] = {
        "__metadata__": {
            "asked": canonical_json(list(asked)),
            "failed": canonical_json(dict(failed)),
            "relative_error": canonical_json(dict(relative_error)),
            "description": canonical_json(description),
            "data_sha256": digest.hexdigest(),
        }
    }
    start = 0
    for name, tensor in tensors.items():
        stop = start + len(views[name])
        shape, dtype = list(tensor.shape), NAMES[tensor.dtype]
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
        start = stop
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-(8 + len(header)) % PAGE_BYTES)
    with atomic_path(path) as temporary, open(temporary, "wb", buffering=0) as file:
        for piece in (memoryview(len(header).to_bytes(8, "little") + header), *views.values()):
            while len(piece):  # one call writes at most 2 GiB
                piece = piece[file.write(piece) :]  # noqa: PLW2901


def read_shard(path: Path) -> Shard:
    """Read and check a shard's header; its data stays on disk.

    Raises:
        InputError: if the file is missing, is not one of our shards, or is cut short.
    """
    try:
        with open(path, "rb") as file:
            num_bytes = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if length > num_bytes - 8:
                raise CutShortError(f"{path}: cut short inside its header; write the store again")
            raw = file.read(length)
        entries = json.loads(raw)
        metadata = entries.pop("__metadata__")
        stop = 0
        tensors: dict[str, StoredTensor] = {}
        for name, entry in entries.items():
            start, stop = entry["data_offsets"]
            stored = StoredTensor(DTYPES[entry["dtype"]], tuple(entry["shape"]), 8 + length + start)
            if stop - start != stored.shape[0] * stored.row_bytes:
                raise InputError(f"{path}: the header's offsets of {name!r} do not fit its shape")
            tensors[name] = stored
        shard = Shard(
            path=path,
            tensors=tensors,
            description=json.loads(metadata["description"]),
            asked=tuple(json.loads(metadata["asked"])),
            failed=json.loads(metadata["failed"]),
            relative_error=json.loads(metadata["relative_error"]),
            data_sha256=metadata["data_sha256"],
            header_sha256=hashlib.sha256(raw).hexdigest(),
            num_bytes=num_bytes,
        )
    except OSError as error:
        raise InputError(f"{path}: cannot read the shard: {error.strerror}") from None
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a shard of a feature store, or its header is damaged") from None
    if num_bytes != 8 + length + stop:
        raise CutShortError(
            f"{path}: cut short: {num_bytes} bytes, its header promises {8 + length + stop}; write it again"
        )
    return shard


def load_tensors(shard: Shard) -> dict[str, Tensor]:
    """Read a whole shard into memory and check its bytes.

    Raises:
        InputError: if they are not those that were written.
    """
    try:
        raw = np.fromfile(shard.path, np.uint8)
    except OSError as error:
        raise InputError(f"{shard.path}: cannot read the shard: {error.strerror}") from None
    start = min((stored.start for stored in shard.tensors.values()), default=0)
    if hashlib.sha256(raw[start:].data).hexdigest() != shard.data_sha256:
        raise InputError(f"{shard.path}: the data is not what was written (checksum); restore it from a copy")
    data = torch.from_numpy(raw)
    return {
        name: data[stored.start : stored.stop].view(stored.dtype).reshape(stored.shape)
        for name, stored in shard.tensors.items()
    }


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data
