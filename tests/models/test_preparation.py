from __future__ import annotations

import pytest
import torch

from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models.preparation import StreamPreparation

SPEC = StreamSpec(Grid(2, 4, 6), 3)


def test_tokens_are_pooled_in_squares_of_each_frame() -> None:
    tokens = torch.randn(2, 48, 3)
    pooled = StreamPreparation(SPEC, 2, standardise=False)(tokens)
    assert pooled.shape == (2, 12, 3)
    picture = tokens.view(2, 2, 4, 6, 3)
    torch.testing.assert_close(pooled.view(2, 2, 2, 3, 3)[0, 1, 1, 2], picture[0, 1, 2:4, 4:6].mean((0, 1)))


def test_a_pool_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a pool of 4 must divide"):
        StreamPreparation(SPEC, 4, standardise=True)


def test_channels_of_the_fitted_split_have_mean_zero_and_deviation_one() -> None:
    tokens = torch.randn(8, 48, 3, dtype=torch.float64) * torch.tensor([2.0, 0.1, 5.0]) + 7
    preparation = StreamPreparation(SPEC, 1, standardise=True).double()
    assert torch.equal(preparation(tokens), tokens)  # until it is fitted
    preparation.fit(tokens.mean((0, 1)), tokens.std((0, 1)))
    out = preparation(tokens)
    torch.testing.assert_close(out.mean((0, 1)), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(out.std((0, 1)), torch.ones(3, dtype=torch.float64))


def test_a_constant_channel_is_centred_and_not_blown_up() -> None:
    preparation = StreamPreparation(SPEC, 1, standardise=True)
    preparation.fit(torch.tensor([4.0, 0, 0]), torch.tensor([0.0, 1, 1]))
    tokens = torch.full((1, 48, 3), 4.0)
    tokens[0, 0, 0] = 4.5
    out = preparation(tokens)
    assert out[0, 1, 0] == 0
    assert out[0, 0, 0] == 0.5


@pytest.mark.parametrize("bad", [torch.tensor([0.0, float("nan"), 1.0]), torch.zeros(4)])
def test_statistics_must_fit_the_channels(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="needs 3 finite values, one a channel"):
        StreamPreparation(SPEC, 1, standardise=True).fit(bad, torch.ones(len(bad)))


@pytest.mark.parametrize("standardise", [True, False])
def test_half_precision_features_are_computed_in_single(standardise: bool) -> None:
    tokens = torch.randn(1, 48, 3).half()
    out = StreamPreparation(SPEC, 1, standardise)(tokens)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, tokens.float())
