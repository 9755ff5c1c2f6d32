"""`gasm-cast fit`: from your own clips to a model that predicts, in one command."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from gasm_cast.config import (
    AugmentationConfig,
    DataConfig,
    ExchangeConfig,
    GraphConfig,
    HeadConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
)
from gasm_cast.extraction.options import ExtractorOptions, PipelineOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from gasm_cast.annotations import ClipTable

NUM_CLIPS_TO_SEE = 8_000
"""Clips that training passes in all, so that small data sets get more epochs than large ones."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train on your own clips: scan, extract, split, train, evaluate.

    Give a folder with one folder per class, or any folder of videos with --labels. The run
    folder then holds all of it: annotations of both splits, features, recipe, model and
    evaluation. The same call goes on where it was interrupted.

    Exit code 1 says that some clips could not be read; they are listed, and left out.
    """

    videos: Positional[Path]
    """Folder of videos."""
    out: Path
    """Run folder to make."""
    labels: Path | None = None
    """List of `path,label` (CSV) or `path label`; without it the folders are the classes."""
    validation: float = 0.25
    """Share of each class that is kept for the evaluation."""
    split_by: Literal["block", "random"] = "block"
    """Keep the last clips of each class in order of name, since clips cut from one recording follow
    each other and look alike; or draw them at random."""
    epochs: int | None = None
    """Passes over the training clips; fewer for more clips by default."""
    seed: int = 0
    """Seed of split and training."""
    extractor: ExtractorOptions = field(default_factory=ExtractorOptions)
    pipeline: PipelineOptions = field(default_factory=PipelineOptions)
    json: Path | None = None
    """Write the evaluation's headline numbers there."""

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise ValueError(f"validation is a share between 0 and 1, got {self.validation}")


def fit_recipe(options: Options, num_clips: int) -> Recipe:
    """A narrow model, held back by dropout: people's own data sets are small.

    Args:
        options: Where things lie; seed and epochs.
        num_clips: Clips to learn from.
    """
    data = options.out / "data"
    return Recipe(
        data=DataConfig(store=data / "store", annotations=data / "annotations"),
        model=ModelConfig(
            semantic_pool=2 if options.extractor.semantic == "classic" else 1,
            graph=GraphConfig(width=128, num_heads=4),
            exchange=ExchangeConfig(width=128, num_heads=4, dropout=0.2),
            head=HeadConfig(dropout=0.5),
        ),
        training=TrainingConfig(
            num_epochs=options.epochs or min(60, max(10, NUM_CLIPS_TO_SEE // num_clips)),
            batch_size=32,
            base_batch_size=32,
            seed=options.seed,
        ),
        augmentation=AugmentationConfig(token_dropout=0.2, segment_dropout=0.2),
    )


def run(options: Options) -> int:
    """Do all of it, and say how to predict."""
    from rich.console import Console

    from gasm_cast.annotations import read_annotations, split_table, write_annotations
    from gasm_cast.cli.steps import step
    from gasm_cast.runs import Run

    console = Console()
    table = read_annotations(options.labels or options.videos, "all", options.videos)
    table.require_labels()
    shares = {"train": 1 - options.validation, "validation": options.validation}
    splits = split_table(table, shares, by=options.split_by, seed=options.seed)
    _describe(console, table, splits)
    recipe = fit_recipe(options, len(splits["train"]))
    folder = Run.create(options.out, recipe)
    write_annotations(recipe.data.annotations, splits)
    step(
        console, "scan", recipe.data.annotations, "--videos", options.videos,
        "--json", options.out / "data" / "scan.json", allowed=(0, 1),
    )  # fmt: skip
    code = step(
        console, "extract", options.videos, "--annotations", recipe.data.annotations,
        "--out", recipe.data.store, *_flags(options), allowed=(0, 1),
    )  # fmt: skip
    step(console, "train", folder.path / "config.toml", "--out", folder.path)
    json_flag = [] if options.json is None else ["--json", options.json]
    step(console, "evaluate", folder.path, *json_flag, allowed=(0, 1))
    console.print(f"\nnext: gasm-cast predict {folder.path} VIDEO...", highlight=False, soft_wrap=True)
    console.print(f"      gasm-cast explain {folder.path} VIDEO", highlight=False, soft_wrap=True)
    console.print(f"      gasm-cast report {folder.path}", highlight=False, soft_wrap=True)
    return code


def _describe(console: Console, table: ClipTable, splits: Mapping[str, ClipTable]) -> None:
    console.print(f"{len(table)} clips of {len(table.class_names)} classes", highlight=False)
    counts = [split.class_counts() for split in splits.values()]
    for index, name in enumerate(table.class_names):
        numbers = " + ".join(str(count[index]) for count in counts)
        console.print(f"  {name}: {numbers} ({', '.join(splits)})", highlight=False, markup=False)


def _flags(options: Options) -> list[object]:
    """The extraction's options that are not the defaults, as flags."""
    flags: list[object] = []
    for group in (options.extractor, options.pipeline):
        for spec in dataclasses.fields(group):
            value = getattr(group, spec.name)
            if value != spec.default:
                flags += [f"--{spec.name.replace('_', '-')}", value]
    return flags
