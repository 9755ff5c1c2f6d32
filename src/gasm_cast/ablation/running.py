"""Training a study: every variant with every seed, in parallel, from where it stopped.

Each run is a run folder like any other, `OUT/VARIANT/seed-K`. A run that is finished and
evaluated is not trained again; an interrupted one goes on from its checkpoint. What a study
found is told of all finished runs, whichever calls trained them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gasm_cast.ablation.study import Study, Variant
from gasm_cast.ablation.workers import Workers
from gasm_cast.annotations import read_annotations
from gasm_cast.config import Recipe
from gasm_cast.devices import resolve_precision
from gasm_cast.errors import InputError
from gasm_cast.evaluation import protocol
from gasm_cast.models.checkpoints import load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore
from gasm_cast.training import TrainingDivergedError, final_recipe, read_grid, sweep, train
from gasm_cast.training.devices import launch


@dataclass(frozen=True)
class Outcome:
    """How one run of a study ended."""

    variant: str
    seed: int
    path: Path
    top1: float | None
    """None where it failed."""
    error: str = ""


def run_path(out: Path, variant: Variant, seed: int) -> Path:
    """Folder of one run."""
    return out / variant.slug / f"seed-{seed}"


def run_study(study: Study, out: Path, *, jobs: int, say: Callable[[str], None]) -> list[Outcome]:
    """Train and evaluate what is not yet there.

    Seeds are the outer loop: after a third of the time every variant has one run.

    Args:
        study: What to train.
        out: Folder of the study.
        jobs: Runs at the same time, each with its share of the processor's cores.
        say: Takes a line about every run that ends.

    Returns:
        One outcome a run. A run whose training diverges is an outcome too, and the others go on.

    Raises:
        InputError: if a variant's features or annotations are not there, or the folder of a run
            holds something else; before anything is trained.
        KeyboardInterrupt: after a signal, once the running ones have written checkpoints.
    """
    _require_data(study)
    _require_folders(study, out)
    outcomes: list[Outcome] = []
    recipes = {variant.name: variant.recipe for variant in study.variants}
    with Workers(jobs) as workers:
        if study.search:
            searches = [
                (variant, partial(sweep_best, variant.recipe, study.search, out / variant.slug / "search"))
                for variant in study.variants
            ]
            for variant, found in workers.run(searches):
                recipes[variant.name] = found.result()
                say(f"searched {variant.name}")
        runs = [
            (
                (variant, seed),
                partial(train_and_evaluate, recipes[variant.name], seed, run_path(out, variant, seed)),
            )
            for seed in study.seeds
            for variant in study.variants
        ]
        for (variant, seed), done in workers.run(runs):
            outcome = _outcome(done, variant, seed, run_path(out, variant, seed))
            outcomes.append(outcome)
            ended = f"failed: {outcome.error}" if outcome.top1 is None else f"{100 * outcome.top1:.1f}"
            say(f"[{len(outcomes)}/{len(runs)}] {variant.name}, seed {seed}: {ended}")
    return outcomes


def finished_runs(study: Study, out: Path, *, say: Callable[[str], None]) -> dict[str, list[Path]]:
    """Folders of the evaluated runs of each variant that has any, whichever calls trained them.

    Runs of a recipe that the study does not have (any more) are not among them.

    Args:
        study: The whole study.
        out: Its folder.
        say: Takes a line about every run that is left out.
    """
    found: dict[str, list[Path]] = {}
    for variant in study.variants:
        for config in sorted((out / variant.slug).glob("seed-*/config.toml")):
            path = config.parent
            try:
                run = Run.open(path)
            except InputError as error:  # as of another version; the others can be told of
                say(f"not in the table: {error}")
                continue
            if not (run.evaluation(run.recipe.data.validation_split) / "metrics.json").exists():
                continue
            if run.recipe in _possible_recipes(study, variant, run.recipe.training.seed):
                found.setdefault(variant.name, []).append(path)
            else:
                say(f"not in the table: {path} is of another recipe than the study's {variant.name!r}")
    return found


def sweep_best(recipe: Recipe, grid: Sequence[str], folder: Path) -> Recipe:
    """The recipe with the values that do best on held-out clips."""
    return final_recipe(sweep(read_grid(grid, recipe), folder).best.recipe)


def train_and_evaluate(recipe: Recipe, seed: int, path: Path) -> float:
    """Train a run and evaluate it on the validation split, unless both are done; its top-1."""
    run = Run.claim(path, _with_seed(recipe, seed))
    data = run.recipe.data
    written = run.evaluation(data.validation_split) / "metrics.json"
    if not written.exists():
        train(run)
        table = read_annotations(data.annotations, data.validation_split)
        device = launch(recipe.training).device
        settings = protocol.Settings(
            batch_size=recipe.training.batch_size,
            device=str(device),
            precision=resolve_precision(recipe.training.precision, device),
        )
        store = FeatureStore.open(data.store)
        evaluation = protocol.evaluate(load_checkpoint(run.best_checkpoint), store, table, settings=settings)
        protocol.write(evaluation, run)
    top1: float = json.loads(written.read_text(encoding="utf-8"))["top1"]["value"]
    return top1


def _outcome(future: Future[float], variant: Variant, seed: int, path: Path) -> Outcome:
    try:
        return Outcome(variant.name, seed, path, future.result())
    except TrainingDivergedError as error:
        return Outcome(variant.name, seed, path, None, str(error))


def _require_data(study: Study) -> None:
    """Features and labels of every variant are there, so that no hours are lost to a typo."""
    for data in dict.fromkeys(variant.recipe.data for variant in study.variants):
        FeatureStore.open(data.store)
        for split in (data.train_split, data.validation_split):
            read_annotations(data.annotations, split).require_labels()


def _require_folders(study: Study, out: Path) -> None:
    """Every run may lie where it is to lie, so that none is refused after others were trained."""
    for variant in study.variants:
        for seed in study.seeds:
            path, recipes = run_path(out, variant, seed), _possible_recipes(study, variant, seed)
            if not ((path / "config.toml").exists() and Run.open(path).recipe in recipes):
                Run.claim(path, recipes[0])


def _possible_recipes(study: Study, variant: Variant, seed: int) -> list[Recipe]:
    """Recipes that a variant's run may have: one for each combination of what the study searches."""
    if not study.search:
        return [_with_seed(variant.recipe, seed)]
    grid = read_grid(study.search, variant.recipe)
    return [_with_seed(final_recipe(candidate.recipe), seed) for candidate in grid]


def _with_seed(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, training=replace(recipe.training, seed=seed))
