from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gasm_cast.config import ExchangeConfig
from gasm_cast.exchange import ChannelDropout, ExchangeLayer


def make_layer(**config: Any) -> ExchangeLayer:
    torch.manual_seed(0)
    return ExchangeLayer(ExchangeConfig(width=16, num_heads=4, **config)).eval()


@pytest.fixture
def tokens() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 12, 16), torch.randn(2, 3, 16)


@pytest.mark.parametrize(
    ("direction", "semantic_reads", "motion_reads"),
    [
        ("both", True, True),
        ("semantic-from-motion", True, False),
        ("motion-from-semantic", False, True),
        ("none", False, False),
    ],
)
def test_each_stream_reads_only_in_its_direction(
    tokens: tuple[Tensor, Tensor], direction: str, semantic_reads: bool, motion_reads: bool
) -> None:
    layer = make_layer(direction=direction)
    semantic, motion = tokens
    s, m = layer(semantic, motion)
    s_changed, _ = layer(semantic, motion + torch.randn_like(motion))
    _, m_changed = layer(semantic + torch.randn_like(semantic), motion)
    assert (not torch.allclose(s, s_changed)) is semantic_reads
    assert (not torch.allclose(m, m_changed)) is motion_reads
    _, _, weights = layer.attend(semantic, motion)
    assert (weights.semantic_from_motion is not None) is semantic_reads
    assert (weights.motion_from_semantic is not None) is motion_reads


def test_both_directions_read_the_same_inputs(tokens: tuple[Tensor, Tensor]) -> None:
    both, motion_only = make_layer(), make_layer(direction="motion-from-semantic")
    motion_only.load_state_dict(both.state_dict(), strict=False)
    # What motion reads does not depend on whether the semantic stream has read before.
    torch.testing.assert_close(both(*tokens)[1], motion_only(*tokens)[1])


@pytest.mark.parametrize("feed_forward", ["both", "motion", "none"])
def test_attend_gives_the_same_streams(tokens: tuple[Tensor, Tensor], feed_forward: str) -> None:
    layer = make_layer(feed_forward=feed_forward)
    assert (layer.semantic_feed_forward is not None) is (feed_forward == "both")
    assert (layer.motion_feed_forward is not None) is (feed_forward != "none")
    s, m, weights = layer.attend(*tokens)
    torch.testing.assert_close((s, m), layer(*tokens), rtol=1e-5, atol=1e-6)
    assert weights.semantic_from_motion is not None
    assert weights.semantic_from_motion.shape == (2, 4, 12, 3)
    assert weights.motion_from_semantic is not None
    assert weights.motion_from_semantic.shape == (2, 4, 3, 12)


def test_dropout_takes_the_same_channels_from_all_tokens_of_a_clip() -> None:
    torch.manual_seed(0)
    dropout, x = ChannelDropout(0.25), torch.ones(8, 5, 200)
    out = dropout(x)
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert not torch.equal(out[0], out[1])
    assert out.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert torch.equal(dropout.eval()(x), x)
