"""The models of the efficiency table, and the claims that it decides.

Like is compared with like: with feed-forward against with, without against without. Every
claim against full-width cross-attention is judged twice, the second time against the same
model computed by the algebra that GASM-CAST uses (`absorbed`), with the same target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gasm_cast.config import ExchangeConfig, GraphConfig, ModelConfig, PeerConfig
from gasm_cast.evaluation.efficiency import Measurement
from gasm_cast.evaluation.growth import RATIO_AT, Growth

Quantity = Literal["flops", "train_step_sec", "saved_bytes", "peak_bytes", "parameters", "growth"]


@dataclass(frozen=True)
class Claim:
    """A figure, or a ratio between two models, that is to stay below a bound."""

    name: str
    quantity: Quantity
    ours: str
    peer: str | None
    """What it is divided by; None bounds the figure itself."""
    grid: str
    target: float
    document: str = "-"
    """What the method's description promises."""


@dataclass(frozen=True)
class Verdict:
    """A claim and what was measured."""

    claim: Claim
    value: float

    @property
    def met(self) -> bool:
        """Whether the figure stays within its target."""
        return self.value <= self.claim.target


def contenders(semantic_width: int) -> dict[str, ModelConfig]:
    """Every model of the table, by the name of its row.

    Args:
        semantic_width: Width of the semantic features: published attentive probes work at
            the width of their encoder.
    """

    def gasm_cast(*, graph: bool = True, **exchange: Any) -> ModelConfig:
        return ModelConfig(graph=GraphConfig(enabled=graph), exchange=replace(ExchangeConfig(), **exchange))

    def cross_attention(**peer: bool) -> ModelConfig:
        return ModelConfig(kind="cross-attention", peer=replace(PeerConfig(), **peer))

    # Feed-forward on both streams, as the peers have it; the default of GASM-CAST is the motion side alone.
    return {
        "gasm-cast": gasm_cast(feed_forward="both"),
        "gasm-cast, motion feed-forward": gasm_cast(feed_forward="motion"),
        "gasm-cast, no feed-forward": gasm_cast(feed_forward="none"),
        "gasm-cast, stream form": gasm_cast(feed_forward="both", residual="stream"),
        "gasm-cast, stream form, no feed-forward": gasm_cast(feed_forward="none", residual="stream"),
        "gasm-cast, no graph": gasm_cast(feed_forward="both", graph=False),
        "gasm-cast, no graph, no feed-forward": gasm_cast(feed_forward="none", graph=False),
        "cross-attention": cross_attention(),
        "cross-attention, no feed-forward": cross_attention(feed_forward=False),
        "cross-attention, absorbed": cross_attention(absorbed=True),
        "cross-attention, absorbed, no feed-forward": cross_attention(absorbed=True, feed_forward=False),
        "attentive-probe": ModelConfig(kind="attentive-probe", peer=PeerConfig(width=semantic_width)),
        "attentive-probe, narrow": ModelConfig(kind="attentive-probe"),
        "bottleneck-tokens": ModelConfig(kind="bottleneck-tokens"),
        "cast": ModelConfig(kind="cast"),
        "concat-mlp": ModelConfig(kind="concat-mlp"),
        "ensemble": ModelConfig(kind="ensemble"),
        "linear": ModelConfig(kind="linear"),
        "semantic-only": ModelConfig(kind="semantic-only"),
        "motion-only": ModelConfig(kind="motion-only"),
    }


_ONE, _SOME, _MANY = "1x14x14", "8x14x14", "16x14x14"
_CROSS, _CROSS_BARE = "cross-attention", "cross-attention, no feed-forward"
_BARE, _LEAN, _PROBE = "gasm-cast, no feed-forward", "gasm-cast, motion feed-forward", "attentive-probe"
_FUSION, _FUSION_BARE = "gasm-cast, no graph", "gasm-cast, no graph, no feed-forward"
_STREAM = "gasm-cast, stream form"

