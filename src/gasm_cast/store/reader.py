"""Reading a store: the index lies in memory, features stay on disk until they are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.geometry import StreamSpec
from gasm_cast.store import manifest
from gasm_cast.store.index import Index
from gasm_cast.store.manifest import StoreDescription
from gasm_cast.store.rows import RowDecoder, ShardFiles


@dataclass(frozen=True)
class Features:
    """Tokens of a batch of clips."""

    semantic: Float[Tensor, "batch tokens width"]
    motion: Float[Tensor, "batch segments motion_width"]


class FeatureStore:
    """A complete store on disk. Pickles as its path, so that worker processes open their own files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Mapping[str, Any] = _read_manifest(path)
        self.description = StoreDescription.from_json(self.manifest)
        self.failures: Mapping[str, str] = _read_failures(path / "failures.jsonl")
        self.index = Index.load(path / "index.safetensors")
        if len(self.index) != self.manifest["num_samples"]:
            raise InputError(
                f"{path}: the index holds {len(self.index)} ids, the manifest promises "
                f"{self.manifest['num_samples']}; `gasm-cast store verify` tells more"
            )
        _check_sizes(path, self.manifest["shards"])
        self.files = ShardFiles([path / shard["file"] for shard in self.manifest["shards"]])

    @classmethod
    def open(cls, path: Path) -> FeatureStore:
        """Open a store.

        Raises:
            InputError: if there is none, it is incomplete, or a shard is missing or cut short.
        """
        return cls(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.path,))

    def __len__(self) -> int:
        return len(self.index)

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
        self.check_view(view)
        batch = len(rows)
        out = {
            name: torch.empty(batch, spec.grid.num_tokens, spec.width, dtype=dtype)
            for name, spec in self.streams.items()
        }
        decoder = RowDecoder(self.description)
        for place, position in enumerate(rows):
            shard, row = self.files.open(int(self.index.shard[position])), int(self.index.row[position])
            decoder.read(shard, row + view, {name: tokens[place] for name, tokens in out.items()})
        return Features(**out)

    def check_view(self, view: int) -> None:
        """Refuse a view that the store does not hold.

        Raises:
            InputError: if so.
        """
        if not 0 <= view < self.num_views:
            raise InputError(f"{self.path} holds {self.num_views} views a clip, view {view} was asked for")


def _read_manifest(path: Path) -> Mapping[str, Any]:
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
