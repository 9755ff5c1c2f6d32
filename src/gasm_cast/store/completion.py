"""The last step of writing: index, geometry, failures, and the manifest that makes a store complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from gasm_cast import __version__
from gasm_cast.files import atomic_path, is_partial, write_text
from gasm_cast.geometry import StreamSpec, adjacent_pairs, positions
from gasm_cast.store import manifest
from gasm_cast.store.index import Index
from gasm_cast.store.manifest import STREAMS, StoreDescription
from gasm_cast.store.shards import Shard

FILES = ("index.safetensors", "geometry.safetensors", "failures.jsonl")


def complete(
    path: Path, description: StoreDescription, shards: Sequence[Shard], failures: Mapping[str, str]
) -> None:
    """Write index, geometry and failures, and last the manifest, which makes the store complete."""
    num_ids = [len(shard.ids) for shard in shards]
    ids = [name for shard in shards for name in shard.ids]
    rows = [place * description.num_views for count in num_ids for place in range(count)]
    index = Index(ids, shard=np.repeat(np.arange(len(shards)), num_ids), row=np.array(rows, np.int64))
    index.save(path / "index.safetensors")
    save_geometry(path / "geometry.safetensors", description.specs)
    lines = [json.dumps({"id": name, "reason": why}, ensure_ascii=False) for name, why in failures.items()]
    write_text(path / "failures.jsonl", "".join(f"{line}\n" for line in lines))
    described = description.to_json()
    values = {
        "format": manifest.FORMAT,
        "format_version": manifest.FORMAT_VERSION,
        "written_by": f"gasm-cast {__version__}",
        "fingerprint": manifest.fingerprint(described),
        "num_samples": len(ids),
        "num_failures": len(failures),
        **described,
        "relative_error": _relative_error(shards, num_ids),
        "files": {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in FILES},
        "shards": [
            {
                "file": shard.path.relative_to(path).as_posix(),
                "num_samples": count,
                "num_bytes": shard.num_bytes,
                "data_sha256": shard.data_sha256,
                "header_sha256": shard.header_sha256,
            }
            for shard, count in zip(shards, num_ids, strict=True)
        ],
    }
    for stale in filter(is_partial, (path / "shards").iterdir()):  # of processes that were killed
        stale.unlink(missing_ok=True)
    write_text(path / "manifest.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def _relative_error(shards: Sequence[Shard], num_ids: Sequence[int]) -> dict[str, float]:
    """What int8 lost of each stream: root mean square over the clips."""
    if not any(num_ids):
        return {}
    squares = {
        stream: np.average([shard.relative_error[stream] ** 2 for shard in shards], weights=num_ids)
        for stream in shards[0].relative_error
    }
    return {stream: float(f"{np.sqrt(square):.3g}") for stream, square in squares.items()}


def save_geometry(path: Path, specs: Mapping[str, StreamSpec]) -> None:
    """Write where the tokens of each stream lie: `*_positions [N, 3]` and `*_adjacency [E, 2]`."""
    arrays = {f"{stream}_positions": positions(specs[stream].grid) for stream in STREAMS}
    arrays |= {
        f"{stream}_adjacency": adjacent_pairs(specs[stream].grid).astype(np.int32) for stream in STREAMS
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(arrays))
