"""A run whose store has clips with one hot patch each, and a model that reads hot patches."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from einops import rearrange

from gasm_cast.config import DataConfig, ExchangeConfig, GraphConfig, ModelConfig, Recipe
from gasm_cast.exchange import ExchangeLayer
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import FusionModel
from gasm_cast.models.checkpoints import ModelCard, save_checkpoint
from gasm_cast.models.gasm_cast import GasmCast
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore, StoreDescription, StoreWriter, StreamDescription
from gasm_cast.visualization.faithfulness import blank_token

SEMANTIC = StreamSpec(Grid(8, 6, 12), 12)
MOTION = StreamSpec(Grid(8, 1, 1), 6)
HOT = (5, 3, 10)
"""Frame, row and column of the hot patch."""
CLASSES = ("Lifting something up", "Pushing something", "Holding something")


@dataclass(frozen=True)
class Hot:
    """The run, its model, and the features of its one clip."""

    run: Run
    model: FusionModel
    semantic: torch.Tensor
    motion: torch.Tensor


def make_model_read(model: FusionModel, semantic: torch.Tensor, motion: torch.Tensor, token: int) -> None:
    """Turn and sharpen the queries of each layer such that motion reads the given patch."""
    with torch.no_grad():
        assert isinstance(model, GasmCast)
        assert model.semantic_positions is not None
        for table in model.semantic_positions.tables.values():
            table.zero_()  # only the patch itself is to tell it from the others
        for index, layer in enumerate(model.layers):
            assert isinstance(layer, ExchangeLayer)
            attention = layer.motion_from_semantic
            assert attention is not None
            weights = model.attend(semantic, motion).exchanges[index].motion_from_semantic
            assert weights is not None
            liked = weights[0, :, :, token].mean(dim=1) > 1 / weights.shape[-1]
            heads = rearrange(attention.query.weight, "(h d) w -> h d w", h=attention.num_heads)
            heads.mul_(torch.where(liked, 40.0, -40.0)[:, None, None])


def make_answer_hang_on(model: FusionModel, semantic: torch.Tensor, motion: torch.Tensor, token: int) -> None:
    """Set the classifier such that the first class is likely with the patch, whatever the others are."""
    assert isinstance(model, GasmCast)
    assert model.ends is not None
    blank, everything = blank_token(model, semantic), torch.arange(semantic.shape[1])
    clips = [
        torch.where(gone[:, None], blank, semantic)
        for gone in (everything < 0, everything != token, everything == token, everything >= 0)
    ]
    linear = model.ends.classifier.project
    read: list[torch.Tensor] = []
    handle = linear.register_forward_hook(lambda module, inputs, output: read.append(inputs[0][0]))
    with torch.no_grad():
        for clip in clips:
            model(clip, motion)
        handle.remove()
        linear.weight.zero_()
        linear.bias.zero_()
        linear.weight[0] = torch.linalg.pinv(torch.stack(read)) @ torch.tensor([3.0, 3.0, -3.0, -3.0])


@pytest.fixture(scope="session")
def hot(tmp_path_factory: pytest.TempPathFactory) -> Hot:
    root = tmp_path_factory.mktemp("hot")
    random = np.random.default_rng(0)
    ground, flame = random.normal(size=(2, SEMANTIC.width))
    semantic = np.tile(ground, (SEMANTIC.grid.num_tokens, 1))
    token = int(np.ravel_multi_index(HOT, SEMANTIC.grid.shape))
    semantic[token] = 3 * flame
    motion = np.tile(random.normal(size=MOTION.width), (MOTION.grid.num_tokens, 1))
    description = StoreDescription(
        semantic=StreamDescription(SEMANTIC, {"name": "synthetic"}),
        motion=StreamDescription(MOTION, {"name": "synthetic"}),
        dtype="float32",
    )
    with StoreWriter(root / "store", description, asked=["hot/clip"]) as writer:
        writer.add("hot/clip", semantic.astype(np.float32), motion.astype(np.float32))
    store = FeatureStore.open(root / "store")
    recipe = Recipe(
        data=DataConfig(store=root / "store", annotations=root / "annotations"),
        model=ModelConfig(
            graph=GraphConfig(width=16, num_heads=2, similarity_width=4),
            exchange=ExchangeConfig(width=32, num_heads=4),
        ),
    )
    run = Run.create(root / "run", recipe)
    card = ModelCard(
        recipe=recipe,
        class_names=CLASSES,
        num_groups=3,
        semantic=SEMANTIC,
        motion=MOTION,
        provenance=store.provenance,
    )
    torch.manual_seed(0)
    model = card.build().eval()
    features = store.read(["hot/clip"])
    make_model_read(model, features.semantic, features.motion, token)
    save_checkpoint(run.best_checkpoint, model.state_dict(), card, epoch=1, step=1)
    return Hot(run, model, features.semantic, features.motion)
