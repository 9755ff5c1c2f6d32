"""Where a batch lies while it is read: on the host, or on its way to a GPU.

Both kinds of slot are memory for one batch, used again and again: any thread may `fill` it,
then the consumer takes `features`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gasm_cast.store.index import Index
from gasm_cast.store.manifest import StoreDescription
from gasm_cast.store.rows import TORCH_DTYPES, RowBuffer, ShardFiles, aligned_empty


@dataclass(frozen=True)
class Features:
    """Tokens of a batch of clips."""

    semantic: Float[Tensor, "batch tokens width"]
    motion: Float[Tensor, "batch segments motion_width"]


@dataclass(frozen=True)
class Request:
    """What to read: positions in the store, and the view of each."""

    rows: Int[np.ndarray, " batch"]
    views: Int[np.ndarray, " batch"]

    def locate(self, index: Index) -> list[tuple[int, int]]:
        """Shard and row of each clip."""
        return list(
            zip(index.shard[self.rows].tolist(), (index.row[self.rows] + self.views).tolist(), strict=True)
        )


class HostSlot:
    """Features on the host; :meth:`features` shares the slot's memory.

    If they are stored in another dtype, each row is decoded in the reading thread, while it
    is in the processor's cache.
    """

    def __init__(self, description: StoreDescription, batch: int, dtype: torch.dtype) -> None:
        self._as_stored = TORCH_DTYPES[description.dtype] == dtype
        self._buffers = {
            name: RowBuffer(name, spec, description.dtype, batch if self._as_stored else 1)
            for name, spec in description.specs.items()
        }
        self._out = {
            name: buffer.tokens
            if self._as_stored
            else aligned_empty((batch, *buffer.tokens.shape[1:]), dtype)
            for name, buffer in self._buffers.items()
        }

    def fill(self, places: list[tuple[int, int]], files: ShardFiles) -> None:
        """Read and decode."""
        for place, (number, row) in enumerate(places):
            shard = files.open(number)
            for name, buffer in self._buffers.items():
                if self._as_stored:
                    buffer.read(shard, row, place)
                else:
                    buffer.read(shard, row, 0)
                    buffer.decode(self._out[name][place : place + 1])

    def features(self, batch: int) -> Features:
        """The first rows, valid until the slot is filled again."""
        return Features(**{name: tokens[:batch] for name, tokens in self._out.items()})


class DeviceSlot:
    """Bytes as stored lie in pinned memory; the GPU fetches and decodes them on a stream of its own."""

    def __init__(
        self, description: StoreDescription, batch: int, dtype: torch.dtype, stream: torch.cuda.Stream
    ) -> None:
        self._dtype, self._stream = dtype, stream
        self._buffers = {
            name: RowBuffer(name, spec, description.dtype, batch, pinned=True)
            for name, spec in description.specs.items()
        }
        self._fetched = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def fill(self, places: list[tuple[int, int]], files: ShardFiles) -> None:
        """Read, once the GPU has fetched what lay here before."""
        self._fetched.synchronize()
        for place, (number, row) in enumerate(places):
            shard = files.open(number)
            for buffer in self._buffers.values():
                buffer.read(shard, row, place)

    def features(self, batch: int) -> Features:
        """The first rows, in memory of their own on the device."""
        consumer = torch.cuda.current_stream(self._stream.device)
        out: dict[str, Tensor] = {}
        with torch.cuda.stream(self._stream):
            for name, buffer in self._buffers.items():
                shape = (batch, *buffer.tokens.shape[1:])
                out[name] = buffer.decode(torch.empty(shape, dtype=self._dtype, device=self._stream.device))
            self._fetched.record()
        consumer.wait_stream(self._stream)
        for tokens in out.values():
            tokens.record_stream(consumer)  # their memory was allocated on the other stream
        return Features(**out)


Slot = HostSlot | DeviceSlot
