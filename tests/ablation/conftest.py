"""A small data set on disk, and a study of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.store import StoreDescription, StoreWriter, StreamDescription

CLASSES = ("Pushing something left", "Pushing something right", "Lifting something")
SEMANTIC = StreamSpec(Grid(1, 2, 2), 8)
MOTION = StreamSpec(Grid(4, 1, 1), 6)

STUDY = """
[study]
seeds = [0, 1]

[base.data]
store = "{root}/store"
annotations = "{root}/annotations"

[base.model.graph]
width = 8
num_heads = 2
similarity_width = 4
semantic_num_similar = 2
motion_num_similar = 1

[base.model.exchange]
width = 8
num_heads = 2

[base.training]
num_epochs = 2
batch_size = 8
tracker = "none"
validate_every = 0

[[variants]]
name = "no graph"
group = "graph"
set = {{ "model.graph.enabled" = false }}

[[variants]]
name = "linear"
group = "models"
set = {{ "model.kind" = "linear" }}
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """Features that carry their label, in both splits, and a study of two variants."""
    ids = {"train": [f"t{i:02d}" for i in range(24)], "validation": [f"v{i:02d}" for i in range(12)]}
    (tmp_path / "annotations").mkdir()
    labels = {name: str(index) for index, name in enumerate(CLASSES)}
    (tmp_path / "annotations" / "labels.json").write_text(json.dumps(labels))
    for split, clips in ids.items():
        rows = [{"id": clip, "template": CLASSES[int(clip[1:]) % 3]} for clip in clips]
        (tmp_path / "annotations" / f"{split}.json").write_text(json.dumps(rows))
    description = StoreDescription(
        semantic=StreamDescription(SEMANTIC, {"name": "seer"}),
        motion=StreamDescription(MOTION, {"name": "mover"}),
    )
    clips = [*ids["train"], *ids["validation"]]
    generator = np.random.default_rng(0)
    with StoreWriter(tmp_path / "store", description, asked=clips) as writer:
        for clip in clips:
            tokens = []
            for spec in (SEMANTIC, MOTION):
                values = generator.normal(size=(1, spec.grid.num_tokens, spec.width))
                values[..., int(clip[1:]) % 3] += 2
                tokens.append(values.astype(np.float32))
            writer.add(clip, *tokens)
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(root=tmp_path.as_posix()))
    return path
