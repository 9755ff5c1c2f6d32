"""Channel statistics of the training split, by which models standardise features."""

from __future__ import annotations

import functools

import torch
from jaxtyping import Int

from gasm_cast.annotations import ClipTable
from gasm_cast.errors import InputError
from gasm_cast.models import FusionModel
from gasm_cast.models.preparation import StreamPreparation
from gasm_cast.store import Batch, FeatureStore
from gasm_cast.training.augmentation import Mirror
from gasm_cast.training.clips import sample_ids

MOST_CLIPS = 2000
"""Clips that statistics are taken of: a channel's mean is then known to 2% of what clips differ by."""

_READ_AT_ONCE = 8192
"""Stored tokens of a piece: 24 MiB at a width of 768."""

_SUMMED_AT_ONCE = 256
"""Tokens whose sums are taken in float32: they stay in the processor's cache."""


class _Moments:
    """Sums in float64 over all tokens: mean and deviation of each channel."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.sum = torch.zeros(width, dtype=torch.float64)
        self.sum_of_squares = torch.zeros(width, dtype=torch.float64)

    def add(self, tokens: torch.Tensor) -> None:
        """Add tokens `[batch, tokens, width]`.

        Float64 throughout would take eight times as long. Few tokens in float32 about their own
        mean lose nothing that matters: sums are exact to 1e-6 of the deviation.
        """
        for few in torch.split(tokens.flatten(0, 1).float(), _SUMMED_AT_ONCE):
            num, ones = len(few), few.new_ones(len(few))
            mean = ones @ few / num
            offsets = few - mean
            rest, squares = (ones @ offsets).double(), (ones @ offsets.square()).double()
            center = mean.double()
            self.count += num
            self.sum += num * center + rest
            self.sum_of_squares += num * center.square() + 2 * center * rest + squares

    def with_mirror(self, channels: Int[torch.Tensor, " channels"]) -> _Moments:
        """Of these clips and their mirror images together."""
        both = _Moments(len(self.sum))
        both.count = 2 * self.count
        both.sum = self.sum + self.sum[channels]
        both.sum_of_squares = self.sum_of_squares + self.sum_of_squares[channels]
        return both

    @property
    def is_finite(self) -> bool:
        """Whether every number so far was; sums show it for a fraction of the work of looking at each."""
        return bool(self.sum.isfinite().all())

    @property
    def mean(self) -> torch.Tensor:
        return (self.sum / self.count).float()

    @property
    def deviation(self) -> torch.Tensor:
        variance = self.sum_of_squares / self.count - (self.sum / self.count).square()
        return variance.clamp(min=0).sqrt().float()


class ChannelStatistics:
    """Statistics of training clips, of tokens pooled as a model pools them.

    At most :data:`MOST_CLIPS` clips, chosen by their ids alone, so that every process, seed
    and resumed run comes to the same bits. Read once for all models that pool alike.

    Args:
        store: Features.
        clips: Training clips.
    """

    def __init__(self, store: FeatureStore, clips: ClipTable) -> None:
        self._store = store
        self._ids = sample_ids(clips, MOST_CLIPS)
        self._measure = functools.cache(self._read)

    def fit(self, model: FusionModel, mirror: Mirror | None = None) -> None:
        """Give a model its statistics; those of the mirrored clips too, where it learns from them.

        Raises:
            InputError: if features are not finite; names the clips.
        """
        if model.config.normalize == "none":
            return
        semantic, motion = self._measure(model.config.semantic_pool)
        if mirror is not None:
            semantic = semantic.with_mirror(mirror.semantic.channels)
            motion = motion.with_mirror(mirror.motion.channels)
        model.fit_normalization(
            semantic_mean=semantic.mean,
            semantic_std=semantic.deviation,
            motion_mean=motion.mean,
            motion_std=motion.deviation,
        )

    def _read(self, semantic_pool: int) -> tuple[_Moments, _Moments]:
        specs = self._store.streams
        pool = StreamPreparation(specs["semantic"], semantic_pool, standardise=False)
        semantic, motion = _Moments(specs["semantic"].width), _Moments(specs["motion"].width)
        rows = self._store.rows(self._ids)
        size = max(1, _READ_AT_ONCE // max(spec.grid.num_tokens for spec in specs.values()))
        pieces = [rows[start : start + size] for start in range(0, len(rows), size)]
        for batch in self._store.batches(pieces):
            semantic.add(pool(batch.features.semantic))
            motion.add(batch.features.motion)
            if not (semantic.is_finite and motion.is_finite):
                raise InputError(self._describe_broken(batch))
        return semantic, motion

    def _describe_broken(self, batch: Batch) -> str:
        streams = (batch.features.semantic, batch.features.motion)
        is_whole = torch.stack([tokens.flatten(1).isfinite().all(dim=1) for tokens in streams]).all(dim=0)
        names = ", ".join(self._store.ids[batch.rows[~is_whole.numpy()]])
        return (
            f"{self._store.path}: the features of {names} are not finite; `gasm-cast store verify "
            f"{self._store.path}` finds all such shards: extract or import their clips again"
        )
