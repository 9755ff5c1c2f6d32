"""Single rows out of shards: `preadv` straight into the memory where they are wanted.

Not mapped memory: reads into reused buffers keep the resident memory constant, however
large the store, and are as fast when the pages are cached.
"""

from __future__ import annotations

import functools
import math
import mmap
import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.geometry import StreamSpec
from gasm_cast.store.manifest import STREAMS, StoredDtype
from gasm_cast.store.quantization import dequantize
from gasm_cast.store.shards import StoredTensor, read_shard

MOST_OPEN_FILES = 512
CAN_READ_AHEAD = hasattr(os, "posix_fadvise") and hasattr(os, "RWF_NOWAIT")  # not on macOS
TORCH_DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "int8": torch.int8,
}


class OpenShard:
    """An open shard file. It closes when nobody uses it any more, so that threads may share it."""

    def __init__(self, path: Path, tensors: Mapping[str, StoredTensor]) -> None:
        self._path = path
        self._tensors = tensors
        self._descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read(self, name: str, row: int, target: memoryview) -> None:
        """Fill `target` with a tensor's bytes from `row` on.

        Raises:
            InputError: if the file became shorter, or the disk fails.
        """
        start, _ = self._span(name, row)
        try:
            count = os.preadv(self._descriptor, [target], start)
        except OSError as error:
            raise InputError(f"{self._path}: cannot read: {error.strerror}") from None
        if count != len(target):
            raise InputError(f"{self._path}: cut short while it was read; write the store again")

    def read_ahead(self, row: int) -> None:
        """Let the kernel fetch a row of each stream, unless its first byte is in memory already."""
        if not CAN_READ_AHEAD:
            return
        spans = [self._span(name, row) for name in STREAMS]
        if not _is_cached(self._descriptor, spans[0][0]):
            for start, num_bytes in spans:
                os.posix_fadvise(self._descriptor, start, num_bytes, os.POSIX_FADV_WILLNEED)

    def _span(self, name: str, row: int) -> tuple[int, int]:
        stored = self._tensors[name]
        return stored.start + row * stored.row_bytes, stored.row_bytes


class ShardFiles:
    """The shards of one store, opened when first needed; a bounded number is open at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most_open = MOST_OPEN_FILES if soft_limit < 0 else min(MOST_OPEN_FILES, soft_limit // 2)
        # Headers are parsed once, and kept without their ids, which the index holds in a smaller form.
        tensors = functools.cache(lambda number: read_shard(paths[number]).tensors)
        self.open = functools.lru_cache(most_open)(lambda number: OpenShard(paths[number], tensors(number)))


class RowBuffer:
    """Memory for rows of one stream as they are stored, and how to read and decode them."""

    def __init__(
        self, stream: str, spec: StreamSpec, stored: StoredDtype, batch: int, *, pinned: bool = False
    ) -> None:
        self._stream = stream
        tokens, width = spec.grid.num_tokens, spec.width
        self.tokens = aligned_empty((batch, tokens, width), TORCH_DTYPES[stored], pinned=pinned)
        self._tokens_bytes = _row_bytes(self.tokens)
        self.scales: tuple[Tensor, Tensor] | None = None
        if stored == "int8":
            token_scale = aligned_empty((batch, tokens), torch.float32, pinned=pinned)
            channel_scale = aligned_empty((batch, width), torch.float32, pinned=pinned)
            self.scales = (token_scale, channel_scale)
            self._scales_bytes = (_row_bytes(token_scale), _row_bytes(channel_scale))

    def read(self, shard: OpenShard, row: int, place: int) -> None:
        """Read one row of a shard into this buffer's row `place`.

        Raises:
            InputError: as :meth:`OpenShard.read`.
        """
        shard.read(self._stream, row, self._tokens_bytes[place])
        if self.scales is not None:
            token_scale, channel_scale = self._scales_bytes
            shard.read(f"{self._stream}_token_scale", row, token_scale[place])
            shard.read(f"{self._stream}_channel_scale", 0, channel_scale[place])

    def decode(self, out: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Fill `out`, of any floating dtype and on any device, with the values of the first rows."""
        batch = len(out)
        tokens = self.tokens[:batch].to(out.device, non_blocking=True)
        if self.scales is None:
            return out.copy_(tokens)
        token_scale, channel_scale = (s[:batch].to(out.device, non_blocking=True) for s in self.scales)
        return dequantize(tokens, token_scale, channel_scale, out)


def aligned_empty(shape: tuple[int, ...], dtype: torch.dtype, *, pinned: bool = False) -> Tensor:
    """Memory that starts on a page: the kernel copies into it at full speed.

    Numpy's arrays start 16 bytes past one. Pinned, a GPU can fetch it in the background.
    """
    count = math.prod(shape)
    if pinned or count == 0:
        return torch.empty(shape, dtype=dtype, pin_memory=pinned)  # pinned memory is whole pages already
    pages = mmap.mmap(-1, count * dtype.itemsize)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype, count=count).reshape(shape)


def _is_cached(descriptor: int, offset: int) -> bool:
    """Whether a byte of a file can be read without waiting for the disk; False if that cannot be told."""
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError:  # not cached (EAGAIN), or a file system without such reads
        return False


def _row_bytes(tensor: Shaped[Tensor, "batch ..."]) -> list[memoryview]:
    return [row.reshape(-1).view(torch.uint8).numpy().data for row in tensor]
