"""Channel statistics of the training split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from gasm_cast.annotations import read_annotations
from gasm_cast.config import Recipe
from gasm_cast.errors import InputError
from gasm_cast.models import build_model
from gasm_cast.store import FeatureStore
from gasm_cast.training import statistics
from gasm_cast.training.statistics import ChannelStatistics, _Moments


def test_moments_are_those_of_all_tokens_together() -> None:
    """Over pieces of any size, and where the mean is large against the deviation."""
    torch.manual_seed(0)
    tokens = torch.tensor([1e-3, 1.0, 500.0]) * (torch.randn(50, 31, 3) + torch.tensor([0.0, 3.0, 1000.0]))
    moments = _Moments(3)
    for piece in torch.split(tokens, [1, 30, 19]):
        moments.add(piece)
    flat = tokens.flatten(0, 1).double()
    assert moments.count == len(flat)
    deviation = flat.std(0, correction=0)
    assert ((moments.mean - flat.mean(0)) / deviation).abs().max() < 1e-4  # float32 gives no more
    torch.testing.assert_close(moments.deviation, deviation.float(), rtol=1e-6, atol=0)


def test_memory_of_a_piece_does_not_grow_with_the_grid(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeatureStore.open(recipe.data.store)
    batches = FeatureStore.batches
    sizes: list[int] = []

    def watched(self: FeatureStore, pieces: Sequence[Any], **options: Any) -> Iterator[Any]:
        sizes.extend(map(len, pieces))
        return batches(self, pieces, **options)

    monkeypatch.setattr(FeatureStore, "batches", watched)
    monkeypatch.setattr(statistics, "_READ_AT_ONCE", 5 * 16 + 3)  # a clip has 16 tokens
    model = build_model(recipe.model, **store.streams, num_classes=4, num_groups=3)
    ChannelStatistics(store, read_annotations(recipe.data.annotations, "train")).fit(model)
    assert sizes == [5] * 8 + [2]


@pytest.mark.parametrize("stream", ["semantic", "motion"])
@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_clips_that_are_not_finite_are_named(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, stream: str, bad: float
) -> None:
    store = FeatureStore.open(recipe.data.store)
    batches = FeatureStore.batches
    spoiled = {"train3", "train40"}

    def spoil(self: FeatureStore, *arguments: Any, **options: Any) -> Iterator[Any]:
        for batch in batches(self, *arguments, **options):
            for place, name in enumerate(self.ids[batch.rows]):
                if name in spoiled:
                    getattr(batch.features, stream)[place, 2, 1] = bad
            yield batch

    monkeypatch.setattr(FeatureStore, "batches", spoil)
    model = build_model(recipe.model, **store.streams, num_classes=4, num_groups=3)
    clips = read_annotations(recipe.data.annotations, "train")
    with pytest.raises(InputError, match=r"store: the features of train3, train40 are not finite; .*verify"):
        ChannelStatistics(store, clips).fit(model)
