"""Do the patches that a trained model attends to matter to its answers? Over clips, not one.

    python -m benchmarks.faithfulness RUN [--clips 200] --json faithfulness.json

For every clip the areas of `gasm_cast.visualization.faithfulness`, and their means with 95%
bootstrap intervals over the clips:

    insertion - deletion   the faithfulness that `gasm-cast explain` states of one clip
    random - deletion      how much sooner the answer is lost than by deleting at random
    insertion - random     how much longer it is kept

All are 0 for attention that says nothing about the answer. They speak of one trained model; that
another seed attends alike is not said. Four clips a second on one core.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gasm_cast.annotations import coarse_groups, read_annotations
from gasm_cast.errors import InputError
from gasm_cast.evaluation.intervals import bootstrap, proportion
from gasm_cast.models.checkpoints import load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore
from gasm_cast.visualization.explaining import explain
from gasm_cast.visualization.faithfulness import Faithfulness, measure


def measure_run(path: Path, num_clips: int | None) -> list[Faithfulness]:
    """Every clip of the validation split, or so many at even distances.

    Raises:
        InputError: if the model has no attention to patches.
    """
    run = Run.open(path)
    data = run.recipe.data
    store = FeatureStore.open(data.store)
    ids = [
        clip for clip in read_annotations(data.annotations, data.validation_split).ids if clip in store.ids
    ]
    if num_clips is not None and num_clips < len(ids):
        ids = [ids[place * len(ids) // num_clips] for place in range(num_clips)]
    loaded = load_checkpoint(run.best_checkpoint)
    model, group_names = loaded.model.eval(), coarse_groups(loaded.class_names)[1]
    found = []
    for number, clip in enumerate(ids):
        features = store.read([clip])
        tokens = features.semantic.float(), features.motion.float()
        explanation = explain(model, *tokens, class_names=loaded.class_names, group_names=group_names)
        faithfulness = measure(model, *tokens, explanation, seed=number)
        if faithfulness is None:
            raise InputError(f"{path}: no layer of the model lets motion read from the patches")
        found.append(faithfulness)
    return found


def rows_of(name: str, found: Sequence[Faithfulness]) -> list[dict[str, Any]]:
    """Means over the clips with their intervals, and the share of clips above 0."""
    insertion, deletion, random = (
        np.array([getattr(one, area) for one in found]) for area in ("insertion", "deletion", "random_area")
    )
    rows: list[tuple[str, str, dict[str, Any]]] = []
    for what, values in (
        ("insertion - deletion", insertion - deletion),
        ("random - deletion", random - deletion),
        ("insertion - random", insertion - random),
    ):

        def resample(generator: np.random.Generator, values: np.ndarray = values) -> float:
            return float(generator.choice(values, len(values)).mean())

        rows.append((what, "area", {"value": float(values.mean()), "interval": bootstrap(resample)}))
    rows.append(("clips with insertion > deletion", "share", proportion(insertion > deletion)))
    return [
        {
            "name": f"{name}: {what}, {len(found)} clips",
            **score,
            "unit": unit,
            "target": None,
            "met": None,
            "peer": None,
        }
        for what, unit, score in rows
    ]


def main(path: Path, num_clips: int | None, json_path: Path | None) -> None:
    """Measure, print, and write the rows as JSON."""
    torch.set_num_threads(1)
    rows = rows_of(path.name, measure_run(path, num_clips))
    for row in rows:
        low, high = row["interval"]
        print(f"{row['name']:<64} {row['value']:+.3f} [{low:+.3f}, {high:+.3f}]")
    if json_path is not None:
        json_path.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="trained run")
    parser.add_argument("--clips", type=int, help="so many clips at even distances; all by default")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    main(options.run, options.clips, options.json)
