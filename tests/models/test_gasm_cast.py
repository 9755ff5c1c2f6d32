"""GASM-CAST in both forms: where it starts, what it shows, where it stops, what it can learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.models.conftest import Maker
from torch import Tensor, nn

from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import FusionModel
from gasm_cast.models.gasm_cast import GasmCast
from gasm_cast.models.linear import Linear

MakeTokens = Callable[..., tuple[Tensor, Tensor]]
Shake = Callable[[nn.Module], None]
FORMS = pytest.mark.parametrize("residual", ["bottleneck", "stream"])


@FORMS
@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_it_starts_as_the_linear_probe(
    make_model: Maker, make_tokens: MakeTokens, residual: str, pooling: str
) -> None:
    model = make_model(exchange={"residual": residual}, head={"pooling": pooling, "temporal": "pool"}).eval()
    linear = make_model("linear", head={"temporal": "pool"}).eval()
    assert isinstance(model, GasmCast)
    assert isinstance(linear, Linear)
    classifier = model.ends.classifier if model.ends is not None else model.head
    assert classifier is not None
    linear.head.load_state_dict(
        {
            f"classifier.{name.removeprefix('classifier.')}": value
            for name, value in classifier.state_dict().items()
            if "weights" not in name
        }
    )
    torch.testing.assert_close(model(*make_tokens()).logits, linear(*make_tokens()).logits)


@FORMS
@pytest.mark.parametrize("edges", ["adjacent+similar", "adjacent", "similar", "dense"])
def test_attend_gives_the_same_scores_and_what_led_to_them(
    make_model: Maker, make_tokens: MakeTokens, shake: Shake, residual: str, edges: str
) -> None:
    model = make_model(graph={"edges": edges, "num_layers": 2}, exchange={"residual": residual}).eval()
    shake(model)
    prediction = model(*make_tokens())
    attention = model.attend(*make_tokens())
    torch.testing.assert_close(attention.prediction, prediction, rtol=0, atol=1e-5)
    assert len(attention.semantic_graphs) == len(attention.motion_graphs) == 2
    assert len(attention.exchanges) == 3
    for graph, num_nodes in ((attention.semantic_graphs[1], 32), (attention.motion_graphs[1], 4)):
        degree = graph.neighbours.shape[-1]
        assert (
            graph.neighbours.shape == graph.is_edge.shape == graph.is_adjacent.shape == (3, num_nodes, degree)
        )
        assert graph.weights.shape == (3, 2, num_nodes, degree)
        torch.testing.assert_close(graph.weights.sum(-1), torch.ones(3, 2, num_nodes))
        assert graph.weights.masked_select(~graph.is_edge[:, None].expand_as(graph.weights)).eq(0).all()
        norms = graph.similarity_embedding.norm(dim=-1)
        torch.testing.assert_close(norms, torch.ones_like(norms))
    for weights in attention.exchanges:
        assert weights.semantic_from_motion is not None
        torch.testing.assert_close(weights.semantic_from_motion.sum(-1), torch.ones(3, 2, 32))
        assert weights.motion_from_semantic is not None
        torch.testing.assert_close(weights.motion_from_semantic.sum(-1), torch.ones(3, 2, 4))


def test_pooling_before_expanding_is_expanding_before_pooling(
    make_model: Maker, make_tokens: MakeTokens, shake: Shake
) -> None:
    for pooling in ("mean", "attention"):
        model = make_model(head={"pooling": pooling, "temporal": "pool"}).double().eval()
        assert isinstance(model, GasmCast)
        assert model.ends is not None
        shake(model)
        semantic, motion = (tokens.double() for tokens in make_tokens())
        narrow = torch.randn(3, 32, 16).double(), torch.randn(3, 4, 16).double()
        expanded = (
            semantic + model.ends.semantic_expand(narrow[0]),
            motion + model.ends.motion_expand(narrow[1]),
        )
        pooled = []
        for tokens, small, weights in (
            (expanded[0], narrow[0], model.ends.semantic_weights),
            (expanded[1], narrow[1], model.ends.motion_weights),
        ):
            share = (
                torch.full_like(small[:, None, :, 0], 1 / small.shape[1])
                if weights is None
                else weights(small)
            )
            pooled.append((share @ tokens).squeeze(1))
        expected = model.ends.classifier(torch.cat(pooled, dim=-1))
        torch.testing.assert_close(
            model.ends.classify((semantic, motion), narrow), expected, rtol=0, atol=1e-12
        )


class TestEarlyExit:
    """Each clip leaves at the first sure layer, with that layer's scores."""

    @pytest.mark.parametrize("confidence", [0.0, 0.4, 0.6, 1.1])
    def test_scores_are_those_of_the_layer_that_was_sure(
        self, make_model: Maker, make_tokens: MakeTokens, shake: Shake, confidence: float
    ) -> None:
        model = make_model().eval()
        shake(model)
        tokens = make_tokens(batch=16)
        early = model.predict_early(*tokens, confidence=confidence)
        with torch.no_grad():
            full = model(*tokens)
        each = [*full.layer_logits, full.logits]
        used: list[int] = []
        for clip in range(16):
            sure = [float(logits[clip].softmax(-1).max()) >= confidence for logits in each[:-1]]
            used.append(sure.index(True) + 1 if True in sure else len(each))
            torch.testing.assert_close(early.logits[clip], each[used[-1] - 1][clip], rtol=0, atol=1e-5)
        assert early.layers_used.tolist() == used
        if confidence == 0.6:
            assert len(set(used)) > 1  # the case in which clips part

    def test_later_layers_compute_the_unsure_clips_only(
        self, make_model: Maker, make_tokens: MakeTokens, shake: Shake
    ) -> None:
        model = make_model().eval()
        assert isinstance(model, GasmCast)
        shake(model)
        seen: list[int] = []
        for layer in model.layers:
            layer.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
        used = model.predict_early(*make_tokens(batch=16), confidence=0.6).layers_used
        assert seen == [16, *(int((used > layer).sum()) for layer in (1, 2))]
        assert seen[0] > seen[-1] > 0
        seen.clear()
        model.predict_early(*make_tokens(batch=16), confidence=0.0)
        assert seen == [16]

    def test_coarse_layers_do_not_decide(self, make_model: Maker, make_tokens: MakeTokens) -> None:
        model = make_model(head={"coarse_layers": 1}, num_groups=2).eval()
        assert model.predict_early(*make_tokens(), confidence=0.0).layers_used.tolist() == [2, 2, 2]

    @pytest.mark.parametrize(
        "config",
        [
            {"head": {"deep_supervision": False}},
            {"exchange": {"num_layers": 1}},
            {"exchange": {"enabled": False}},
            {"head": {"coarse_layers": 2}, "num_groups": 2},
        ],
    )
    def test_a_model_without_class_heads_says_so(
        self, make_model: Maker, make_tokens: MakeTokens, config: dict[str, Any]
    ) -> None:
        with pytest.raises(InputError, match="early exit needs an earlier layer with a head"):
            make_model(**config).predict_early(*make_tokens(), confidence=0.5)


