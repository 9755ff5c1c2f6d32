"""Phase 3: the graph inside a stream, and attention over its edges."""

from gasm_cast.graph.attention import GraphAttention, StreamGraph
from gasm_cast.graph.edges import Edges
from gasm_cast.graph.positions import RelativeBias, Rotary

__all__ = ["Edges", "GraphAttention", "RelativeBias", "Rotary", "StreamGraph"]
