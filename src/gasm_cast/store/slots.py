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
from gasm_cast.store.manifest import TORCH_DTYPES, StoreDescription
from gasm_cast.store.rows import DecodedRows, ShardFiles, StoredRows, decode


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

    def locate(self, index: Index) -> tuple[list[int], list[int]]:
        """Shard and row of each clip."""
        return index.shard[self.rows].tolist(), (index.row[self.rows] + self.views).tolist()


class HostSlot:
    """Features on the host; :meth:`features` shares the slot's memory."""

    def __init__(self, description: StoreDescription, batch: int, dtype: torch.dtype) -> None:
        stored = description.dtype
        self._rows = {
            name: StoredRows(name, spec, stored, batch)
            if TORCH_DTYPES[stored] == dtype
            else DecodedRows(name, spec, stored, batch, dtype)
            for name, spec in description.specs.items()
        }

    def fill(self, files: ShardFiles, numbers: list[int], rows: list[int]) -> None:
        """Read rows, and decode them if they are wanted in another dtype."""
        shards = [files.shard(number) for number in numbers]
        for of_stream in self._rows.values():
            of_stream.fill(shards, rows)

    def features(self, batch: int) -> Features:
        """The first rows, valid until the slot is filled again."""
        return Features(**{name: of_stream.tokens[:batch] for name, of_stream in self._rows.items()})


class DeviceSlot:
    """Bytes as stored lie in pinned memory; the GPU fetches and decodes them on a stream of its own."""

    def __init__(
        self, description: StoreDescription, batch: int, dtype: torch.dtype, stream: torch.cuda.Stream
    ) -> None:
        self._dtype, self._stream = dtype, stream
        self._stored = {
            name: StoredRows(name, spec, description.dtype, batch, pinned=True)
            for name, spec in description.specs.items()
        }
        self._fetched = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def fill(self, files: ShardFiles, numbers: list[int], rows: list[int]) -> None:
        """Read rows, once the GPU has fetched what lay here before."""
        self._fetched.synchronize()
        shards = [files.shard(number) for number in numbers]
        for stored in self._stored.values():
            stored.fill(shards, rows)

    def features(self, batch: int) -> Features:
        """The first rows, in memory of their own on the device."""
        consumer = torch.cuda.current_stream(self._stream.device)
        out: dict[str, Tensor] = {}
        with torch.cuda.stream(self._stream):
            for name, stored in self._stored.items():
                parts = [p[:batch].to(self._stream.device, non_blocking=True) for p in stored.parts]
                out[name] = decode(parts, torch.empty_like(parts[0], dtype=self._dtype))
            self._fetched.record()
        consumer.wait_stream(self._stream)
        for tokens in out.values():
            tokens.record_stream(consumer)  # their memory was allocated on the other stream
        return Features(**out)


Slot = HostSlot | DeviceSlot
