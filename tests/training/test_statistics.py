"""Channel statistics of the training split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gasm_cast.annotations import read_annotations
from gasm_cast.config import Recipe
from gasm_cast.errors import InputError
from gasm_cast.models import build_model
from gasm_cast.store import FeatureStore
from gasm_cast.training.statistics import ChannelStatistics


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
