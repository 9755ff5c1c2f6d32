"""Direct, absorbed and explicit cross-attention, the plain loops and torch's own module agree."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from gasm_cast.exchange import CrossAttention
from gasm_cast.exchange.cross_attention import Computation
from gasm_cast.exchange.reference import cross_attention

SHAPES = [
    pytest.param(30, 3, "absorb-query", id="few to read"),
    pytest.param(3, 30, "absorb-context", id="few that read"),
    pytest.param(20, 20, "direct", id="alike"),
]


def make_layer(absorb: bool = True, query_width: int = 24, context_width: int = 16) -> CrossAttention:
    torch.manual_seed(0)
    return CrossAttention(query_width, context_width, width=24, num_heads=4, absorb=absorb).double().eval()


def make_tokens(num_queries: int, num_context: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x = torch.randn(2, num_queries, 24, dtype=torch.float64, requires_grad=True)
    return x, torch.randn(2, num_context, 16, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("num_queries", "num_context", "computation"), SHAPES)
def test_every_computation_equals_the_definition(
    num_queries: int, num_context: int, computation: Computation, masked: bool
) -> None:
    x, context = make_tokens(num_queries, num_context)
    allowed = torch.rand(2, num_queries, num_context) < 0.5 if masked else None
    if allowed is not None:
        allowed[1] = False  # a clip in which there is nothing to read
    chosen = make_layer()
    assert chosen.computation(num_queries, num_context) == computation
    expected = cross_attention(chosen, x, context, allowed)
    for layer in (chosen, make_layer(absorb=False)):
        out, weights = layer.attend(x, context, allowed)
        torch.testing.assert_close(layer(x, context, allowed), expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
        total = weights.sum(dim=-1)
        reads = torch.ones(2, num_queries) if allowed is None else allowed.any(-1)
        torch.testing.assert_close(total, reads.double()[:, None].expand_as(total))


@pytest.mark.parametrize(("num_queries", "num_context", "computation"), SHAPES)
def test_absorbed_products_have_the_gradients_of_the_direct_ones(
    num_queries: int, num_context: int, computation: Computation
) -> None:
    gradients = []
    for absorb in (True, False):
        layer = make_layer(absorb)
        x, context = make_tokens(num_queries, num_context)
        out = layer(x, context)
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
        gradients.append([x.grad, context.grad, *(p.grad for p in layer.parameters())])
    for absorbed, direct in zip(*gradients, strict=True):
        torch.testing.assert_close(absorbed, direct, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("num_queries", "num_context", "computation"), SHAPES)
def test_it_is_multi_head_attention(num_queries: int, num_context: int, computation: Computation) -> None:
    layer = make_layer()
    oracle = nn.MultiheadAttention(24, 4, kdim=16, vdim=16, batch_first=True, dtype=torch.float64).eval()
    with torch.no_grad():
        key, value = layer.key_value.weight.chunk(2)
        for parameter, weight in (
            (oracle.q_proj_weight, layer.query.weight),
            (oracle.k_proj_weight, key),
            (oracle.v_proj_weight, value),
            (oracle.out_proj.weight, layer.out.weight),
        ):
            assert parameter is not None
            parameter.copy_(weight)
        oracle.in_proj_bias.zero_()
        oracle.out_proj.bias.zero_()
    x, context = make_tokens(num_queries, num_context)
    expected, weights = oracle(x, context, context, average_attn_weights=False)
    out, shown = layer.attend(x, context)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(shown, weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("num_queries", "num_context", "computation"), SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_query_that_may_look_nowhere_stays_finite(
    num_queries: int, num_context: int, computation: Computation, dtype: torch.dtype
) -> None:
    nowhere = torch.zeros(2, num_queries, num_context, dtype=torch.bool)
    for absorb, training in itertools.product((True, False), (True, False)):
        layer = make_layer(absorb).to(dtype).train(training)
        x, context = (
            tokens.detach().to(dtype).requires_grad_() for tokens in make_tokens(num_queries, num_context)
        )
        out, (shown, weights) = layer(x, context, nowhere), layer.attend(x, context, nowhere)
        (out.float().sum() + shown.float().sum()).backward()
        assert out.eq(0).all()
        assert weights.eq(0).all()
        for gradient in (x.grad, context.grad, layer.query.weight.grad):
            assert gradient is not None
            assert gradient.isfinite().all()


def test_masked_tokens_have_no_influence() -> None:
    for num_queries, num_context in ((30, 6), (3, 30), (20, 20)):
        x, context = make_tokens(num_queries, num_context)
        allowed = torch.ones(num_queries, num_context, dtype=torch.bool)
        allowed[:, ::2] = False
        other = context.detach().clone()
        other[:, ::2] = 1e3
        layer = make_layer()
        torch.testing.assert_close(layer(x, context, allowed), layer(x, other, allowed))
