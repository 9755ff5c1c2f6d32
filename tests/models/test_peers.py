"""What makes the peers fair and true to their sources: one way to regularise, and where CAST may look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.models.conftest import MOTION, SEMANTIC, Maker
from torch import Tensor, nn

from gasm_cast.config import ExchangeConfig, ModelConfig, ModelKind, PeerConfig
from gasm_cast.exchange import ChannelDropout
from gasm_cast.geometry import Grid, StreamSpec, cells
from gasm_cast.models import Task
from gasm_cast.models.cast import CastLayer

MakeTokens = Callable[..., tuple[Tensor, Tensor]]
Shake = Callable[[nn.Module], None]

# Sublayers of three layers: attention, and feed-forward where there is one, of both streams.
SUBLAYERS: dict[ModelKind, int] = {
    "gasm-cast": 3 * (2 + 1),
    "cross-attention": 3 * (2 + 2),
    "attentive-probe": 3 * 2,
    "bottleneck-tokens": 3 * (2 + 2),
    "cast": 3 * 2,
}


@pytest.mark.parametrize("kind", SUBLAYERS)
def test_every_sublayer_drops_whole_channels_at_the_common_rate(
    make_model: Maker, make_tokens: MakeTokens, shake: Shake, kind: ModelKind
) -> None:
    model = make_model(kind, exchange={"dropout": 0.5}, head={"dropout": 0.0})
    shake(model)
    outputs: list[Tensor] = []
    for module in model.modules():
        assert not (isinstance(module, nn.Dropout) and module.p)
        if isinstance(module, ChannelDropout):
            module.register_forward_hook(lambda _, __, output: outputs.append(output))
    model(*make_tokens())
    assert len(outputs) == SUBLAYERS[kind]
    for output in outputs:
        dropped = output == 0
        assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
        assert 0.2 < dropped.float().mean() < 0.8


@pytest.mark.parametrize("kind", SUBLAYERS)
@pytest.mark.parametrize("rate", ["dropout", "attention_dropout"])
def test_the_rates_of_the_exchange_are_those_of_the_peers(
    make_model: Maker, make_tokens: MakeTokens, shake: Shake, kind: ModelKind, rate: str
) -> None:
    for value in (0.0, 0.5):
        off = {"dropout": 0.0, "attention_dropout": 0.0}
        model = make_model(kind, exchange=off | {rate: value}, head={"dropout": 0.0})
        shake(model)
        training, evaluation = model.train()(*make_tokens()), model.eval()(*make_tokens())
        same = torch.allclose(training.logits, evaluation.logits, rtol=0, atol=1e-4)
        assert same is (value == 0.0)


@pytest.mark.parametrize(
    ("semantic_grid", "motion_grid"),
    [(SEMANTIC.grid, MOTION.grid), (Grid(2, 3, 3), Grid(2, 3, 3)), (Grid(3, 2, 2), Grid(3, 4, 4))],
)
def test_cast_reads_motion_over_time_only_and_semantics_over_space_only(
    shake: Shake, semantic_grid: Grid, motion_grid: Grid
) -> None:
    config = ModelConfig(kind="cast", peer=PeerConfig(num_heads=2), exchange=ExchangeConfig(dropout=0.0))
    task = Task(StreamSpec(semantic_grid, 24), StreamSpec(motion_grid, 16), num_classes=5)
    layer = CastLayer(config, task, semantic_grid).double()
    shake(layer)
    semantic = torch.randn(1, semantic_grid.num_tokens, 24).double()
    motion = torch.randn(1, motion_grid.num_tokens, 16).double()
    before = layer(semantic, motion)
    for token in range(motion_grid.num_tokens):
        changed = motion.clone()
        changed[:, token] += torch.randn(16)
        reached = (layer(semantic, changed)[0] != before[0]).any(-1)[0]
        assert reached.tolist() == meet(semantic_grid, motion_grid, axes=(1, 2))[:, token].tolist()
    for token in range(semantic_grid.num_tokens):
        changed = semantic.clone()
        changed[:, token] += torch.randn(24)
        reached = (layer(changed, motion)[1] != before[1]).any(-1)[0]
        assert reached.tolist() == meet(motion_grid, semantic_grid, axes=(0,))[:, token].tolist()


def meet(query: Grid, context: Grid, axes: tuple[int, ...]) -> Tensor:
    """Pairs of cells that overlap along these axes, in whole numbers; one grid divides the other."""
    met = torch.ones(query.num_tokens, context.num_tokens, dtype=torch.bool)
    for axis in axes:
        q, c = (torch.from_numpy(cells(grid))[:, axis] for grid in (query, context))
        sides = query.shape[axis], context.shape[axis]
        coarse = min(sides)
        met &= (q * coarse // sides[0])[:, None] == (c * coarse // sides[1])[None]
    return met
