from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.store import FeatureStore
from gasm_cast.store.quantization import dequantize, quantize

from .conftest import clip, contents, describe, write


def restored(tokens: torch.Tensor) -> torch.Tensor:
    stored = quantize(tokens)
    channel_scale = stored.channel_scale.expand(len(tokens), 1, -1)
    return dequantize(stored.tokens, stored.token_scale[:, :, None], channel_scale, torch.empty_like(tokens))


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e4))
def test_no_number_is_off_by_more_than_half_a_step(seed: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(3, 7, 12, generator=generator) * size
    stored = quantize(tokens)
    step = stored.token_scale[:, :, None] * stored.channel_scale
    assert ((restored(tokens) - tokens).abs() <= step * 0.5001).all()


def test_outlier_channels_do_not_cost_the_others() -> None:
    tokens = torch.randn(8, 49, 384, generator=torch.Generator().manual_seed(0))
    plain = quantize(tokens).relative_error
    assert 0.004 < plain < 0.012
    tokens[..., [5, 77]] *= 60  # as two channels of a vision transformer
    others = torch.ones(384, dtype=torch.bool)
    others[[5, 77]] = False
    error = (restored(tokens) - tokens)[..., others].norm() / tokens[..., others].norm()
    assert error < 0.012
    per_token_only = (tokens / tokens.abs().amax(-1, keepdim=True) * 127).round()
    lost = per_token_only * tokens.abs().amax(-1, keepdim=True) / 127 - tokens
    assert lost[..., others].norm() / tokens[..., others].norm() > 10 * error


def test_the_error_it_states_is_the_error_it_makes() -> None:
    tokens = torch.randn(4, 9, 32, generator=torch.Generator().manual_seed(1)) ** 3
    made = float((restored(tokens) - tokens).norm() / tokens.norm())
    assert quantize(tokens).relative_error == pytest.approx(made, rel=0.01)


def test_zeros_stay_zeros() -> None:
    tokens = torch.zeros(2, 3, 4)
    assert torch.equal(restored(tokens), tokens)
    tokens[0, 0, 0] = 5  # one number in a token, one token in a row, one row in a shard
    torch.testing.assert_close(restored(tokens), tokens)


def test_an_int8_store_reads_close_and_does_not_depend_on_threads(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids, describe(dtype="int8"))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 2)
    write(tmp_path / "again", ids, describe(dtype="int8"))
    torch.set_num_threads(threads)
    assert contents(tmp_path / "store") == contents(tmp_path / "again")

    store = FeatureStore.open(tmp_path / "store")
    exact = np.concatenate([clip(name, "semantic") for name in ids])
    features = next(store.batches([np.arange(len(ids))])).features
    error = np.linalg.norm(features.semantic.numpy() - exact) / np.linalg.norm(exact)
    assert error == pytest.approx(store.manifest["relative_error"]["semantic"], rel=0.01)
    assert error < 0.01
    np.testing.assert_array_equal(store.read(ids).semantic.numpy(), features.semantic.numpy())
