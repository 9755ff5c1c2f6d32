"""Is a store what was written? Every byte is read and compared with its checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gasm_cast.errors import InputError
from gasm_cast.store import manifest
from gasm_cast.store.index import Index
from gasm_cast.store.reader import read_manifest
from gasm_cast.store.shards import load_tensors, read_shard


@dataclass(frozen=True)
class Checked:
    """The finding about one file of a store."""

    file: str
    problem: str | None
    """What is wrong; None if nothing is."""


def verify(path: Path) -> Iterator[Checked]:
    """Check manifest, index and every shard: complete, whole, as written, finite, and counted right.

    A store whose writing was interrupted is checked as far as it goes.

    Raises:
        InputError: if `path` holds no store at all.
    """
    if not (path / "shards").is_dir():
        raise InputError(f"{path} is not a feature store: it has no shards")
    try:
        values = read_manifest(path)
    except InputError as error:
        yield Checked("manifest.json", str(error))
        for file in sorted((path / "shards").glob("*.safetensors")):
            yield Checked(file.relative_to(path).as_posix(), _shard_problem(file, None, None))
        return
    yield Checked("manifest.json", _manifest_problem(values))
    damaged = {name: _file_problem(path / name, digest) for name, digest in values["files"].items()}
    for name, problem in damaged.items():
        yield Checked(name, problem)
    index = None if damaged["index.safetensors"] else Index.load(path / "index.safetensors")
    for number, promised in enumerate(values["shards"]):
        ids = None if index is None else index.ids[index.shard == number].tolist()
        yield Checked(promised["file"], _shard_problem(path / promised["file"], promised, ids))
    known = {promised["file"] for promised in values["shards"]}
    for file in sorted((path / "shards").iterdir()):
        if (name := file.relative_to(path).as_posix()) not in known:
            yield Checked(name, "the manifest does not know this file; remove it")


def _manifest_problem(values: Mapping[str, Any]) -> str | None:
    if values["fingerprint"] not in (manifest.fingerprint(values), manifest.fingerprint_with_names(values)):
        return "the description of the features is not what was written (fingerprint); restore it from a copy"
    counted = sum(shard["num_samples"] for shard in values["shards"])
    if counted != values["num_samples"]:
        return f"the shards hold {counted} clips, {values['num_samples']} are promised"
    return None


def _file_problem(path: Path, digest: str) -> str | None:
    if not path.exists():
        return "missing; restore it from a copy"
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        return "not what was written (checksum); restore it from a copy"
    return None


def _shard_problem(path: Path, promised: Mapping[str, Any] | None, ids: list[str] | None) -> str | None:
    """What is wrong with a shard; without a manifest, it is only compared with itself."""
    try:
        shard = read_shard(path)
        if promised is not None and shard.header_sha256 != promised["header_sha256"]:
            return "the header is not what was written (checksum); restore it from a copy"
        for name, tensor in load_tensors(shard).items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                return f"{name} holds NaN or infinity"
    except InputError as error:
        return str(error)
    if ids is not None and tuple(ids) != shard.ids:
        return "holds other ids than the index says"
    return None