_AGAINST_CROSS_ATTENTION = (
    Claim("operations, fusion part", "flops", _FUSION, _CROSS, _ONE, 0.12, "0.5"),
    Claim("operations, fusion part", "flops", _FUSION_BARE, _CROSS_BARE, _ONE, 0.10, "0.5"),
    Claim("operations, whole model", "flops", "gasm-cast", _CROSS, _ONE, 0.14),
    Claim("operations, whole model", "flops", _BARE, _CROSS_BARE, _ONE, 0.14),
    Claim("training step", "train_step_sec", "gasm-cast", _CROSS, _ONE, 0.20, "0.7 to 0.9"),
    Claim("training step", "train_step_sec", _BARE, _CROSS_BARE, _ONE, 0.20, "0.7 to 0.9"),
    Claim("training step", "train_step_sec", _STREAM, _CROSS, _ONE, 0.45, "0.7 to 0.9"),
    Claim("training memory", "saved_bytes", "gasm-cast", _CROSS, _ONE, 0.40, "0.6 to 0.8"),
    Claim("training memory", "saved_bytes", _BARE, _CROSS_BARE, _ONE, 0.75, "0.6 to 0.8"),
    Claim("peak of a step", "peak_bytes", "gasm-cast", _CROSS, _ONE, 0.40, "0.6 to 0.8"),
    Claim("peak of a step", "peak_bytes", _BARE, _CROSS_BARE, _ONE, 0.75, "0.6 to 0.8"),
)
_ABSORBED = {
    _CROSS: "cross-attention, absorbed",
    _CROSS_BARE: "cross-attention, absorbed, no feed-forward",
}

CLAIMS = (
    *_AGAINST_CROSS_ATTENTION,
    *(replace(claim, peer=_ABSORBED[claim.peer]) for claim in _AGAINST_CROSS_ATTENTION if claim.peer),
    Claim("operations, 16 frames", "flops", "gasm-cast", _PROBE, _MANY, 0.03),
    Claim("training step, 16 frames", "train_step_sec", "gasm-cast", _PROBE, _MANY, 0.10),
    Claim("training memory, 16 frames", "saved_bytes", "gasm-cast", _PROBE, _MANY, 0.15),
    Claim("operations, 16 frames", "flops", _LEAN, _PROBE, _MANY, 0.03),
    Claim("training step, 16 frames", "train_step_sec", _LEAN, _PROBE, _MANY, 0.10),
    Claim("training memory, 16 frames", "saved_bytes", _LEAN, _PROBE, _MANY, 0.15),
    Claim("peak of a step, 16 frames", "peak_bytes", "gasm-cast", _PROBE, _MANY, 0.15),
    Claim("peak of a step, 16 frames", "peak_bytes", _LEAN, _PROBE, _MANY, 0.15),
    # The classifier reads the frames side by side, so that it grows with them.
    Claim("parameters", "parameters", "gasm-cast", None, _ONE, 8e6, "20 million"),
    Claim("parameters, 8 frames", "parameters", "gasm-cast", None, _SOME, 8e6, "20 million"),
    Claim("parameters, 16 frames", "parameters", "gasm-cast", None, _MANY, 8e6, "20 million"),
    Claim("parameters", "parameters", _LEAN, None, _ONE, 8e6, "20 million"),
    Claim("parameters, 8 frames", "parameters", _LEAN, None, _SOME, 8e6, "20 million"),
    Claim("parameters, 16 frames", "parameters", _LEAN, None, _MANY, 8e6, "20 million"),
)


def decide(measurements: Sequence[Measurement], claims: Sequence[Claim] = CLAIMS) -> list[Verdict]:
    """Verdicts on the claims whose models were measured on the grid they speak of."""
    rows = {(row.name, str(row.grid)): row for row in measurements}

    def figure(name: str, claim: Claim) -> float | None:
        row = rows.get((name, claim.grid))
        value = None if row is None else getattr(row, claim.quantity)
        return None if value is None else float(value)

    verdicts = []
    for claim in claims:
        ours = figure(claim.ours, claim)
        peer = 1.0 if claim.peer is None else figure(claim.peer, claim)
        if ours is not None and peer:  # a peak of zero is one that the machine did not show
            verdicts.append(Verdict(claim, ours / peer))
    return verdicts


def decide_growth(growth: Growth) -> list[Verdict]:
    """Verdicts on how graph attention grows with the nodes."""
    layer = "graph attention"
    slope = Claim(
        "slope of log time over log nodes", "growth", layer, None, "784 to 6272 nodes", 1.1, "linear"
    )
    verdicts = [Verdict(slope, growth.slope)]
    for peer, ratio in (
        ("fused attention of all pairs, without bias", growth.ratio_to_fused),
        ("attention of all pairs with a learned bias, not fused on a processor", growth.ratio_to_biased),
    ):
        if ratio is not None:
            claim = Claim(f"time at {RATIO_AT} nodes", "growth", layer, peer, f"{RATIO_AT} nodes", 0.25)
            verdicts.append(Verdict(claim, ratio))
    return verdicts
