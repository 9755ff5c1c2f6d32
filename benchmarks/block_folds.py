"""GASM-CAST, its peers and the choice of `fit` on a few clips of your own, over block folds.

    python -m benchmarks.block_folds VIDEOS --store STORE --json block_folds.json

VIDEOS is a folder with a folder per class, STORE its features. The clips of each class, in order
of name, are cut into blocks; each block in turn is reported on by models that learnt the others.
Every model has the same budget: two weight decays, told apart on the last block of its training
part, then each seed. Accuracies are pooled over the folds; differences are paired, to
--reference. Intervals count --alike neighbouring clips of a class as one unit, since clips of one
recording are right or wrong together. Cross-attention is measured without its feed-forward. With
--work the runs are kept, and the same call goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from benchmarks.paired import show

from gasm_cast.ablation.choosing import NUM_FOLDS, choose
from gasm_cast.ablation.running import train_and_evaluate
from gasm_cast.ablation.study import Variant
from gasm_cast.annotations import fold_table, read_annotations, write_annotations
from gasm_cast.cli.fit_command import Options, fit_recipes
from gasm_cast.config import ModelKind, PeerConfig, Recipe
from gasm_cast.evaluation.comparison import Side
from gasm_cast.predictions import Predictions, read_predictions
from gasm_cast.training import final_recipe

AUTO = "fit's choice"
DECAYS = (100.0, 0.05)
"""The first is the simpler, which a tie goes to."""
PROBES = ("linear", "semantic-only", "motion-only", "ensemble")
"""Kinds that are linear in the features; they have the head of fit's probes, the others that of its model."""


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        sides = measure(arguments, arguments.work or Path(temporary))
    show(list(sides.values()), sides[arguments.reference], arguments.json, alike=arguments.alike)


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Side]:
    """Each model with its predictions for all clips, one set a seed."""
    table = read_annotations(arguments.videos, "all", arguments.videos)
    parts: dict[tuple[str, int], list[Predictions]] = defaultdict(list)
    for fold in range(NUM_FOLDS):
        folder = work / f"fold-{fold}"
        learn, report = fold_table(table, NUM_FOLDS, fold, by="block")
        write_annotations(folder / "annotations", {"train": learn, "validation": report})
        options = Options(videos=arguments.videos, out=folder, epochs=arguments.epochs)
        recipes = {
            name: prepared(recipe, arguments.store, folder / "annotations")
            for name, recipe in fit_recipes(options, len(learn)).items()
        }
        for name, recipe in chosen(recipes, arguments.models, folder).items():
            for seed in range(arguments.seeds):
                path = folder / Variant(name, "", recipe).slug / f"seed-{seed}"
                train_and_evaluate(recipe, seed, path)
                parts[name, seed].append(
                    read_predictions(path / "evaluation" / "validation" / "predictions.parquet")
                )
        print(f"fold {fold + 1}/{NUM_FOLDS} done", flush=True)
    names = dict.fromkeys(name for name, _ in parts)
    return {
        name: Side(name, tuple(pooled(parts[name, seed]) for seed in range(arguments.seeds)))
        for name in names
    }


def prepared(recipe: Recipe, store: Path, annotations: Path) -> Recipe:
    """A recipe of fit on this store, without trackers; attention models as narrow as ours."""
    data = replace(recipe.data, store=store, annotations=annotations)
    model = replace(recipe.model, peer=PeerConfig(width=128, num_heads=4))
    return final_recipe(
        replace(recipe, data=data, model=model, training=replace(recipe.training, tracker="none"))
    )


def chosen(recipes: dict[str, Recipe], kinds: Sequence[ModelKind], folder: Path) -> dict[str, Recipe]:
    """The recipe of each kind by its own small search, and the one that fit would choose."""
    found: dict[str, Recipe] = {}
    for kind in kinds:
        like = recipes["linear" if kind in PROBES else "gasm-cast"]
        peer = like.model.peer
        if kind == "cross-attention":  # at full width, where its feed-forward would take hours
            peer = replace(peer, feed_forward=False, absorbed=True)
        recipe = replace(like, model=replace(like.model, kind=kind, peer=peer))
        variants = [
            Variant(
                f"decay {decay}", "", replace(recipe, training=replace(recipe.training, weight_decay=decay))
            )
            for decay in DECAYS
        ]
        search = folder / kind / "search"
        found[kind] = choose(variants, search, all_folds=False, say=lambda line: None).chosen.recipe
    variants = [Variant(name, "", recipe) for name, recipe in recipes.items()]
    choice = choose(variants, folder / "choice", all_folds=True, say=lambda line: None)
    print(f"fit chooses {choice.chosen.name}", flush=True)
    return {**found, AUTO: choice.chosen.recipe}


def pooled(folds: Sequence[Predictions]) -> Predictions:
    """The predictions of all folds as those of one model; answers of earlier layers are left out."""
    return Predictions(
        ids=tuple(clip for fold in folds for clip in fold.ids),
        labels=np.concatenate([fold.labels for fold in folds]),
        probabilities=np.concatenate([fold.probabilities for fold in folds]),
        layer_predictions=np.zeros((sum(len(fold.ids) for fold in folds), 0), dtype=np.int64),
        class_names=folds[0].class_names,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="folder of videos with a folder per class")
    parser.add_argument("--store", type=Path, required=True, help="their features, by `gasm-cast extract`")
    parser.add_argument("--models", nargs="+", default=get_args(ModelKind), choices=get_args(ModelKind))
    parser.add_argument("--reference", default="linear", choices=get_args(ModelKind))
    parser.add_argument("--alike", type=int, default=10, help="neighbouring clips that count as one")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--work", type=Path, help="folder of the runs; by default they are not kept")
    parser.add_argument("--json", type=Path, help="write the rows there")
    given = parser.parse_args()
    if given.reference not in given.models:
        parser.error(f"--models needs {given.reference}, with which the others are compared")
    main(given)
