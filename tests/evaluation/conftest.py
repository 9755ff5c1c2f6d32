"""A small store, its annotations, and models of it: features carry their label plus noise."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from gasm_cast.config import (
    DataConfig,
    ExchangeConfig,
    GraphConfig,
    HeadConfig,
    ModelConfig,
    ModelKind,
    Recipe,
)
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models.checkpoints import ModelCard, save_checkpoint
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore, StoreDescription, StoreWriter, StreamDescription

CLASSES = (
    "Pushing something from left to right",
    "Pushing something from right to left",
    "Lifting something up",
    "Covering something with something",
)
SEMANTIC = StreamSpec(Grid(2, 2, 3), 10)
MOTION = StreamSpec(Grid(4, 1, 1), 6)
FAILED, MISSING = "v007", "v011"


def validation_ids(num: int = 14) -> list[str]:
    return [f"v{i:03d}" for i in range(num)]


def label_of(clip: str) -> int:
    return int(clip[1:]) % len(CLASSES)


def write_store(path: Path, ids: Sequence[str], *, num_views: int = 2, revision: str = "v1") -> FeatureStore:
    """All ids but MISSING; FAILED is recorded as failed."""
    description = StoreDescription(
        semantic=StreamDescription(SEMANTIC, {"name": "seer", "revision": revision}),
        motion=StreamDescription(MOTION, {"name": "mover"}),
        num_views=num_views,
        dtype="float32",
    )
    asked = [clip for clip in ids if clip != MISSING]
    with StoreWriter(path, description, asked=asked, samples_per_shard=4) as writer:
        for clip in asked:
            if clip == FAILED:
                writer.fail(clip, "no video stream")
                continue
            generator = np.random.default_rng([*clip.encode()])
            tokens = {}
            for name, spec in (("semantic", SEMANTIC), ("motion", MOTION)):
                values = generator.normal(size=(num_views, spec.grid.num_tokens, spec.width))
                values[..., label_of(clip)] += 1.5
                tokens[name] = values.astype(np.float32)
            writer.add(clip, tokens["semantic"], tokens["motion"])
    return FeatureStore.open(path)


def write_annotations(path: Path, classes: Sequence[str] = CLASSES) -> Path:
    """SSv2's own layout: labels.json and one json a split."""
    path.mkdir()
    (path / "labels.json").write_text(json.dumps({name: str(i) for i, name in enumerate(classes)}))
    splits = {"validation": validation_ids(), "train": [f"t{i:03d}" for i in range(12)]}
    for split, ids in splits.items():
        rows = [{"id": clip, "template": CLASSES[label_of(clip)]} for clip in ids]
        (path / f"{split}.json").write_text(json.dumps(rows))
    (path / "test.json").write_text(json.dumps([{"id": clip} for clip in validation_ids(3)]))
    return path


def small_recipe(root: Path, kind: ModelKind = "gasm-cast", *, coarse_layers: int = 1) -> Recipe:
    return Recipe(
        data=DataConfig(store=root / "store", annotations=root / "annotations"),
        model=ModelConfig(
            kind=kind,
            graph=GraphConfig(
                width=8, num_heads=2, similarity_width=4, semantic_num_similar=2, motion_num_similar=1
            ),
            exchange=ExchangeConfig(width=8, num_heads=2),
            head=HeadConfig(coarse_layers=coarse_layers),
        ),
    )


def card_of(recipe: Recipe, store: FeatureStore) -> ModelCard:
    return ModelCard(
        recipe=recipe,
        class_names=CLASSES,
        num_groups=3,
        semantic=SEMANTIC,
        motion=MOTION,
        provenance=store.provenance,
    )


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return write_store(tmp_path / "store", validation_ids() + [f"t{i:03d}" for i in range(12)])


@pytest.fixture
def scored_ids() -> list[str]:
    return [clip for clip in validation_ids() if clip not in (FAILED, MISSING)]


MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(tmp_path: Path, store: FeatureStore) -> MakeRun:
    """A run folder with annotations and the checkpoint of an untrained model."""

    def make(name: str = "run", kind: ModelKind = "gasm-cast", **options: int) -> Run:
        if not (tmp_path / "annotations").exists():
            write_annotations(tmp_path / "annotations")
        run = Run.create(tmp_path / name, small_recipe(tmp_path, kind, **options))
        card = card_of(run.recipe, store)
        torch.manual_seed(0)
        model = card.build()
        with torch.no_grad():  # away from the zero start, so that every layer has a say
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        save_checkpoint(run.best_checkpoint, model.state_dict(), card, epoch=3, step=30)
        return run

    return make
