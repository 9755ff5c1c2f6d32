"""Fill a store from features that people already have: joined by id, every refusal named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from gasm_cast.errors import InputError
from gasm_cast.geometry import StreamSpec
from gasm_cast.store.layout import Arranged, Layout
from gasm_cast.store.manifest import TORCH_DTYPES, StoredDtype, StoreDescription, StreamDescription
from gasm_cast.store.sources import Source
from gasm_cast.store.writer import FeaturesError, StoreWriter

NUM_SURVEYED = 32


@dataclass(frozen=True)
class ImportedStream:
    """Where one stream comes from."""

    source: Source
    layout: Layout
    backbone: str
    """What made the features, in the user's words."""

    @property
    def provenance(self) -> dict[str, str]:
        """What the store's fingerprint tells this stream by."""
        return {"name": self.backbone, "origin": "imported"}

    def read(self, name: str) -> Arranged:
        """One clip's tokens.

        Raises:
            InputError: if the file is missing or refused: its name, and why.
        """
        if name not in self.source.entries:
            raise InputError(f"no {self.layout.stream} features: {self.source.path.name} has none of this id")
        array = self.source.read(name)
        try:
            return self.layout.arrange(array)
        except InputError as error:
            raise InputError(f"{self.source.where(name)}: {error}") from None


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    earlier: int
    """Ids that earlier calls had stored or refused; their arrays were not read again."""
    notes: Counter[str]
    """What was done to arrays on the way, in words, and to how many."""


def import_features(
    path: Path,
    semantic: ImportedStream,
    motion: ImportedStream,
    *,
    dtype: StoredDtype | None = None,
    retry_failed: bool = False,
) -> Imported:
    """Write a store of all ids that either stream has; what is refused becomes a failure of the store.

    It goes on where an interrupted import of the same features stopped, and adds ids to a finished
    store. Ids that are there are not read again, even where their arrays are others by now.

    Args:
        path: The store's folder.
        semantic: The semantic stream.
        motion: The motion stream.
        dtype: How to store; by default as the files are, in the wider dtype if they differ.
        retry_failed: Write shards in which ids were refused again, with all their ids.

    Raises:
        InputError: if the streams have no id in common, the first clips are all refused, or the
            folder holds another store.
    """
    streams = {"semantic": semantic, "motion": motion}
    names = sorted({*semantic.source.entries, *motion.source.entries})
    description = _survey(semantic, motion, dtype)
    notes: Counter[str] = Counter()
    with StoreWriter(path, description, asked=names, retry_failed=retry_failed) as writer:
        earlier = writer.num_kept
        for name in writer.todo:
            try:
                arranged = [stream.read(name) for stream in streams.values()]
            except InputError as error:
                writer.fail(name, str(error))
                continue
            try:
                writer.add(name, *(each.tokens for each in arranged))
            except FeaturesError as error:  # and no other: a full disk is no fault of the clip
                where = streams[error.stream].source.where(name)
                writer.fail(name, f"{where}: {error.reason}")
            else:
                notes.update(note for each in arranged for note in each.notes)
    return Imported(earlier, notes)


def _survey(semantic: ImportedStream, motion: ImportedStream, dtype: StoredDtype | None) -> StoreDescription:
    """What the store will hold: widths, views and dtype as most of the first clips have them."""
    common = sorted(semantic.source.entries.keys() & motion.source.entries.keys())
    if not common:
        shown = (repr(next(iter(stream.source.entries))) for stream in (semantic, motion))
        raise InputError(
            f"{semantic.source.path} and {motion.source.path} have no id in common "
            f"({', '.join(shown)}, ...); say how files are called: --semantic-names '{{id}}_rgb'"
        )
    shapes: Counter[tuple[int, int, int]] = Counter()
    dtypes: set[torch.dtype] = set()
    refusal: InputError | None = None
    for name in common[:NUM_SURVEYED]:
        try:
            arranged = [stream.read(name) for stream in (semantic, motion)]
        except InputError as error:
            refusal = refusal or error
            continue
        views, _, semantic_width = arranged[0].tokens.shape
        shapes[views, semantic_width, arranged[1].tokens.shape[-1]] += 1
        dtypes.update(each.dtype for each in arranged)
    if not shapes:
        raise InputError(f"the first {min(len(common), NUM_SURVEYED)} clips are all refused: {refusal}")
    (num_views, *widths), _ = shapes.most_common(1)[0]
    semantic_width, motion_width = widths
    return StoreDescription(
        semantic=StreamDescription(StreamSpec(semantic.layout.grid, semantic_width), semantic.provenance),
        motion=StreamDescription(StreamSpec(motion.layout.grid, motion_width), motion.provenance),
        num_views=num_views,
        dtype=dtype or _common_dtype(dtypes),
    )


def _common_dtype(dtypes: Collection[torch.dtype]) -> StoredDtype:
    stored = {dtype: name for name, dtype in TORCH_DTYPES.items()}
    only = next(iter(dtypes)) if len(dtypes) == 1 else torch.float32
    return stored.get(only, "float32")
