"""Single rows out of shards, by `preadv` into page-aligned memory that is used again.

Mapped, a row costs a tenth less processor time once its pages are there. But mapped pages count as
memory of the process, which then grows with the store, and to unmap them in time costs more than
was gained. Also, where a disk fails or a file is cut short, a mapped read ends the process, and
this one raises.
"""

from __future__ import annotations

import functools
import math
import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.geometry import StreamSpec
from gasm_cast.store.manifest import STREAMS, TORCH_DTYPES, StoredDtype
from gasm_cast.store.quantization import dequantize
from gasm_cast.store.shards import StoredTensor, read_shard

MOST_OPEN_FILES = 128
NUM_PROBED = 4
BLOCK_BYTES = 2**20
"""Decoded at a time."""
CAN_READ_AHEAD = hasattr(os, "posix_fadvise") and hasattr(os, "RWF_NOWAIT")  # not on macOS


class ShardFile:
    """An open shard; it closes with its last user."""

    def __init__(self, path: Path, stored: Mapping[str, StoredTensor]) -> None:
        self._path = path
        # A channel scale is one row, which belongs to all others.
        self._places = {
            name: (tensor.start, tensor.row_bytes if len(tensor.shape) > 1 else 0)
            for name, tensor in stored.items()
        }
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise InputError(f"{path}: cannot read the shard: {error.strerror}") from None

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read(self, name: str, row: int, out: memoryview) -> None:
        """Fill `out` with a row of a tensor as it is stored; of a channel scale, with all of it.

        Raises:
            InputError: if the disk fails, or the file was cut short since the store was opened.
        """
        start, row_bytes = self._places[name]
        try:
            num_read = os.preadv(self._descriptor, (out,), start + row * row_bytes)
        except OSError as error:
            raise InputError(f"{self._path}: cannot read the shard: {error.strerror}") from None
        if num_read != len(out):
            raise InputError(f"{self._path}: cut short since the store was opened")

    def is_cached(self, row: int) -> bool:
        """Whether a row can be read without waiting for the disk; False if that cannot be told."""
        start, row_bytes = self._places[STREAMS[0]]
        try:
            return os.preadv(self._descriptor, (bytearray(1),), start + row * row_bytes, os.RWF_NOWAIT) == 1
        except OSError:  # not cached (EAGAIN), or a file system without such reads
            return False

    def read_ahead(self, row: int) -> None:
        """Let the kernel fetch a row of each stream that will be wanted soon."""
        for stream in STREAMS:
            start, row_bytes = self._places[stream]
            os.posix_fadvise(self._descriptor, start + row * row_bytes, row_bytes, os.POSIX_FADV_WILLNEED)


