"""Writing a store: atomic by shard, resumable, equal however many processes write it.

The writer is told beforehand which ids are asked for. Shard k holds the asked ids
`k * samples_per_shard` to `(k + 1) * samples_per_shard - 1`, without those that failed, so
its bytes depend on nothing else: not on when it was written, nor on how many processes
share the work (process r writes the shards r, r + world_size, ...). A shard file exists
when it is complete; `manifest.json` exists when the store is. Where a store is asked for more
ids than it has, its shards stay as they are, and the new ids make new shards.

::

    with StoreWriter(path, description, asked=ids) as writer:
        for name in writer.todo:
            writer.add(name, semantic, motion)  # or writer.fail(name, reason)
            writer.keep()  # an interruption loses nothing before this line
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from gasm_cast.store.manifest import StoreDescription
from gasm_cast.store.pending import PendingShard, collected_dtype
from gasm_cast.store.quantization import quantize
from gasm_cast.store.shards import CutShortError, Shard, read_shard, write_shard

SHARD_BYTES = 64 * 2**20
BEGUN = ".begun.partial.safetensors"
MOST_WRITING = 2
"""Shards on their way to disk at a time: one is summed and written while the other is flushed."""
SAVE_SEC = 60.0
"""A shard that takes longer to fill is saved so often, for a process that is killed."""


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
        asked: All ids that the finished store answers for; in its order, but for ids that are added
            to a store.
        samples_per_shard: Clips a shard; by default as many as make 64 MiB in half precision.
        rank: This process among those that write the store.
        world_size: Number of those processes.
        retry_failed: Remove shards in which clips failed, so that they are written again; for one
            process alone, since others may have read that the shards are there.

    Raises:
        InputError: if an id occurs twice, or the folder holds something else: another
            description, features that are not asked for, other files; or if several processes are to
            retry.
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
        self._check_request()
        self._shards = self.path / "shards"
        there = self._read_shards()
        if retry_failed:
            there = self._without_failures(there, world_size)
        self._asked = dict(self._grouped(there))
        self._own = {shard: names for shard, names in self._asked.items() if shard % world_size == rank}
        self._shard_of = {name: shard for shard, names in self._asked.items() for name in names}
        self._done = set(there)
        if len(self._done) < len(self._asked):
            (self.path / "manifest.json").unlink(missing_ok=True)  # a shard was lost, or ids are added
        self._pool = ThreadPoolExecutor(MOST_WRITING, "store-writer")
        self._writing: deque[Future[None]] = deque()
        self._pending: dict[int, PendingShard] = {}
        self._take_up(retry_failed=retry_failed)

    @property
    def todo(self) -> tuple[str, ...]:
        """Asked ids that this process has still to add or to fail, in order."""
        return tuple(name for shard in self.todo_by_shard for name in shard)

    @property
    def todo_by_shard(self) -> tuple[tuple[str, ...], ...]:
        """The same, one group for each shard that this process has still to write."""
        groups = []
        for shard, names in self._own.items():
            if shard not in self._done:
                settled = self._pending[shard].settled if shard in self._pending else ()
                groups.append(tuple(name for name in names if name not in settled))
        return tuple(groups)

    @property
    def num_kept(self) -> int:
        """Clips that a later call need not do again: those of whole shards, and those on disk beside them."""
        asked = set(self.asked)
        in_shards = sum(len(asked.intersection(self._asked[shard])) for shard in self._done)
        return in_shards + sum(pending.num_saved for pending in self._pending.values())

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
        pending.add(name, given)
        self._write_if_full(self._shard_of[name], pending)

    def fail(self, name: str, reason: str) -> None:
        """Record that a clip has no features, and why."""
        pending = self._pending_shard(name)
        pending.fail(name, reason)
        self._write_if_full(self._shard_of[name], pending)

    def keep(self) -> None:
        """What was added up to here is taken up by a later call, if this one does not come to its end.

        To be called where the work may be divided: as the numbers of a clip may depend on its
        batch, between batches.

        Raises:
            InputError: if the disk is full.
        """
        for shard, pending in self._pending.items():
            pending.num_kept = len(pending.settled)
            if time.monotonic() - pending.saved_at > SAVE_SEC:
                pending.save(self._begun(shard))

    def close(self) -> bool:
        """Wait for the disk, save what is kept; if all shards of all processes are there, complete the store.

        Several processes may do so at once: they write the same bytes.

        Returns:
            Whether the store is complete.
        """
        try:
            self._wait(0)
        finally:
            self._pool.shutdown()
        self._save_kept()
        if not self.is_complete and all(self._file(shard).exists() for shard in self._asked):
            there = self._read_shards()
            asked = {number: shard.asked for number, shard in there.items()}
            if asked == self._asked:
                failures = {name: reason for shard in there.values() for name, reason in shard.failed.items()}
                complete(self.path, self.description, list(there.values()), failures)
            elif asked.keys() >= self._asked.keys():
                raise InputError(f"{self.path}: another process writes it with other ids; give all the same")
        return self.is_complete

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        self._pool.shutdown()  # shards that are being written are whole and stay
        with contextlib.suppress(InputError):  # a full disk: what ended the writing is to be told
            self._save_kept()

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

    def _file(self, shard: int) -> Path:
        return self._shards / f"{shard:05d}.safetensors"

    def _begun(self, shard: int) -> Path:
        """Where the rows of a shard that is not full are kept; goes when the shard or the store is there."""
        return self._shards / f".{shard:05d}{BEGUN}"

    def _read_shards(self) -> dict[int, Shard]:
        """The whole shards that are there, by number.

        Raises:
            InputError: if one holds other features, or such as are not asked for.
        """
        there: dict[int, Shard] = {}
        for file in sorted(self._shards.glob("*.safetensors")):
            if not file.stem.isdecimal():
                continue
            with contextlib.suppress(CutShortError):
                there[int(file.stem)] = self._checked_description(read_shard(file))
        asked = set(self.asked)
        # Not those that failed, since people take broken files away.
        extra = [name for shard in there.values() for name in shard.ids if name not in asked]
        if extra:
            raise InputError(
                f"{self.path} holds {len(extra)} clips that are not asked for now, {extra[0]!r} for one; ask "
                "for them too, choose another folder, or take what you need with `gasm-cast store subset`"
            )
        return there

    def _checked_description(self, there: Shard) -> Shard:
        asked = json.loads(manifest.canonical_json(self.description.to_json()))
        if found := manifest.difference(there.description, asked):
            raise InputError(
                f"{self.path} holds other features: {found} (there against now); choose another folder"
            )
        return there

    def _grouped(self, there: Mapping[int, Shard]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Number and ids of every shard: those that are there, and among and after them the other ids.

        As every process takes the other ids in the order asked, it does not matter which of the new
        shards are there already.
        """
        in_shards = {name for shard in there.values() for name in shard.asked}
        others = (name for name in self.asked if name not in in_shards)
        for number in itertools.count():
            if number in there:
                yield number, there[number].asked
            elif names := tuple(itertools.islice(others, self.samples_per_shard)):
                yield number, names
            elif number > max(there, default=-1):
                return

    def _take_up(self, *, retry_failed: bool) -> None:
        """Go on with the shards that an interrupted call began."""
        for file in sorted(self._shards.glob(f".*{BEGUN}")):
            try:
                begun = read_shard(file)
            except InputError:  # damaged, or another process has just finished that shard
                continue
            self._checked_description(begun)
            if retry_failed and begun.failed:  # as with whole shards
                continue
            for shard in {self._shard_of.get(name) for name in begun.asked}:
                if shard in self._own and shard not in self._done:
                    with contextlib.suppress(InputError):  # damaged
                        self._pending_of(shard).take_up(begun)
        for shard, pending in tuple(self._pending.items()):  # full, if those that lacked are asked no more
            self._write_if_full(shard, pending)

    def _without_failures(self, there: Mapping[int, Shard], world_size: int) -> dict[int, Shard]:
        """Remove shards in which clips failed; those that stay."""
        if world_size > 1:
            raise InputError(
                f"{self.path}: one process alone can retry failed clips, since it removes shards that "
                f"others count on, got {world_size} processes; call --retry-failed once without torchrun"
            )
        for shard in there.values():
            if shard.failed:
                shard.path.unlink()
        return {number: shard for number, shard in there.items() if not shard.failed}

    def _pending_shard(self, name: str) -> PendingShard:
        shard = self._shard_of.get(name)
        if shard is None:
            raise InputError(f"{self.path}: id {name!r} was not asked for")
        if shard not in self._own:
            raise InputError(f"{self.path}: id {name!r} belongs to another process")
        if shard in self._done or name in self._pending_of(shard).settled:
            raise InputError(f"{self.path}: id {name!r} is already there; each clip is written once")
        return self._pending_of(shard)

    def _pending_of(self, shard: int) -> PendingShard:
        if shard not in self._pending:
            self._pending[shard] = PendingShard.of(self.description, self._own[shard])
        return self._pending[shard]

    def _checked(self, name: str, stream: str, tokens: Tensor) -> Tensor:
        spec, num_views = self.description.specs[stream], self.description.num_views
        dtype = collected_dtype(self.description.dtype)
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

    def _write_if_full(self, shard: int, pending: PendingShard) -> None:
        if not pending.is_full:
            return
        self._wait(MOST_WRITING - 1)
        self._writing.append(self._pool.submit(self._write, shard, pending))
        del self._pending[shard]
        self._done.add(shard)

    def _save_kept(self) -> None:
        for shard, pending in self._pending.items():
            if pending.num_kept > pending.num_saved:
                pending.save(self._begun(shard))

    def _wait(self, num_shards: int) -> None:
        """Until no more than so many shards are on their way to disk."""
        while len(self._writing) > num_shards:
            self._writing.popleft().result()

    def _write(self, shard: int, pending: PendingShard) -> None:
        asked = self._asked[shard]
        tensors: dict[str, Tensor] = {}
        relative_error: dict[str, float] = {}
        for stream, rows in pending.rows(asked).items():
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
        self._begun(shard).unlink(missing_ok=True)


def default_samples_per_shard(description: StoreDescription) -> int:
    """Clips that make a shard of about 64 MiB: large reads and writes, little to lose."""
    return max(1, SHARD_BYTES // (description.view_bytes * description.num_views))


def _as_tensor(values: Tensor | np.ndarray) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    return torch.from_numpy(values if values.flags.writeable else values.copy())
