"""From a configuration to a model."""

from __future__ import annotations

from gasm_cast.config import ModelConfig
from gasm_cast.errors import InputError
from gasm_cast.geometry import StreamSpec
from gasm_cast.models.attentive_probe import AttentiveProbe
from gasm_cast.models.bottleneck_tokens import BottleneckTokens
from gasm_cast.models.cast import Cast
from gasm_cast.models.concat_mlp import ConcatMLP
from gasm_cast.models.contract import FusionModel, Task
from gasm_cast.models.cross_attention import CrossAttentionModel
from gasm_cast.models.ensemble import Ensemble
from gasm_cast.models.gasm_cast import GasmCast
from gasm_cast.models.linear import Linear
from gasm_cast.models.single_stream import MotionOnly, SemanticOnly


def build_model(
    config: ModelConfig,
    *,
    semantic: StreamSpec,
    motion: StreamSpec,
    num_classes: int,
    num_groups: int = 0,
) -> FusionModel:
    """Build a model for features of these shapes.

    Args:
        config: Which model, and its sizes.
        semantic: Grid and width of the stored semantic tokens, before `semantic_pool`.
        motion: Grid and width of the stored motion tokens.
        num_classes: Classes to tell apart.
        num_groups: Coarse groups of the classes, for `head.coarse_layers`; 0 without.

    Raises:
        ValueError: if the configuration does not fit the features, or there are no classes.
    """
    if num_classes < 1:
        raise InputError(f"a model needs at least one class to tell, got {num_classes=}")
    task = Task(semantic, motion, num_classes, num_groups)
    match config.kind:
        case "gasm-cast":
            return GasmCast(config, task)
        case "linear":
            return Linear(config, task)
        case "semantic-only":
            return SemanticOnly(config, task)
        case "motion-only":
            return MotionOnly(config, task)
        case "ensemble":
            return Ensemble(config, task)
        case "concat-mlp":
            return ConcatMLP(config, task)
        case "cross-attention":
            return CrossAttentionModel(config, task)
        case "attentive-probe":
            return AttentiveProbe(config, task)
        case "bottleneck-tokens":
            return BottleneckTokens(config, task)
        case "cast":
            return Cast(config, task)
