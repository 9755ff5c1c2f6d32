"""Reading a store: the index lies in memory, features stay on disk until they are asked for."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.files import AnyPath
from gasm_cast.geometry import StreamSpec
from gasm_cast.store import manifest
from gasm_cast.store.index import Index
from gasm_cast.store.manifest import StoreDescription
from gasm_cast.store.prefetch import READ_AHEAD_BYTES, Batch, prefetch
from gasm_cast.store.rows import ShardFiles
from gasm_cast.store.slots import DeviceSlot, Features, HostSlot, Request, Slot

NUM_THREADS = 2


class FeatureStore:
    """A complete store on disk. Pickles as its path, so that worker processes open their own files."""

    def __init__(self, path: AnyPath) -> None:
        path = Path(path)
        self.path = path
        self.manifest: Mapping[str, Any] = read_manifest(path)
        self.description = StoreDescription.from_json(self.manifest)
        self.failures: Mapping[str, str] = _read_failures(path / "failures.jsonl")
        self.index = Index.load(path / "index.safetensors")
        if len(self.index) != self.manifest["num_samples"]:
            raise InputError(
                f"{path}: the index holds {len(self.index)} ids, the manifest promises "
                f"{self.manifest['num_samples']}; `gasm-cast store verify` tells more"
            )
        _check_sizes(path, self.manifest["shards"])
        self._files = ShardFiles(self.shard_paths)

    @classmethod
    def open(cls, path: AnyPath) -> FeatureStore:
        """Open a store.

        Raises:
            InputError: if there is none, it is incomplete, or a shard is missing or cut short.
        """
        return cls(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.path,))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(
        self, row: int
    ) -> tuple[Float[Tensor, "tokens width"], Float[Tensor, "segments motion_width"]]:
        """Both streams of one clip's first view: makes a store a data set for torch's DataLoader."""
        features = self.read_rows(np.array([row]))
        return features.semantic[0], features.motion[0]

    @property
    def ids(self) -> np.ndarray:
        """Ids in the store's order, `[len(self)]`, as numpy strings."""
        return self.index.ids

    @property
    def streams(self) -> Mapping[str, StreamSpec]:
        """Shape of the streams `"semantic"` and `"motion"`."""
        return self.description.specs

    @property
    def num_views(self) -> int:
        """Views of each clip."""
        return self.description.num_views

    @property
    def shard_paths(self) -> list[Path]:
        """The shards, in the order that the index numbers them."""
        return [self.path / shard["file"] for shard in self.manifest["shards"]]

    @property
    def fingerprint(self) -> str:
        """Differs where backbones, weights, preprocessing or grids differ."""
        return manifest.fingerprint(self.manifest)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the fingerprint is taken of; :func:`difference` names where two differ."""
        return manifest.provenance(self.manifest)

    def rows(self, ids: Sequence[str] | np.ndarray) -> Int[np.ndarray, " batch"]:
        """Position of each id in the store.

        Raises:
            InputError: if some are not there: which, and why if that is known.
        """
        return self.index.positions(ids, failures=self.failures, where=str(self.path))

    def read(
        self, ids: Sequence[str] | np.ndarray, view: int = 0, *, dtype: torch.dtype = torch.float32
    ) -> Features:
        """Features of some clips, in the order asked.

        Raises:
            InputError: if an id or the view is not there.
        """
        return self.read_rows(self.rows(ids), view, dtype=dtype)

    def read_rows(
        self, rows: Int[np.ndarray, " batch"], view: int = 0, *, dtype: torch.dtype = torch.float32
    ) -> Features:
        """Features of the clips at some positions of the store, in the order asked.

        Raises:
            InputError: if the view is not there, or the disk fails.
        """
        request = self._request(rows, np.full(len(rows), view))
        slot = HostSlot(self.description, len(rows), dtype)
        slot.fill(self._files, *request.locate(self.index))
        return slot.features(len(rows))

    def batches(
        self,
        batches: Sequence[Int[np.ndarray, " _"]],
        *,
        views: Sequence[Int[np.ndarray, " _"]] | int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        num_threads: int = NUM_THREADS,
    ) -> Iterator[Batch]:
        """Read batches ahead of their use, in the order given.

        On the host a batch's tensors are buffers that are used again: they hold until the
        next batch is asked for. On a GPU they are the consumer's own.

        Args:
            batches: Positions in the store of each batch's clips, as :meth:`rows` gives them.
            views: The view of each of them, in the same layout; or one for all.
            device: Where features are wanted; to a GPU they are copied in the background.
            dtype: Floating dtype they are wanted in.
            num_threads: Threads that read.

        Raises:
            InputError: if a view is not there, or the disk fails.
        """
        if isinstance(views, int):
            views = [np.full(len(rows), views) for rows in batches]
        requests = [self._request(*of_batch) for of_batch in zip(batches, views, strict=True)]
        if not requests:
            return
        largest = max(len(request.rows) for request in requests)
        make_slot: Callable[[], Slot]
        if torch.device(device).type == "cuda":
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            make_slot = functools.partial(DeviceSlot, self.description, largest, dtype, stream)
        else:
            make_slot = functools.partial(HostSlot, self.description, largest, dtype)
        num_ahead = -(-READ_AHEAD_BYTES // (largest * self.description.view_bytes))
        yield from prefetch(
            requests, self.index, self._files, make_slot, num_threads=num_threads, num_ahead=num_ahead
        )

    def _request(self, rows: Int[np.ndarray, " batch"], views: Int[np.ndarray, " batch"]) -> Request:
        outside = views[(views < 0) | (views >= self.num_views)]
        if len(outside):
            raise InputError(f"{self.path} holds {self.num_views} views a clip, got view {outside[0]}")
        return Request(rows, views)


def read_manifest(path: Path) -> Mapping[str, Any]:
    """The manifest of the store at `path`.

    Raises:
        InputError: if there is none, it is damaged, or of another version.
    """
    file = path / "manifest.json"
    try:
        values: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not (path / "shards").is_dir():
            raise InputError(
                f"{path} is not a feature store; `gasm-cast extract` or `import` makes one"
            ) from None
        raise InputError(
            f"{path} is not complete: the writing was interrupted; run the same command again to finish it"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{file}: damaged or unreadable: {error}") from None
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != manifest.FORMAT_VERSION or values.get("format") != manifest.FORMAT:
        raise InputError(
            f"{file}: not {manifest.FORMAT} version {manifest.FORMAT_VERSION}, got {version!r}; "
            "use the version of gasm-cast that wrote it"
        )
    return values


def _read_failures(path: Path) -> Mapping[str, str]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {line["id"]: line["reason"] for line in lines}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: missing or damaged: {error}") from None


def _check_sizes(path: Path, shards: Sequence[Mapping[str, Any]]) -> None:
    for shard in shards:
        file = path / shard["file"]
        num_bytes = file.stat().st_size if file.exists() else None
        if num_bytes != shard["num_bytes"]:
            found = "missing" if num_bytes is None else f"{num_bytes} bytes"
            raise InputError(
                f"{file}: {found}, the manifest promises {shard['num_bytes']} bytes; "
                "`gasm-cast store verify` lists all damage"
            )