def test_coarse_layers_that_cannot_be_are_refused(make_model: Maker) -> None:
    with pytest.raises(InputError, match="coarse_layers = 3, but only 2 layers have a head"):
        make_model(head={"coarse_layers": 3}, num_groups=2)
    with pytest.raises(InputError, match="coarse_layers = 1 needs classes that fall into groups"):
        make_model(head={"coarse_layers": 1})


def test_layer_weights_extend_to_all_heads(make_model: Maker) -> None:
    model = make_model(exchange={"num_layers": 5}, head={"layer_weights": (0.1, 0.4)})
    assert model.layer_weights == (0.1, 0.4, 0.4, 0.4)


def test_statistics_make_it_blind_to_the_scale_of_channels(
    make_model: Maker, make_tokens: MakeTokens
) -> None:
    semantic, motion = make_tokens()
    plain, fitted = make_model().eval(), make_model().eval()
    stretch, shift = torch.rand(24) * 9 + 1, torch.randn(24) * 5
    fitted.fit_normalization(
        semantic_mean=shift, semantic_std=stretch, motion_mean=torch.zeros(16), motion_std=torch.ones(16)
    )
    torch.testing.assert_close(
        fitted(semantic * stretch + shift, motion).logits, plain(semantic, motion).logits, rtol=0, atol=1e-4
    )


