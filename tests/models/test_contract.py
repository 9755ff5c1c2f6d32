"""What every model answers, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.models.conftest import KINDS, MOTION, SEMANTIC, Maker
from torch import Tensor, nn

from gasm_cast.config import ModelConfig, ModelKind
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import FusionModel, Prediction, build_model

MakeTokens = Callable[..., tuple[Tensor, Tensor]]

VARIANTS: list[tuple[ModelKind, dict[str, Any]]] = [
    *((kind, {}) for kind in KINDS),
    ("gasm-cast", {"exchange": {"residual": "stream"}}),
    ("gasm-cast", {"graph": {"enabled": False}}),
    ("gasm-cast", {"exchange": {"enabled": False}}),
    ("gasm-cast", {"exchange": {"enabled": False, "residual": "stream"}}),
    ("gasm-cast", {"graph": {"enabled": False}, "exchange": {"enabled": False}}),
    ("gasm-cast", {"graph": {"similarity": "fixed", "positions": "none", "num_layers": 2}}),
    ("gasm-cast", {"graph": {"positions": "both"}, "semantic_pool": 2}),
    ("gasm-cast", {"graph": {"edges": "adjacent"}, "exchange": {"direction": "semantic-from-motion"}}),
    ("gasm-cast", {"graph": {"edges": "dense"}, "exchange": {"direction": "motion-from-semantic"}}),
    ("gasm-cast", {"exchange": {"feed_forward": "none", "num_layers": 1, "residual": "stream"}}),
    ("gasm-cast", {"exchange": {"direction": "none"}}),
    ("gasm-cast", {"exchange": {"feed_forward": "motion"}, "head": {"deep_supervision": False}}),
    ("gasm-cast", {"head": {"pooling": "attention", "coarse_layers": 1}, "num_groups": 2}),
    ("gasm-cast", {"head": {"pooling": "attention"}, "exchange": {"residual": "stream"}}),
    ("linear", {"head": {"pooling": "attention"}, "normalize": "none"}),
    ("cross-attention", {"peer": {"feed_forward": False, "absorbed": True}}),
    ("attentive-probe", {"peer": {"feed_forward": False}}),
]
variants = pytest.mark.parametrize(
    ("kind", "config"), VARIANTS, ids=[f"{kind} {config}" if config else kind for kind, config in VARIANTS]
)


def loss_of(model: FusionModel, prediction: Prediction) -> Tensor:
    """A loss that all heads take part in."""
    return torch.stack(
        [prediction.logits.pow(2).mean(), *(h.pow(2).mean() for h in prediction.layer_logits)]
    ).sum()


@variants
def test_scores_of_classes_and_of_further_heads(
    make_model: Maker, make_tokens: MakeTokens, kind: ModelKind, config: dict[str, Any]
) -> None:
    model = make_model(kind, **config)
    prediction = model(*make_tokens())
    assert prediction.logits.shape == (3, 5)
    assert len(prediction.layer_logits) == len(model.layer_weights)
    for layer, logits in enumerate(prediction.layer_logits):
        assert logits.shape == (3, model.task.num_groups if layer < model.coarse_layers else 5)


@variants
def test_every_parameter_learns(
    make_model: Maker, make_tokens: MakeTokens, kind: ModelKind, config: dict[str, Any]
) -> None:
    model = make_model(kind, **config)
    optimizer = torch.optim.AdamW(model.parameter_groups(0.05), lr=1e-2)
    # What starts at zero keeps gradients from what lies before it: up to three steps open all ways.
    for _ in range(4):
        optimizer.zero_grad()
        torch.autograd.backward(loss_of(model, model(*make_tokens())))
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@variants
def test_every_parameter_is_in_one_group_and_only_matrices_decay(
    make_model: Maker, kind: ModelKind, config: dict[str, Any]
) -> None:
    model = make_model(kind, **config)
    groups = model.parameter_groups(0.3)
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in model.parameters())
    decayed = {
        id(parameter) for group in groups if group["weight_decay"] == 0.3 for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        plain = any(word in name for word in ("bias", "norm", "gain", "positions", "shared"))
        plain = plain or parameter.ndim < 2 or name == "query"
        assert (id(parameter) in decayed) is not plain, name


@variants
def test_a_clip_scores_the_same_alone_and_in_any_batch(
    make_model: Maker,
    make_tokens: MakeTokens,
    shake: Callable[[nn.Module], None],
    kind: ModelKind,
    config: dict[str, Any],
) -> None:
    model = make_model(kind, **config).eval()
    shake(model)
    semantic, motion = make_tokens(batch=5)
    together = model(semantic, motion).logits
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(
        model(semantic[order], motion[order]).logits, together[order], rtol=0, atol=1e-5
    )
    for clip in range(5):
        alone = model(semantic[clip : clip + 1], motion[clip : clip + 1]).logits
        torch.testing.assert_close(alone[0], together[clip], rtol=0, atol=1e-5)


@variants
@pytest.mark.parametrize("level", [0.0, 3.0, 1e4])
def test_grey_videos_stay_finite(
    make_model: Maker, kind: ModelKind, config: dict[str, Any], level: float
) -> None:
    model = make_model(kind, **config)
    tokens = torch.full((2, 32, 24), level), torch.full((2, 4, 16), level)
    for training in (True, False):
        model.train(training).zero_grad()
        prediction = model(*tokens)
        torch.autograd.backward(loss_of(model, prediction))
        assert prediction.logits.isfinite().all()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        if kind in ("gasm-cast", "cross-attention"):
            attention = model.attend(*tokens)
            assert attention.prediction.logits.isfinite().all()
            for graph in (*attention.semantic_graphs, *attention.motion_graphs):
                assert graph.weights.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_grid_of_one_token_a_stream_works(
    make_model: Maker, make_tokens: MakeTokens, kind: ModelKind
) -> None:
    semantic, motion = StreamSpec(Grid(1, 1, 1), 24), StreamSpec(Grid(1, 1, 1), 16)
    model = make_model(kind, semantic=semantic, motion=motion)
    loss = loss_of(model, model(*make_tokens(semantic=semantic, motion=motion)))
    torch.autograd.backward(loss)
    assert loss.isfinite()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_autocast_stays_finite(
    make_model: Maker, make_tokens: MakeTokens, kind: ModelKind
) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        model = make_model(kind)
        with torch.autocast("cpu", dtype=dtype):
            loss = loss_of(model, model(*make_tokens()))
        torch.autograd.backward(loss)
        assert loss.isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_statistics_survive_saving(
    make_model: Maker, make_tokens: MakeTokens, shake: Callable[[nn.Module], None], kind: ModelKind
) -> None:
    model, fresh = make_model(kind).eval(), make_model(kind).eval()
    shake(model)
    torch.manual_seed(5)
    model.fit_normalization(
        semantic_mean=torch.randn(24),
        semantic_std=torch.rand(24) + 0.5,
        motion_mean=torch.randn(16),
        motion_std=torch.rand(16) + 0.5,
    )
    fresh.load_state_dict(model.state_dict())
    tokens = make_tokens()
    assert torch.equal(fresh(*tokens).logits, model(*tokens).logits)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gasm-cast", "cross-attention"}))
def test_a_model_without_attention_says_so(
    make_model: Maker, make_tokens: MakeTokens, kind: ModelKind
) -> None:
    with pytest.raises(InputError, match=f"{kind!r} has no attention to show.*--model gasm-cast"):
        make_model(kind).attend(*make_tokens())
    with pytest.raises(InputError, match=f"{kind!r} has no early heads"):
        make_model(kind).predict_early(*make_tokens(), confidence=0.5)


def test_single_stream_models_read_one_stream(make_model: Maker, make_tokens: MakeTokens) -> None:
    semantic, motion = make_tokens()
    model = make_model("semantic-only").eval()
    assert torch.equal(model(semantic, torch.randn_like(motion)).logits, model(semantic, motion).logits)
    model = make_model("motion-only").eval()
    assert torch.equal(model(torch.randn_like(semantic), motion).logits, model(semantic, motion).logits)


def test_ensemble_is_the_mean_of_probabilities_and_trains_each_probe_alone(
    make_model: Maker, make_tokens: MakeTokens
) -> None:
    model = make_model("ensemble").eval()
    prediction = model(*make_tokens())
    each = torch.stack([logits.softmax(-1) for logits in prediction.layer_logits])
    torch.testing.assert_close(prediction.logits.softmax(-1), each.mean(0))
    assert not prediction.logits.requires_grad
    assert model.layer_weights == (1.0, 1.0)
    prediction.layer_logits[0].sum().backward()
    assert all("motion" not in name for name, p in model.named_parameters() if p.grad is not None)


def test_absorbed_cross_attention_is_the_same_model(
    make_model: Maker, make_tokens: MakeTokens, shake: Callable[[nn.Module], None]
) -> None:
    direct = make_model("cross-attention").double().eval()
    absorbed = make_model("cross-attention", peer={"absorbed": True}).double().eval()
    shake(direct)
    absorbed.load_state_dict(direct.state_dict())
    tokens = [t.double() for t in make_tokens()]
    torch.testing.assert_close(absorbed(*tokens).logits, direct(*tokens).logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("absorbed", [True, False])
def test_cross_attention_shows_what_it_computes(
    make_model: Maker, make_tokens: MakeTokens, absorbed: bool
) -> None:
    model = make_model("cross-attention", peer={"absorbed": absorbed}).eval()
    attention = model.attend(*make_tokens())
    torch.testing.assert_close(attention.prediction.logits, model(*make_tokens()).logits, rtol=0, atol=1e-5)
    for weights in attention.exchanges:
        assert weights.semantic_from_motion is not None
        assert weights.semantic_from_motion.shape == (3, 2, 32, 4)
        torch.testing.assert_close(weights.semantic_from_motion.sum(-1), torch.ones(3, 2, 32))


def test_tokens_of_another_shape_are_refused(make_model: Maker, make_tokens: MakeTokens) -> None:
    semantic, motion = make_tokens()
    with pytest.raises(
        ValueError, match=r"expected tokens \[batch, 32, 24\] for a 2x4x4 grid, got \[3, 31, 24\]"
    ):
        make_model("linear")(semantic[:, 1:], motion)


def test_a_model_of_no_classes_is_refused() -> None:
    with pytest.raises(InputError, match="at least one class"):
        build_model(ModelConfig(kind="linear"), semantic=SEMANTIC, motion=MOTION, num_classes=0)
