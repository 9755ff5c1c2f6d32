"""A small data set with something to learn: its class moves the features of both streams."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gasm_cast.config import (
    DataConfig,
    ExchangeConfig,
    GraphConfig,
    HeadConfig,
    ModelConfig,
    PeerConfig,
    Recipe,
    TrainingConfig,
)
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.store import StoreDescription, StoreWriter, StreamDescription

CLASS_NAMES = (
    "Pushing something from left to right",
    "Pushing something from right to left",
    "Lifting something up",
    "Pretending to lift something up",
)
SEMANTIC = StreamSpec(Grid(1, 4, 4), 12)
MOTION = StreamSpec(Grid(4, 1, 1), 8)


def write_store(
    path: Path, ids: list[str], labels: list[int], *, num_views: int = 1, seed: int = 0, **backbone: str
) -> None:
    """Write features in which the class shows in both streams, under noise."""
    rng = np.random.default_rng(seed)
    shown = np.random.default_rng(99)  # the same for every store
    semantic_sign = shown.standard_normal((len(CLASS_NAMES), SEMANTIC.grid.num_tokens, SEMANTIC.width))
    motion_sign = shown.standard_normal((len(CLASS_NAMES), MOTION.grid.num_tokens, MOTION.width))
    description = StoreDescription(
        semantic=StreamDescription(SEMANTIC, {"name": "made-up semantic", **backbone}),
        motion=StreamDescription(MOTION, {"name": "made-up motion", **backbone}),
        num_views=num_views,
        dtype="float32",
    )

    def features(sign: np.ndarray) -> np.ndarray:
        return (5 + 2 * (0.5 * sign + rng.standard_normal((num_views, *sign.shape)))).astype(np.float32)

    with StoreWriter(path, description, asked=ids) as writer:
        for name, label in zip(ids, labels, strict=True):
            if name.startswith("broken"):
                writer.fail(name, "cannot be decoded")
            else:
                writer.add(name, features(semantic_sign[label]), features(motion_sign[label]))


def write_annotations(path: Path, splits: dict[str, tuple[list[str], list[int]]]) -> None:
    """Write splits as Something-Something V2 does."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "labels.json").write_text(json.dumps({name: str(i) for i, name in enumerate(CLASS_NAMES)}))
    for split, (ids, labels) in splits.items():
        entries = [
            {"id": name, "template": CLASS_NAMES[label]} for name, label in zip(ids, labels, strict=True)
        ]
        (path / f"{split}.json").write_text(json.dumps(entries))


def draw(split: str, num: int) -> tuple[list[str], list[int]]:
    """Ids and labels of a split, the classes in turn."""
    return [f"{split}{i}" for i in range(num)], [i % len(CLASS_NAMES) for i in range(num)]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """42 training clips in two views, 14 for validation."""
    folder = tmp_path_factory.mktemp("data")
    train, validation = draw("train", 42), draw("validation", 14)
    write_annotations(folder / "annotations", {"train": train, "validation": validation})
    write_store(folder / "store", train[0] + validation[0], train[1] + validation[1], num_views=2)
    return DataConfig(store=folder / "store", annotations=folder / "annotations")


@pytest.fixture(scope="session")
def recipe(data: DataConfig) -> Recipe:
    """A narrow model of our kind, three epochs of six steps."""
    return Recipe(
        data=data,
        model=ModelConfig(
            graph=GraphConfig(width=8, num_heads=2, similarity_width=4, semantic_num_similar=2),
            exchange=ExchangeConfig(width=8, num_heads=2),
            head=HeadConfig(coarse_layers=1),
            peer=PeerConfig(width=8, num_heads=2, num_layers=1),
        ),
        training=TrainingConfig(
            num_epochs=3,
            batch_size=8,
            base_batch_size=8,
            learning_rate=1e-2,
            warmup_epochs=1.0,
            tracker="none",
        ),
    )
