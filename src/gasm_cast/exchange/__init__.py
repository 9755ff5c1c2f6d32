"""Phase 4: the streams read from each other, in a narrow bottleneck (B-CAST)."""

from gasm_cast.exchange.cross_attention import CrossAttention
from gasm_cast.exchange.layer import ExchangeLayer, ExchangeWeights, FeedForward
from gasm_cast.exchange.positions import GridPositions

__all__ = ["CrossAttention", "ExchangeLayer", "ExchangeWeights", "FeedForward", "GridPositions"]