class TestOrderInTime:
    """A task that only order solves: the same segments, forwards or backwards."""

    semantic = StreamSpec(Grid(1, 2, 2), 6)
    motion = StreamSpec(Grid(6, 1, 1), 8)

    def clips(self, num_clips: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        direction = torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1])  # sums to zero: LayerNorm would drop a sum
        ramp = torch.linspace(-1, 1, 6)[None, :, None] * direction
        labels = torch.randint(0, 2, (num_clips,), generator=generator)
        motion = ramp * (2.0 * labels - 1)[:, None, None]
        motion = motion + 0.5 * torch.randn(num_clips, 6, 8, generator=generator)
        return torch.randn(num_clips, 4, 6, generator=generator), motion, labels

    def trained(self, model: FusionModel) -> FusionModel:
        optimizer = torch.optim.AdamW(model.parameter_groups(0.01), lr=3e-3)
        for step in range(50):
            semantic, motion, labels = self.clips(64, seed=step)
            optimizer.zero_grad()
            prediction = model(semantic, motion)
            each = [prediction.logits, *prediction.layer_logits]
            torch.autograd.backward(torch.stack([F.cross_entropy(logits, labels) for logits in each]).sum())
            optimizer.step()
        return model.eval()

    def trained_of(self, make_model: Maker, residual: str, **positions: str) -> FusionModel:
        """A head that pools over time sees no order: whether the model does is up to its positions."""
        return self.trained(
            make_model(
                semantic=self.semantic,
                motion=self.motion,
                graph=positions,
                exchange={"residual": residual, "dropout": 0.0, **positions},
                head={"temporal": "pool"},
            )
        )

    @FORMS
    def test_a_clip_played_backwards_flips_the_prediction(self, make_model: Maker, residual: str) -> None:
        model = self.trained_of(make_model, residual)
        semantic, motion, labels = self.clips(200, seed=1000)
        forwards = model(semantic, motion).logits.argmax(-1)
        backwards = model(semantic, motion.flip(1)).logits.argmax(-1)
        assert (forwards == labels).float().mean() > 0.95
        assert (forwards != backwards).float().mean() > 0.9

    @FORMS
    def test_without_positions_it_does_not(self, make_model: Maker, residual: str) -> None:
        model = self.trained_of(make_model, residual, positions="none")
        semantic, motion, labels = self.clips(200, seed=1000)
        forwards = model(semantic, motion).logits.argmax(-1)
        backwards = model(semantic, motion.flip(1)).logits.argmax(-1)
        assert abs((forwards == labels).float().mean() - 0.5) < 0.15
        assert (forwards != backwards).float().mean() < 0.05


@FORMS
@pytest.mark.parametrize(
    ("told_by", "sees_order"),
    [
        (("none", "none", "pool"), False),
        (("relative-bias", "none", "pool"), True),
        (("rotary", "none", "pool"), True),
        (("none", "learned", "pool"), True),
        (("none", "none", "concat"), True),
    ],
)
def test_positions_or_the_head_tell_a_clip_from_the_same_tokens_backwards(
    make_model: Maker, shake: Shake, residual: str, told_by: tuple[str, str, str], sees_order: bool
) -> None:
    graph_positions, exchange_positions, temporal = told_by
    model = make_model(
        graph={"positions": graph_positions},
        exchange={"residual": residual, "positions": exchange_positions},
        head={"temporal": temporal},
    ).eval()
    shake(model)
    frames, motion = torch.randn(3, 2, 16, 24), torch.randn(3, 4, 16)
    forwards = model(frames.flatten(1, 2), motion)
    backwards = model(frames.flip(1).flatten(1, 2), motion.flip(1))
    same = torch.allclose(forwards.logits, backwards.logits, rtol=0, atol=1e-5)
    assert same is not sees_order
