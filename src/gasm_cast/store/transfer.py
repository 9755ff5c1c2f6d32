"""Stores out of stores: shards are copied or thinned out as they are stored, never decoded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_folder
from gasm_cast.store.completion import complete
from gasm_cast.store.manifest import difference
from gasm_cast.store.reader import FeatureStore
from gasm_cast.store.shards import Shard, load_tensors, read_shard, write_shard


def merge(stores: Sequence[FeatureStore], path: Path) -> None:
    """Write one store of the clips of several, in order; shards stay bit for bit.

    An id that failed in one store and has features in another is no failure any more.

    Raises:
        InputError: if there are none, if their features are of different making, shape or dtype, if an
            id has features in two of them, or if `path` is not empty.
    """
    if not stores:
        raise InputError("no stores to merge; name them: gasm-cast store merge STORE STORE --out MERGED")
    first = stores[0]
    for other in stores[1:]:
        if found := difference(first.description.to_json(), other.description.to_json()):
            raise InputError(f"{first.path} and {other.path} hold different features: {found}")
    stored: set[str] = set()
    for store in stores:
        ids = set(store.ids.tolist())
        if twice := ids & stored:
            raise InputError(
                f"{store.path}: {len(twice)} ids are also in a store before it, {min(twice)!r} for one; "
                "leave them out with `store subset`"
            )
        stored |= ids
    failures = {
        name: reason for store in stores for name, reason in store.failures.items() if name not in stored
    }
    _copy(stores, path, wanted=stored, failures=failures)


def subset(store: FeatureStore, ids: Collection[str], path: Path) -> None:
    """Write a store of some clips of another, in its order; failures that are asked for stay failures.

    Raises:
        InputError: if there are no ids, one is neither there nor a failure, or `path` is not empty.
    """
    if not ids:
        raise InputError(f"no ids are asked of {store.path}; list at least one")
    failures = {name: store.failures[name] for name in ids if name in store.failures}
    wanted = set(ids) - failures.keys()
    store.rows(sorted(wanted))
    _copy([store], path, wanted=wanted, failures=failures)


def _copy(
    stores: Sequence[FeatureStore], path: Path, *, wanted: Collection[str], failures: Mapping[str, str]
) -> None:
    description = stores[0].description
    with atomic_folder(path) as folder:
        (folder / "shards").mkdir()  # also where all clips failed, and there are none
        copies: list[Shard] = []
        for shard in (read_shard(file) for store in stores for file in store.shard_paths):
            kept = [place for place, name in enumerate(shard.ids) if name in wanted]
            if not kept:
                continue
            tensors = load_tensors(shard)
            if len(kept) < len(shard.ids):
                tensors = _thinned(tensors, kept, num_views=description.num_views)
            file = folder / "shards" / f"{len(copies):05d}.safetensors"
            write_shard(
                file,
                tensors,
                description=shard.description,
                asked=tuple(shard.ids[place] for place in kept),
                failed={},
                relative_error=shard.relative_error,
            )
            copies.append(read_shard(file))
        complete(folder, description, copies, failures)


def _thinned(tensors: Mapping[str, Tensor], kept: Sequence[int], *, num_views: int) -> dict[str, Tensor]:
    rows = (torch.tensor(kept)[:, None] * num_views + torch.arange(num_views)).flatten()
    return {
        name: tensor if name.endswith("_channel_scale") else tensor[rows] for name, tensor in tensors.items()
    }
