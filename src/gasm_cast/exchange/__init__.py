"""The streams read from each other, in a narrow bottleneck: B-CAST (docs/method.md, phase 4)."""

from gasm_cast.exchange.cross_attention import CrossAttention
from gasm_cast.exchange.layer import ChannelDropout, ExchangeLayer, ExchangeWeights, FeedForward
from gasm_cast.exchange.positions import GridPositions

__all__ = [
    "ChannelDropout",
    "CrossAttention",
    "ExchangeLayer",
    "ExchangeWeights",
    "FeedForward",
    "GridPositions",
]
