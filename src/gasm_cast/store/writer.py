"""Writing a store: atomic by shard, resumable, equal however many processes write it.

The writer is told beforehand which ids are asked for. Shard k holds the asked ids
`k * samples_per_shard` to `(k + 1) * samples_per_shard - 1`, without those that failed, so
its bytes depend on nothing else: not on when it was written, nor on how many processes
share the work (process r writes the shards r, r + world_size, ...). A shard file exists
when it is complete; `manifest.json` exists when the store is.

::

    with StoreWriter(path, description, asked=ids) as writer:
        for name in writer.todo:
            writer.add(name, semantic, motion)  # or writer.fail(name, reason)
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.files import AnyPath
from gasm_cast.store import manifest
from gasm_cast.store.completion import complete
from gasm_cast.store.index import check_ids
from gasm_cast.store.manifest import TORCH_DTYPES, StoredDtype, StoreDescription
from gasm_cast.store.quantization import quantize
from gasm_cast.store.rows import aligned_empty
from gasm_cast.store.shards import CutShortError, read_shard, write_shard

SHARD_BYTES = 64 * 2**20
MOST_WRITING = 2
"""Shards on their way to disk at a time: one is summed and written while the other is flushed."""


class FeaturesError(InputError):
    """Features of one clip that cannot be stored."""

    def __init__(self, name: str, stream: str, reason: str) -> None:
        super().__init__(f"id {name!r}: the {stream} stream {reason}")
        self.stream = stream
        self.reason = reason


class StoreWriter:
    """Writes the features of the asked ids into the folder `path`, or goes on where it stopped.

    Args:
        path: The store's folder; made if absent.
        description: What the features are; must equal that of shards already there.
        asked: All ids that the finished store answers for, in its order.
        samples_per_shard: Clips a shard; by default as many as make 64 MiB in half precision.
        rank: This process among those that write the store.
        world_size: Number of those processes.
        retry_failed: Remove shards in which clips failed, so that they are written again; for one
            process alone, since others may have read that the shards are there.

    Raises:
        InputError: if an id occurs twice, or the folder holds something else: another
            description, other ids, other files; or if several processes are to retry.
    """

    def __init__(
        self,
        path: AnyPath,
        description: StoreDescription,
        *,
        asked: Sequence[str],
        samples_per_shard: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        retry_failed: bool = False,
    ) -> None:
        self.path = Path(path)
        self.description = description
        self.asked = tuple(asked)
        self.samples_per_shard = samples_per_shard or default_samples_per_shard(description)
        self.num_shards = -(-len(self.asked) // self.samples_per_shard)
        self._check_request()
        self._own = range(rank, self.num_shards, world_size)
        self._position = {name: position for position, name in enumerate(self.asked)}
        self._done = {shard for shard in range(self.num_shards) if self._is_written(shard)}
        if retry_failed:
            self._forget_failures(world_size)
        if len(self._done) < self.num_shards:
            (self.path / "manifest.json").unlink(missing_ok=True)  # a shard was lost, or ids are added
        self._pending: dict[int, _PendingShard] = {}
        self._pool = ThreadPoolExecutor(MOST_WRITING, "store-writer")
        self._writing: deque[Future[None]] = deque()

    @property
    def todo(self) -> tuple[str, ...]:
        """Asked ids that this process has still to add or to fail, in order."""
        return tuple(name for shard in self.todo_by_shard for name in shard)

    @property
    def todo_by_shard(self) -> tuple[tuple[str, ...], ...]:
        """The same, one group for each shard that this process has still to write."""
        groups = []
        for shard in self._own:
            if shard not in self._done:
                settled = self._pending[shard].settled if shard in self._pending else ()
                groups.append(tuple(name for name in self._asked_in(shard) if name not in settled))
        return tuple(groups)

    @property
    def is_complete(self) -> bool:
        """Whether the manifest is there: nothing is left to do, for any process."""
        return (self.path / "manifest.json").exists()

    def add(self, name: str, semantic: Tensor | np.ndarray, motion: Tensor | np.ndarray) -> None:
        """Store one clip.

        Args:
            name: Its id, one of `todo`.
            semantic: `[views, tokens, width]`, or `[tokens, width]` if the store has one view.
            motion: The same for the motion stream.

        Raises:
            FeaturesError: if the shape is not the store's, or a value is not finite, or
                does not fit the store's dtype. The clip is then still to do: hand it to :meth:`fail`.
            InputError: if the disk is full, which is no fault of the clip.
        """
        given = {"semantic": _as_tensor(semantic), "motion": _as_tensor(motion)}
        for stream, tokens in given.items():
            given[stream] = self._checked(name, stream, tokens)
        pending = self._pending_shard(name)
        pending.add(self._position[name] % self.samples_per_shard, given)
        self._settle(name, pending)

    def fail(self, name: str, reason: str) -> None:
        """Record that a clip has no features, and why."""
        pending = self._pending_shard(name)
        pending.failed[name] = reason
        self._settle(name, pending)

    def close(self) -> bool:
        """Wait for the disk; if all shards of all processes are there, complete the store.

        Several processes may do so at once: they write the same bytes.

        Returns:
            Whether the store is complete.
        """
        try:
            self._wait(0)
        finally:
            self._pool.shutdown()
        if not self.is_complete and all(map(self._is_written, range(self.num_shards))):
            shards = [read_shard(self._file(shard)) for shard in range(self.num_shards)]
            failures = {name: reason for shard in shards for name, reason in shard.failed.items()}
            complete(self.path, self.description, shards, failures)
        return self.is_complete

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:  # shards that are being written are whole and stay; the store stays incomplete
            self._pool.shutdown()

    def _check_request(self) -> None:
        check_ids(self.asked, where=str(self.path))
        shards = self.path / "shards"
        if (
            self.path.exists()
            and not shards.is_dir()
            and (not self.path.is_dir() or any(self.path.iterdir()))
        ):
            if (self.path / "manifest.json").is_file():
                raise InputError(
                    f"{self.path} is a feature store without its folder `shards`; put that back, or remove "
                    "the rest to write the store again"
                )
            raise InputError(f"{self.path} exists and is not a feature store; choose another folder")
        if self._file(self.num_shards).exists():
            raise InputError(
                f"{self.path} holds more ids than the {len(self.asked)} asked for now; choose another "
                "folder, or take what you need with `gasm-cast store subset`"
            )

    def _file(self, shard: int) -> Path:
        return self.path / "shards" / f"{shard:05d}.safetensors"

    def _asked_in(self, shard: int) -> tuple[str, ...]:
        return self.asked[shard * self.samples_per_shard : (shard + 1) * self.samples_per_shard]

    def _is_written(self, shard: int) -> bool:
        """Whether the shard's file is there, whole, and what this writer would write."""
        if not self._file(shard).exists():
            return False
        try:
            there = read_shard(self._file(shard))
        except CutShortError:
            return False
        asked = json.loads(manifest.canonical_json(self.description.to_json()))
        if found := manifest.difference(there.description, asked):
            raise InputError(
                f"{self.path} holds other features: {found} (there against now); choose another folder"
            )
        if there.asked != self._asked_in(shard):
            raise InputError(
                f"{there.path} holds other ids than those asked for now (first there: "
                f"{there.asked[0]!r}, now: {self._asked_in(shard)[0]!r}; {len(there.asked)} against "
                f"{len(self._asked_in(shard))}); choose another folder and `gasm-cast store merge` the two"
            )
        return True

    def _forget_failures(self, world_size: int) -> None:
        if world_size > 1:
            raise InputError(
                f"{self.path}: one process alone can retry failed clips, since it removes shards that "
                f"others count on, got {world_size} processes; call --retry-failed once without torchrun"
            )
        for shard in sorted(self._done):
            if read_shard(self._file(shard)).failed:
                self._file(shard).unlink()
                self._done.remove(shard)

    def _pending_shard(self, name: str) -> _PendingShard:
        if name not in self._position:
            raise InputError(f"{self.path}: id {name!r} was not asked for")
        shard = self._position[name] // self.samples_per_shard
        if shard not in self._own:
            raise InputError(f"{self.path}: id {name!r} belongs to another process")
        if shard not in self._pending:
            self._pending[shard] = _PendingShard.of(self.description, len(self._asked_in(shard)))
        pending = self._pending[shard]
        if shard in self._done or name in pending.settled:
            raise InputError(f"{self.path}: id {name!r} is already there; each clip is written once")
        return pending

    def _checked(self, name: str, stream: str, tokens: Tensor) -> Tensor:
        spec, num_views = self.description.specs[stream], self.description.num_views
        dtype = _collected_dtype(self.description.dtype)
        shape = (num_views, spec.grid.num_tokens, spec.width)
        if tuple(tokens.shape) not in ([shape, shape[1:]] if num_views == 1 else [shape]):
            reason = (
                f"has the shape {list(tokens.shape)}, the store needs {list(shape)} (views, tokens, width)"
            )
            raise FeaturesError(name, stream, reason)
        if not tokens.is_floating_point():
            raise FeaturesError(name, stream, f"is {tokens.dtype}, not floating point")
        low, high = (float(end) for end in torch.aminmax(tokens))
        largest = max(abs(low), abs(high))
        if not math.isfinite(largest):
            raise FeaturesError(name, stream, "holds NaN or infinity; extract the clip again, in float32")
        if largest > torch.finfo(dtype).max:
            reason = (
                f"reaches {largest:g}, more than {self.description.dtype} holds "
                f"({torch.finfo(dtype).max:g}); store as bfloat16 or float32"
            )
            raise FeaturesError(name, stream, reason)
        return tokens.reshape(shape)

    def _settle(self, name: str, pending: _PendingShard) -> None:
        pending.settled.add(name)
        shard = self._position[name] // self.samples_per_shard
        if len(pending.settled) < len(self._asked_in(shard)):
            return
        del self._pending[shard]
        self._wait(MOST_WRITING - 1)
        self._writing.append(self._pool.submit(self._write, shard, pending))
        self._done.add(shard)

    def _wait(self, num_shards: int) -> None:
        """Until no more than so many shards are on their way to disk."""
        while len(self._writing) > num_shards:
            self._writing.popleft().result()

    def _write(self, shard: int, pending: _PendingShard) -> None:
        asked = self._asked_in(shard)
        tensors: dict[str, Tensor] = {}
        relative_error: dict[str, float] = {}
        for stream, rows in pending.rows().items():
            if self.description.dtype == "int8":
                quantized = quantize(rows)
                tensors[stream] = quantized.tokens
                tensors[f"{stream}_token_scale"] = quantized.token_scale
                tensors[f"{stream}_channel_scale"] = quantized.channel_scale
                relative_error[stream] = quantized.relative_error
            else:
                tensors[stream] = rows
        write_shard(
            self._file(shard),
            tensors,
            description=self.description.to_json(),
            asked=asked,
            failed={name: pending.failed[name] for name in asked if name in pending.failed},
            relative_error=relative_error,
        )


