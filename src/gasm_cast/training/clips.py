"""Which clips a run learns from, chooses by, and reports on.

Annotations and features are joined by id. Only :func:`read_clips` opens a split's
annotations, so whoever does not call it for the validation split has not seen its labels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gasm_cast.annotations import ClipTable, read_annotations, split_table
from gasm_cast.config import DataConfig
from gasm_cast.errors import InputError
from gasm_cast.evaluation.protocol import ask
from gasm_cast.store import FeatureStore

MOST_SHOWN = 5


@dataclass(frozen=True)
class Split:
    """One split of the data set, joined with the store."""

    clips: ClipTable
    """Its clips that have features."""
    num_failed: int
    """Its clips that the store records as failed: they have no features and are left out."""


def read_clips(config: DataConfig, split: str, store: FeatureStore) -> Split:
    """Read a split's labels and join them with the store's features.

    Raises:
        InputError: if the split has no clips or no labels, or one class alone, or if clips are in
            the annotations and neither in the store nor among its recorded failures.
    """
    table = read_annotations(config.annotations, split)
    if len(table.class_names) == 1:
        raise InputError(
            f"{config.annotations} has the class {table.class_names[0]!r} alone, which leaves nothing to "
            "tell apart; name two classes or more"
        )
    asked = ask(table, store)
    if asked.missing:
        first = ", ".join(clip.id for clip in asked.missing[:MOST_SHOWN])
        raise InputError(
            f"{config.store} lacks {len(asked.missing)} of the {asked.num_asked} clips of split {split!r}, "
            f"first {first}; extract them, or name a store that has them"
        )
    return Split(asked.scored, num_failed=len(asked.failed))


def hold_out(clips: ClipTable, fraction: float) -> tuple[ClipTable, ClipTable]:
    """Divide clips into those to learn from and those held back to choose by, class by class.

    The draw does not depend on a run's seed: all seeds and candidates hold back the same
    clips.

    Raises:
        InputError: if a class has a single clip.
    """
    parts = split_table(clips, {"learn": 1 - fraction, "held out": fraction}, by="random", seed=0)
    return parts["learn"], parts["held out"]


def sample_ids(clips: ClipTable, num: int) -> list[str]:
    """At most `num` ids, spread over the clips by a hash of the id: the same whatever their order."""
    return sorted(clips.ids, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())[:num]
