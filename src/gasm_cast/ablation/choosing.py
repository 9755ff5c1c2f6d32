"""Choosing between recipes by cross-validation inside the training split.

The training clips of each class, in natural order of their ids, are cut into blocks, since
clips cut from one recording follow each other and look alike. Every variant learns all
blocks but one and answers for that one, in turn. Chosen is the simplest variant that is not
behind the most accurate one by more than a standard error of their difference on the same
clips: a lead of two clips in a hundred is luck, and a simpler model has less to lose on
footage of another kind. The validation split is not opened. Each of these trainings is a run
folder like any other, so that an interrupted choice goes on where it stopped.

Source: Stone, Cross-validatory choice and assessment of statistical predictions, JRSS B 36,
1974; the rule of one standard error from Breiman et al., Classification and Regression
Trees, 1984, section 3.4.3, here with the error of the paired difference.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gasm_cast.ablation.running import train_and_evaluate
from gasm_cast.ablation.study import Variant
from gasm_cast.annotations import ClipTable, fold_table, write_annotations
from gasm_cast.errors import InputError
from gasm_cast.evaluation.calibration import negative_log_likelihood
from gasm_cast.evaluation.intervals import Interval, wilson
from gasm_cast.files import write_text
from gasm_cast.predictions import Predictions, read_predictions
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore
from gasm_cast.training import TrainingDivergedError, final_recipe
from gasm_cast.training.clips import read_clips

NUM_FOLDS = 5
"""Blocks that the training clips of a class are cut into, or fewer if it has fewer clips."""


@dataclass(frozen=True, eq=False)
class Tried:
    """How one variant did on training clips that it had not learnt."""

    variant: Variant
    correct: NDArray[np.bool_]
    """Whether it was right, for each clip; the clips are the same for all variants."""
    log_loss: float
    """Mean of -log of the label's probability, in nats; decides between equal accuracies."""

    @property
    def num_clips(self) -> int:
        """Clips that it answered for."""
        return len(self.correct)

    @property
    def accuracy(self) -> float:
        """Share of clips that it gets right."""
        return float(self.correct.mean())

    @property
    def interval(self) -> Interval:
        """95% Wilson interval of the accuracy."""
        return wilson(int(self.correct.sum()), self.num_clips)

    def is_level_with(self, best: Tried) -> bool:
        """Whether it is behind by at most one standard error of the paired difference."""
        difference = best.correct.astype(float) - self.correct
        return bool(difference.mean() <= difference.std() / math.sqrt(self.num_clips))

    @property
    def record(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "variant": self.variant.name,
            "accuracy": self.accuracy,
            "interval": self.interval,
            "log_loss": self.log_loss,
            "num_clips": self.num_clips,
        }


@dataclass(frozen=True)
class Choice:
    """What was tried, and what was taken."""

    ranking: tuple[Tried, ...]
    """The variants by how well they did."""
    chosen: Variant
    """The simplest of those that are level with the first."""
    diverged: Mapping[str, str]
    """Variants whose training broke off, and why."""


def choose(
    variants: Sequence[Variant], folder: Path, *, all_folds: bool, say: Callable[[str], None]
) -> Choice:
    """Train every variant on parts of the training split, rank them by the rest, and take one.

    Writes choice.json into the folder.

    Args:
        variants: Recipes of the same store, annotations and training split, the simplest first.
        folder: Where the runs and the result lie.
        all_folds: Let each block be answered for in turn; else only the last one is, which
            costs a fifth and is enough where it holds many clips.
        say: Takes a line about every fold that is done.

    Raises:
        InputError: if a class has a single clip to learn from, or every variant diverged.
    """
    data = variants[0].recipe.data
    clips = read_clips(data, data.train_split, FeatureStore.open(data.store)).clips
    counts = clips.class_counts()
    num_folds = min(NUM_FOLDS, int(counts[counts > 0].min()))
    if num_folds < 2:
        name = clips.class_names[int(np.flatnonzero(counts == 1)[0])]
        raise InputError(f"class {name!r} has a single clip to learn from, too few to choose a model by")
    folds = range(num_folds) if all_folds else range(num_folds - 1, num_folds)
    predictions: dict[str, list[Predictions]] = {variant.name: [] for variant in variants}
    diverged: dict[str, str] = {}
    for number, fold in enumerate(folds, start=1):
        annotations = folder / f"fold-{fold}" / "annotations"
        write_annotations(annotations, _parts(clips, num_folds, fold))
        for variant in variants:
            if variant.name in diverged:
                continue
            try:
                run = _train_fold(variant, annotations, folder / f"fold-{fold}" / variant.slug)
            except TrainingDivergedError as error:
                diverged[variant.name] = str(error)
                continue
            predictions[variant.name].append(
                read_predictions(run.evaluation("validation") / "predictions.parquet")
            )
        say(f"fold {number}/{len(folds)} of the training clips: {len(variants) - len(diverged)} models tried")
    tried = [
        _tried(variant, predictions[variant.name]) for variant in variants if variant.name not in diverged
    ]
    if not tried:
        raise InputError(f"every model diverged; the last: {diverged[variants[-1].name]}")
    ranking = tuple(sorted(tried, key=lambda one: (-one.accuracy, one.log_loss)))
    chosen = next(one.variant for one in tried if one.is_level_with(ranking[0]))
    choice = Choice(ranking, chosen, diverged)
    report = {
        "chosen": chosen.name,
        "tried": [one.record for one in ranking],
        "diverged": diverged,
    }
    write_text(folder / "choice.json", json.dumps(report, indent=2) + "\n")
    return choice


def _parts(clips: ClipTable, num_folds: int, fold: int) -> dict[str, ClipTable]:
    learn, held_out = fold_table(clips, num_folds, fold, by="block")
    return {"train": learn, "validation": held_out}


def _train_fold(variant: Variant, annotations: Path, path: Path) -> Run:
    recipe = final_recipe(variant.recipe)
    data = replace(recipe.data, annotations=annotations, train_split="train", validation_split="validation")
    quiet = replace(recipe.training, tracker="none")
    train_and_evaluate(replace(recipe, data=data, training=quiet), quiet.seed, path)
    return Run.open(path)


def _tried(variant: Variant, folds: Sequence[Predictions]) -> Tried:
    labels = np.concatenate([fold.labels for fold in folds])
    probabilities = np.concatenate([fold.probabilities for fold in folds])
    return Tried(
        variant,
        correct=np.concatenate([fold.correct for fold in folds]),
        log_loss=negative_log_likelihood(probabilities, labels),
    )
