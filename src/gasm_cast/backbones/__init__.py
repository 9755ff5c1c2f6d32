"""Frozen backbones that turn clips into the tokens of a stream (docs/method.md, phase 1).

Importing this package is cheap: neither torch nor transformers, so that decoding
processes start fast. :func:`load_backbone` imports what the chosen name needs.
"""

from gasm_cast.backbones.contract import CLIP_FRAMES, Backbone, SemanticFrames, Stream
from gasm_cast.backbones.loading import load_backbone

__all__ = ["CLIP_FRAMES", "Backbone", "SemanticFrames", "Stream", "load_backbone"]
