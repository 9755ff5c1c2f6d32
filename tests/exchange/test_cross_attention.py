from __future__ import annotations

import pytest
import torch

from gasm_cast.errors import InputError
from gasm_cast.exchange import CrossAttention


def test_the_cheapest_computation_follows_the_numbers_of_tokens() -> None:
    layer = CrossAttention(256, 256, width=256, num_heads=8)
    assert layer.computation(196, 8) == "absorb-query"
    assert layer.computation(8, 196) == "absorb-context"
    # 8 heads x 196 tokens are more vectors than the 256 channels that absorbing would save.
    assert layer.computation(196, 196) == "direct"
    assert CrossAttention(256, 256, width=256, num_heads=8, absorb=False).computation(196, 8) == "direct"


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(InputError, match=r"num_heads must divide .* got 3 and 16"):
        CrossAttention(16, 16, width=16, num_heads=3)


@pytest.mark.parametrize(("num_queries", "num_context"), [(30, 3), (3, 30), (20, 20)])
def test_dropout_acts_in_training_and_leaves_the_shown_weights_alone(
    num_queries: int, num_context: int
) -> None:
    layer = CrossAttention(24, 16, width=24, num_heads=4, dropout=0.5)
    x, context = torch.randn(2, num_queries, 24), torch.randn(2, num_context, 16)
    layer.eval()
    expected, weights = layer.attend(x, context)
    layer.train()
    out, shown = layer.attend(x, context)
    torch.testing.assert_close(shown, weights)
    assert not torch.allclose(out, expected)
    torch.manual_seed(0)
    outs = torch.stack([layer(x, context) for _ in range(400)])
    # Dropout keeps the mean.
    assert (outs.mean(0) - expected).abs().max() < 0.2 * outs.std(0).max()
