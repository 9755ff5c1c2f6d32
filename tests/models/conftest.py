"""Small streams, and a way to make every parameter count."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gasm_cast.config import ExchangeConfig, GraphConfig, HeadConfig, ModelConfig, ModelKind, PeerConfig
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import FusionModel, build_model

SEMANTIC = StreamSpec(Grid(2, 4, 4), 24)
MOTION = StreamSpec(Grid(4, 1, 1), 16)
KINDS: tuple[ModelKind, ...] = typing.get_args(ModelKind)


class Maker(typing.Protocol):
    """Signature of the fixture `make_model`."""

    def __call__(
        self,
        kind: ModelKind = ...,
        *,
        semantic: StreamSpec = ...,
        motion: StreamSpec = ...,
        num_groups: int = ...,
        graph: dict[str, Any] = ...,
        exchange: dict[str, Any] = ...,
        head: dict[str, Any] = ...,
        peer: dict[str, Any] = ...,
        **config: Any,
    ) -> FusionModel: ...


@pytest.fixture
def make_model() -> Maker:
    def make(
        kind: ModelKind = "gasm-cast",
        *,
        semantic: StreamSpec = SEMANTIC,
        motion: StreamSpec = MOTION,
        num_groups: int = 0,
        graph: dict[str, Any] | None = None,
        exchange: dict[str, Any] | None = None,
        head: dict[str, Any] | None = None,
        peer: dict[str, Any] | None = None,
        **config: Any,
    ) -> FusionModel:
        torch.manual_seed(0)
        narrow = {"width": 16, "num_heads": 2}
        return build_model(
            ModelConfig(
                kind=kind,
                graph=GraphConfig(**narrow | {"similarity_width": 4} | (graph or {})),
                exchange=ExchangeConfig(**narrow | (exchange or {})),
                head=HeadConfig(**head or {}),
                peer=PeerConfig(**narrow | (peer or {})),
                **config,
            ),
            semantic=semantic,
            motion=motion,
            num_classes=5,
            num_groups=num_groups,
        )

    return make


@pytest.fixture
def make_tokens() -> Callable[..., tuple[Tensor, Tensor]]:
    def make(
        batch: int = 3, semantic: StreamSpec = SEMANTIC, motion: StreamSpec = MOTION
    ) -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        return (
            torch.randn(batch, semantic.grid.num_tokens, semantic.width),
            torch.randn(batch, motion.grid.num_tokens, motion.width),
        )

    return make


@pytest.fixture
def shake() -> Callable[[nn.Module], None]:
    """Move all parameters off their start values: zeros there would hide what they multiply."""

    def move(module: nn.Module) -> None:
        torch.manual_seed(2)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))

    return move
