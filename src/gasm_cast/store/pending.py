"""Rows that wait in memory until their shard is full, and the file that they are kept in meanwhile."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from gasm_cast.store.manifest import TORCH_DTYPES, StoredDtype, StoreDescription
from gasm_cast.store.rows import aligned_empty
from gasm_cast.store.shards import Shard, load_tensors, write_shard


@dataclass
class PendingShard:
    """One shard that is not full yet."""

    description: StoreDescription
    places: Mapping[str, int]
    """Row of each id that the shard is to hold."""
    buffers: Mapping[str, Tensor]
    """Each stream's rows `[samples, views, tokens, width]`."""
    failed: dict[str, str] = field(default_factory=dict)
    settled: dict[str, None] = field(default_factory=dict)
    """Ids that were added or failed, in the order in which they came."""
    num_kept: int = 0
    """As many of them, the first, may be taken up by a later call."""
    num_saved: int = 0
    """As many of those lie on disk."""
    saved_at: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, description: StoreDescription, asked: Sequence[str]) -> PendingShard:
        """An empty one."""
        dtype = collected_dtype(description.dtype)
        buffers = {
            stream: aligned_empty(
                (len(asked), description.num_views, spec.grid.num_tokens, spec.width), dtype
            )
            for stream, spec in description.specs.items()
        }
        return cls(description, {name: place for place, name in enumerate(asked)}, buffers)

    @property
    def is_full(self) -> bool:
        """Whether all ids are settled."""
        return len(self.settled) == len(self.places)

    def add(self, name: str, tokens: Mapping[str, Tensor]) -> None:
        """Take the features of a clip: of each stream `[views, tokens, width]`."""
        for stream, buffer in self.buffers.items():
            buffer[self.places[name]].copy_(tokens[stream])
        self.settled[name] = None

    def fail(self, name: str, reason: str) -> None:
        """Record that a clip has none."""
        self.failed[name] = reason
        self.settled[name] = None

    def take_up(self, saved: Shard) -> None:
        """Take those clips of a saved part that belong here.

        Raises:
            InputError: if its bytes are not those that were written.
        """
        tensors = load_tensors(saved)
        rows = {
            stream: tensors[stream].reshape(len(saved.ids), *buffer.shape[1:])
            for stream, buffer in self.buffers.items()
        }
        places = {name: place for place, name in enumerate(saved.ids)}
        for name in saved.asked:
            if name in saved.failed and name in self.places:
                self.fail(name, saved.failed[name])
            elif name in self.places:
                self.add(name, {stream: of_stream[places[name]] for stream, of_stream in rows.items()})
        self.num_kept = self.num_saved = len(self.settled)

    def save(self, file: Path) -> None:
        """Write what is to be kept, as a shard of numbers that are not quantised yet.

        Raises:
            InputError: if the disk is full.
        """
        num_kept = self.num_kept
        kept = set(itertools.islice(self.settled, num_kept))
        asked = tuple(name for name in self.places if name in kept)
        failed = {name: self.failed[name] for name in asked if name in self.failed}
        write_shard(
            file,
            self.rows(asked),
            description=self.description.to_json(),
            asked=asked,
            failed=failed,
            relative_error={},
        )
        self.num_saved, self.saved_at = num_kept, time.monotonic()

    def rows(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Each stream's rows `[samples * views, tokens, width]` of some ids, without those that failed."""
        places = [self.places[name] for name in names if name not in self.failed]
        kept = slice(None) if len(places) == len(self.places) else torch.tensor(places, dtype=torch.long)
        return {stream: buffer[kept].flatten(0, 1) for stream, buffer in self.buffers.items()}


def collected_dtype(stored: StoredDtype) -> torch.dtype:
    """Of rows that wait for their shard: int8 is quantised when the shard is full."""
    return torch.float32 if stored == "int8" else TORCH_DTYPES[stored]
