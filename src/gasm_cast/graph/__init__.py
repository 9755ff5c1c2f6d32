"""The graph inside a stream, and attention over its edges (docs/method.md, phase 3)."""

from gasm_cast.graph.attention import GraphAttention, StreamGraph
from gasm_cast.graph.edges import Edges
from gasm_cast.graph.positions import RelativeBias, Rotary

__all__ = ["Edges", "GraphAttention", "RelativeBias", "Rotary", "StreamGraph"]