@dataclass
class _PendingShard:
    """Rows that wait until their shard is full."""

    buffers: dict[str, Tensor]
    """Each stream's rows `[samples, views, tokens, width]`, at the place of their id."""
    settled: set[str]
    failed: dict[str, str]
    filled: np.ndarray

    @classmethod
    def of(cls, description: StoreDescription, num_samples: int) -> _PendingShard:
        dtype = _collected_dtype(description.dtype)
        buffers = {
            stream: aligned_empty(
                (num_samples, description.num_views, spec.grid.num_tokens, spec.width), dtype
            )
            for stream, spec in description.specs.items()
        }
        return cls(buffers, set(), {}, np.zeros(num_samples, bool))

    def add(self, place: int, tokens: Mapping[str, Tensor]) -> None:
        for stream, buffer in self.buffers.items():
            buffer[place].copy_(tokens[stream])
        self.filled[place] = True

    def rows(self) -> dict[str, Tensor]:
        """Each stream's rows `[samples * views, tokens, width]` in order, without those that failed."""
        kept = slice(None) if self.filled.all() else torch.from_numpy(self.filled)
        return {stream: buffer[kept].flatten(0, 1) for stream, buffer in self.buffers.items()}


def default_samples_per_shard(description: StoreDescription) -> int:
    """Clips that make a shard of about 64 MiB: large reads and writes, little to lose."""
    return max(1, SHARD_BYTES // (description.view_bytes * description.num_views))


def _collected_dtype(stored: StoredDtype) -> torch.dtype:
    """Of rows that wait for their shard: int8 is quantised when the shard is full."""
    return torch.float32 if stored == "int8" else TORCH_DTYPES[stored]


def _as_tensor(values: Tensor | np.ndarray) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    return torch.from_numpy(values if values.flags.writeable else values.copy())
