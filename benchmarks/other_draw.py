"""The runs of a study on clips of another draw, where nothing was chosen.

    gasm-cast mini --out runs/draw --seed 2 --num-classes 24 --validation-per-class 25 --train-per-class 1
    gasm-cast extract runs/draw --out runs/draw-store
    python -m benchmarks.other_draw runs/baselines --annotations runs/draw --store runs/draw-store

Every variant of the study folder that learnt features of this kind is scored with the checkpoints of
all its seeds; differences are paired over clips, to the study's base.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from benchmarks.paired import show

from gasm_cast.ablation.study import BASE
from gasm_cast.annotations import ClipTable, read_annotations
from gasm_cast.evaluation.comparison import Side
from gasm_cast.evaluation.scoring import score
from gasm_cast.models import LoadedModel, load_checkpoint
from gasm_cast.predictions import Predictions
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore


def main(arguments: argparse.Namespace) -> None:
    table = read_annotations(arguments.annotations, "validation")
    store = FeatureStore.open(arguments.store)
    sides = []
    for folder in sorted(arguments.study.iterdir()):
        models = [load_checkpoint(Run.open(run).best_checkpoint) for run in sorted(folder.glob("seed-*"))]
        if any(model.fingerprint != store.fingerprint for model in models):
            print(f"{folder.name}: learnt other features, left out")
        elif models:
            sides.append(Side(folder.name, tuple(predict(model, table, store) for model in models)))
    show(sides, next(side for side in sides if side.name == BASE), arguments.json)


def predict(loaded: LoadedModel, table: ClipTable, store: FeatureStore) -> Predictions:
    """What a checkpoint says of every clip of the table; earlier layers are left out."""
    found = score(loaded.model, store, table.ids)
    return Predictions(
        ids=found.ids,
        labels=np.asarray(table.labels),
        probabilities=found.probabilities,
        layer_predictions=np.zeros((len(found.ids), 0), dtype=np.int64),
        class_names=tuple(table.class_names),
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a study, by `gasm-cast ablate`")
    parser.add_argument("--annotations", type=Path, required=True, help="the other draw")
    parser.add_argument("--store", type=Path, required=True, help="its features")
    parser.add_argument("--json", type=Path, help="write the rows there")
    main(parser.parse_args())
