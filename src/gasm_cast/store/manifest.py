"""What a store says about itself: streams, backbones, storage, and the fingerprint of its making."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec

FORMAT = "gasm-cast-features"
FORMAT_VERSION = 1
STREAMS = ("semantic", "motion")

StoredDtype = Literal["float16", "bfloat16", "float32", "int8"]
"""How numbers lie on disk; `int8` has a scale per token and a scale per channel of each shard."""

SAME_SCALE_CROPS = frozenset({"centre", "three"})
"""Crops of `gasm-cast extract` that see the frame at one scale; `squash` sees another shape of it."""

WEIGHT_NAMES = ("weights", "revision")
"""What a backbone calls its weights; where their `sha256` is given too, it alone tells them apart."""

TORCH_DTYPES: Mapping[StoredDtype, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "int8": torch.int8,
}


@dataclass(frozen=True)
class StreamDescription:
    """One stream of a store: its shape, and what made it."""

    spec: StreamSpec
    backbone: Mapping[str, Any]
    """JSON values: name, weights, their hash, pixel range ... No paths, no dates: it is fingerprinted."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the manifest holds them."""
        grid = list(self.spec.grid.shape)
        return {"grid": grid, "width": self.spec.width, "backbone": dict(self.backbone)}


@dataclass(frozen=True)
class StoreDescription:
    """All that must be equal in the shards of one store."""

    semantic: StreamDescription
    motion: StreamDescription
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: how clips were cut from videos. It is fingerprinted, as the backbones are."""
    num_views: int = 1
    dtype: StoredDtype = "float16"

    def __post_init__(self) -> None:
        if self.num_views < 1:
            raise InputError(f"a store needs at least one view a clip, got num_views={self.num_views}")

    @property
    def specs(self) -> dict[str, StreamSpec]:
        """Shape of each stream by name."""
        return {"semantic": self.semantic.spec, "motion": self.motion.spec}

    @property
    def view_bytes(self) -> int:
        """Bytes that one view of a clip takes on disk, without the scales of int8."""
        numbers = sum(spec.grid.num_tokens * spec.width for spec in self.specs.values())
        return numbers * TORCH_DTYPES[self.dtype].itemsize

    def to_json(self) -> dict[str, Any]:
        """Plain values, as manifest and shards hold them."""
        return {
            "streams": {"semantic": self.semantic.to_json(), "motion": self.motion.to_json()},
            "preprocessing": dict(self.preprocessing),
            "num_views": self.num_views,
            "dtype": self.dtype,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StoreDescription:
        """The description that :meth:`to_json` wrote.

        Raises:
            KeyError: if a field is absent.
        """
        streams = {
            name: StreamDescription(StreamSpec(Grid(*stream["grid"]), stream["width"]), stream["backbone"])
            for name, stream in values["streams"].items()
        }
        return cls(
            semantic=streams["semantic"],
            motion=streams["motion"],
            preprocessing=values["preprocessing"],
            num_views=values["num_views"],
            dtype=values["dtype"],
        )


def provenance(description: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a manifest that decides the features' values: streams and preprocessing.

    Not the stored dtype, number of views, ids, paths or software version: a model trained on
    one store is right for any other store of equal provenance.
    """
    return {key: description[key] for key in ("streams", "preprocessing")}


def crops_of(description: Mapping[str, Any]) -> str | None:
    """Which parts of the frame features were extracted from; None where another program made them."""
    crops: str | None = description["preprocessing"].get("crops")
    return crops


def with_crops_of(model: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    """A store's provenance as if its crops were the model's, where a model of one may be asked of the other.

    The crops of :data:`SAME_SCALE_CROPS` are squares of one size: each is a view such as the
    model knows.

    Args:
        model: Provenance of the features that the model learnt from.
        description: Manifest or provenance of the store that it is to be asked of.
    """
    made_by = provenance(description)
    if {crops_of(model), crops_of(made_by)} <= SAME_SCALE_CROPS:
        made_by["preprocessing"] = {**made_by["preprocessing"], "crops": crops_of(model)}
    return made_by


def fingerprint(description: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that differ where the :func:`provenance` of two manifests differs.

    Weights count by their content: what their file or their commit on the hub is called does not.
    """
    return _digest(_by_content(provenance(description)))


def fingerprint_with_names(description: Mapping[str, Any]) -> str:
    """The fingerprint in manifests of an earlier time, when the names of weights counted."""
    return _digest(provenance(description))


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:16]


def _by_content(value: Any) -> Any:
    """A JSON value in which weights whose hash is given have no other name."""
    if not isinstance(value, Mapping):
        return value
    dropped = WEIGHT_NAMES if "sha256" in value else ()
    return {key: _by_content(inner) for key, inner in value.items() if key not in dropped}


def difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """The first place at which two descriptions differ, in words, or None if they are equal.

    For example `streams.semantic.backbone.layer: 'last' against 'first'`. As in the
    :func:`fingerprint`, weights count by their content.
    """
    return _first_difference(_by_content(a), _by_content(b), where="")


def _first_difference(a: Any, b: Any, *, where: str) -> str | None:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in [*a, *(key for key in b if key not in a)]:
            inner = f"{where}.{key}" if where else str(key)
            if key not in a or key not in b:
                present = a.get(key, b.get(key))
                side = "first" if key in a else "second"
                return f"{inner}: {present!r} in the {side} only"
            if found := _first_difference(a[key], b[key], where=inner):
                return found
        return None
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return None if list(a) == list(b) else f"{where}: {list(a)!r} against {list(b)!r}"
    return None if a == b else f"{where}: {a!r} against {b!r}"


def canonical_json(values: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces.

    Raises:
        InputError: if something is not a JSON value, or is not finite.
    """
    try:
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a store's description must be plain JSON values: {error}; use strings, numbers, lists"
        ) from None
