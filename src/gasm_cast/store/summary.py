"""What a store holds, in figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from gasm_cast.store.quantization import quantize
from gasm_cast.store.reader import FeatureStore

NUM_QUANTIZED = 64
"""Clips from which the error of int8 is estimated."""


def summarize(store: FeatureStore) -> dict[str, Any]:
    """Counts, sizes, shapes, backbones, and what int8 costs or would cost.

    The error of int8 is the root mean square of the difference over that of the features. An
    int8 store knows it from its writing; for others it is measured on a few clips.
    """
    shard_bytes = sum(shard["num_bytes"] for shard in store.manifest["shards"])
    description = store.description
    return {
        "path": str(store.path),
        "num_samples": len(store),
        "num_failures": len(store.failures),
        "num_views": store.num_views,
        "dtype": description.dtype,
        "num_shards": len(store.manifest["shards"]),
        "num_bytes": shard_bytes,
        "fingerprint": store.fingerprint,
        "written_by": store.manifest["written_by"],
        "streams": {
            name: {
                "grid": str(spec.grid),
                "num_tokens": spec.grid.num_tokens,
                "width": spec.width,
                "backbone": store.manifest["streams"][name]["backbone"],
            }
            for name, spec in store.streams.items()
        },
        "preprocessing": store.manifest["preprocessing"],
        "int8": {"relative_error": int8_error(store), "num_bytes": _int8_bytes(store)},
    }


def int8_error(store: FeatureStore) -> dict[str, float]:
    """Relative error of int8 for each stream."""
    if store.description.dtype == "int8" or not len(store):
        return dict(store.manifest["relative_error"])
    spread = np.unique(np.linspace(0, len(store) - 1, NUM_QUANTIZED).astype(np.int64))
    features = store.read_rows(spread)
    return {name: quantize(getattr(features, name)).relative_error for name in store.streams}


def _int8_bytes(store: FeatureStore) -> int:
    """Size of the store's rows as int8, with their token scales."""
    a_view = sum(spec.grid.num_tokens * (spec.width + 4) for spec in store.streams.values())
    return a_view * store.num_views * len(store)
