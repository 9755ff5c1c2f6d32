"""Channel statistics of the training split, by which models standardise features."""

from __future__ import annotations

import torch

from gasm_cast.annotations import ClipTable
from gasm_cast.models import FusionModel
from gasm_cast.models.preparation import StreamPreparation
from gasm_cast.store import FeatureStore
from gasm_cast.training.clips import sample_ids

MOST_CLIPS = 2000
"""Clips that statistics are taken of; more would not change their first three digits."""

_READ_AT_ONCE = 32


class _Moments:
    """Sums in float64 over all tokens: mean and deviation of each channel."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.sum = torch.zeros(width, dtype=torch.float64)
        self.sum_of_squares = torch.zeros(width, dtype=torch.float64)

    def add(self, tokens: torch.Tensor) -> None:
        values = tokens.flatten(0, 1).double()
        self.count += len(values)
        self.sum += values.sum(dim=0)
        self.sum_of_squares += values.square().sum(dim=0)

    @property
    def mean(self) -> torch.Tensor:
        return (self.sum / self.count).float()

    @property
    def deviation(self) -> torch.Tensor:
        variance = self.sum_of_squares / self.count - (self.sum / self.count).square()
        return variance.clamp(min=0).sqrt().float()


def fit_normalization(model: FusionModel, store: FeatureStore, clips: ClipTable) -> None:
    """Give a model the statistics of training clips, of tokens pooled as the model pools them.

    At most :data:`MOST_CLIPS` clips, chosen by their ids alone, so that every process, seed
    and resumed run comes to the same bits.
    """
    if model.config.normalize == "none":
        return
    ids = sample_ids(clips, MOST_CLIPS)
    semantic, motion = model.task.semantic, model.task.motion
    pool = StreamPreparation(semantic, model.config.semantic_pool, standardise=False)
    of_semantic, of_motion = _Moments(semantic.width), _Moments(motion.width)
    for start in range(0, len(ids), _READ_AT_ONCE):
        features = store.read(ids[start : start + _READ_AT_ONCE])
        of_semantic.add(pool(features.semantic))
        of_motion.add(features.motion)
    model.fit_normalization(
        semantic_mean=of_semantic.mean,
        semantic_std=of_semantic.deviation,
        motion_mean=of_motion.mean,
        motion_std=of_motion.deviation,
    )