class ShardFiles:
    """The shards of one store, opened when first needed; several threads may use them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        # Headers are parsed once, and kept without their ids, which the index holds in a smaller form.
        self._stored = functools.cache(lambda number: read_shard(paths[number]).tensors)
        self.shard = functools.lru_cache(MOST_OPEN_FILES)(self._open)

    def read_ahead(self, numbers: Sequence[int], rows: Sequence[int]) -> None:
        """Let the kernel fetch rows, each of its shard, that will be wanted soon.

        A few of the rows are probed, evenly spread over all. If the kernel has cached these, it is
        assumed to have cached the others too, and nothing is done: to probe every row would take a
        tenth of the time of reading it.
        """
        if not (rows and CAN_READ_AHEAD):
            return
        places = [(self.shard(number), row) for number, row in zip(numbers, rows, strict=True)]
        if not all(shard.is_cached(row) for shard, row in places[:: -(-len(places) // NUM_PROBED)]):
            for shard, row in places:
                shard.read_ahead(row)

    def _open(self, number: int) -> ShardFile:
        return ShardFile(self._paths[number], self._stored(number))


class StoredRows:
    """Memory for some rows of one stream as they are stored."""

    def __init__(
        self, stream: str, spec: StreamSpec, stored: StoredDtype, num_rows: int, *, pinned: bool = False
    ) -> None:
        num_tokens, width = spec.grid.num_tokens, spec.width
        allocate = functools.partial(aligned_empty, pinned=pinned)
        parts = {stream: allocate((num_rows, num_tokens, width), TORCH_DTYPES[stored])}
        if stored == "int8":
            parts[f"{stream}_token_scale"] = allocate((num_rows, num_tokens, 1), torch.float32)
            parts[f"{stream}_channel_scale"] = allocate((num_rows, 1, width), torch.float32)
        self.parts = tuple(parts.values())
        """The tokens; with int8 also the scales, in the shapes that :func:`dequantize` takes."""
        self._memory = {
            name: [memoryview(row) for row in part.flatten(1).view(torch.uint8).numpy()]
            for name, part in parts.items()
        }

    @property
    def tokens(self) -> Shaped[Tensor, "num_rows tokens width"]:
        """All rows, those too that were not filled."""
        return self.parts[0]

    def fill(self, shards: Sequence[ShardFile], rows: Sequence[int]) -> None:
        """Read rows, each out of its shard, into the first places."""
        for name, memory in self._memory.items():
            for shard, row, out in zip(shards, rows, memory, strict=False):  # rows may be fewer
                shard.read(name, row, out)


class DecodedRows:
    """Memory for some rows of one stream in another dtype than they are stored in.

    Rows are read and decoded in blocks so small that they stay in a core's own cache from one pass
    over them to the next. All views are made beforehand: each operation of torch, even one that only
    makes a view, gives up the interpreter's lock, and threads that read would wait for each other.
    """

    def __init__(
        self, stream: str, spec: StreamSpec, stored: StoredDtype, num_rows: int, dtype: torch.dtype
    ) -> None:
        self.tokens = aligned_empty((num_rows, spec.grid.num_tokens, spec.width), dtype)
        row_bytes = spec.grid.num_tokens * spec.width * dtype.itemsize
        self._rows_a_block = max(1, min(num_rows, BLOCK_BYTES // row_bytes))
        self._stored = StoredRows(stream, spec, stored, self._rows_a_block)
        self._blocks = [
            ([part[: len(out)] for part in self._stored.parts], out)
            for out in self.tokens.split(self._rows_a_block)  # type: ignore[no-untyped-call]
        ]

    def fill(self, shards: Sequence[ShardFile], rows: Sequence[int]) -> None:
        """Read rows, each out of its shard, into the first places; what lies behind them is lost."""
        starts = range(0, len(rows), self._rows_a_block)
        for start, (parts, out) in zip(starts, self._blocks, strict=False):
            stop = start + self._rows_a_block
            self._stored.fill(shards[start:stop], rows[start:stop])
            decode(parts, out)


def decode(
    parts: Sequence[Tensor], out: Float[Tensor, "rows tokens width"]
) -> Float[Tensor, "rows tokens width"]:
    """Fill `out`, of any floating dtype, with the values of stored rows on the same device.

    Args:
        parts: As :attr:`StoredRows.parts`.
        out: Where they go.
    """
    return dequantize(parts[0], parts[1], parts[2], out) if len(parts) > 1 else out.copy_(parts[0])


def aligned_empty(shape: tuple[int, ...], dtype: torch.dtype, *, pinned: bool = False) -> Tensor:
    """Memory that starts on a page, of large pages where the kernel has them.

    Numpy's arrays start 16 bytes past a page, where copies can be half as fast. The pages are private:
    most kernels give shared memory, which `mmap` makes by default, no large pages. Pinned, a GPU can
    fetch it in the background.
    """
    count = math.prod(shape)
    if pinned or count == 0:
        return torch.empty(shape, dtype=dtype, pin_memory=pinned)  # pinned memory is whole pages already
    pages = mmap.mmap(-1, count * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype, count=count).reshape(shape)
