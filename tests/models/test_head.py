"""Pooling of tokens and of time steps, checked against plain tensor arithmetic."""

from __future__ import annotations

import pytest
import torch
from einops import rearrange
from tests.models.conftest import Maker

from gasm_cast.config import HeadConfig
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models.gasm_cast import GasmCast
from gasm_cast.models.head import PooledClassifier, StreamPooling

FRAMES = StreamSpec(Grid(3, 2, 2), 5)
SEGMENTS = StreamSpec(Grid(4, 1, 1), 6)


def test_mean_over_all_tokens_or_over_those_of_each_step() -> None:
    tokens = torch.randn(2, 12, 5)
    whole = StreamPooling(FRAMES, HeadConfig(temporal="pool"))
    steps = StreamPooling(FRAMES, HeadConfig(temporal="concat"))
    torch.testing.assert_close(whole(tokens), tokens.mean(1))
    torch.testing.assert_close(
        steps(tokens), torch.cat([tokens[:, :4].mean(1), tokens[:, 4:8].mean(1), tokens[:, 8:].mean(1)], -1)
    )
    assert (whole.width, steps.width) == (5, 15)


def test_statistics_are_those_of_the_steps_and_know_no_order() -> None:
    pooling = StreamPooling(FRAMES, HeadConfig(temporal="statistics"))
    tokens = torch.randn(2, 12, 5)
    steps = rearrange(tokens, "b (t n) d -> b t n d", t=3).mean(2)
    expected = torch.cat([steps.mean(1), steps.std(1, correction=0), steps.amax(1)], -1)
    torch.testing.assert_close(pooling(tokens), expected, atol=1e-3, rtol=1e-5)
    backwards = torch.cat([tokens[:, 8:], tokens[:, 4:8], tokens[:, :4]], 1)
    torch.testing.assert_close(pooling(backwards), expected, atol=1e-3, rtol=1e-5)


def test_statistics_of_a_still_clip_have_a_gradient_and_of_one_step_are_the_step() -> None:
    pooling = StreamPooling(SEGMENTS, HeadConfig(temporal="statistics"))
    still = torch.ones(2, 4, 6, requires_grad=True)
    pooling(still).sum().backward()
    assert still.grad is not None
    assert still.grad.isfinite().all()
    one_map = StreamPooling(StreamSpec(Grid(1, 4, 4), 6), HeadConfig(temporal="statistics"))
    tokens = torch.randn(2, 16, 6)
    torch.testing.assert_close(one_map(tokens), tokens.mean(1))
    assert (pooling.width, one_map.width) == (18, 6)


def test_segments_of_one_token_stand_side_by_side_as_they_are() -> None:
    pooling = StreamPooling(SEGMENTS, HeadConfig(pooling="attention", temporal="concat"))
    tokens = torch.randn(2, 4, 6)
    assert torch.equal(pooling(tokens), tokens.flatten(1))
    assert pooling.weights is None  # one token cannot be weighed against others


def test_attention_weighs_the_tokens_of_a_step_among_themselves() -> None:
    pooling = StreamPooling(FRAMES, HeadConfig(pooling="attention", temporal="concat"))
    assert pooling.weights is not None
    torch.nn.init.normal_(pooling.weights.score.weight)
    tokens = torch.randn(2, 12, 5)
    expected = []
    for step in torch.split(tokens, 4, dim=1):
        share = pooling.weights(step)
        torch.testing.assert_close(share.sum(-1), torch.ones(2, 1))
        assert share.std() > 0
        expected.append((share.mT * step).sum(1))
    torch.testing.assert_close(pooling(tokens), torch.cat(expected, -1))


@pytest.mark.parametrize(
    ("temporal", "num_features"), [("pool", 5 + 6), ("statistics", 3 * (5 + 6)), ("concat", 3 * 5 + 4 * 6)]
)
def test_classifier_reads_what_the_poolings_give(temporal: str, num_features: int) -> None:
    head = PooledClassifier((FRAMES, SEGMENTS), 7, HeadConfig(temporal=temporal))  # type: ignore[arg-type]
    assert head.classifier.project.in_features == num_features
    assert head(torch.randn(2, 12, 5), torch.randn(2, 4, 6)).shape == (2, 7)


def test_the_bottleneck_gives_its_time_steps_beside_the_wide_vectors(make_model: Maker) -> None:
    model = make_model()
    one_map = make_model(semantic=StreamSpec(Grid(1, 4, 4), 24))
    assert isinstance(model, GasmCast)
    assert isinstance(one_map, GasmCast)
    assert model.ends is not None
    assert one_map.ends is not None
    wide, narrow = 24 + 16, 16
    assert model.ends.classifier.project.in_features == wide + (2 + 4) * narrow
    assert one_map.ends.classifier.project.in_features == wide + 4 * narrow  # one step is no order
