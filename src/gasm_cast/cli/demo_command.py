"""`gasm-cast demo`: the whole way, on built-in videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gasm_cast.config import (
    AugmentationConfig,
    DataConfig,
    ExchangeConfig,
    GraphConfig,
    HeadConfig,
    ModelConfig,
    ModelKind,
    PeerConfig,
    Recipe,
    TrainingConfig,
)

if TYPE_CHECKING:
    from typing import Any


MODELS: tuple[ModelKind, ...] = ("gasm-cast", "linear", "semantic-only", "motion-only")
"""Ours, then those that tell what the fusion is worth."""
NUM_EXPLAINED = 2


@dataclass(frozen=True, kw_only=True)
class Options:
    """Render videos, extract features, train four models, evaluate, explain, and report.

    Every step is a command of its own, shown as it runs. About ten minutes on two cores;
    interrupt it whenever you like, the same call goes on.
    """

    out: Path = Path("runs/demo")
    """Folder of everything that the demo makes."""
    num_classes: int = 16
    """Classes of Something-Something mini to take."""
    train_per_class: int = 50
    """Training clips of each class."""
    validation_per_class: int = 20
    """Validation clips of each class; they show other things before other backgrounds."""
    num_epochs: int = 20
    """Passes over the training clips, for each model."""
    seed: int = 0
    """Seed of the videos and of the training."""
    json: Path | None = None
    """Write the summary there as well; it lies in OUT/summary.json in any case."""


def demo_recipe(options: Options) -> Recipe:
    """A narrow GASM-CAST on 7x7 patches, which two cores train in minutes; see recipes/mini.toml.

    All four models have its head and its training.
    """
    return Recipe(
        data=DataConfig(store=options.out / "store", annotations=options.out / "mini"),
        model=ModelConfig(
            semantic_pool=2,
            graph=GraphConfig(width=64, num_heads=4),
            exchange=ExchangeConfig(width=64, num_heads=4, feed_forward="motion", dropout=0.2),
            head=HeadConfig(pooling="attention", dropout=0.5),
            peer=PeerConfig(width=64, num_heads=4),
        ),
        training=TrainingConfig(
            num_epochs=options.num_epochs, batch_size=32, base_batch_size=32, seed=options.seed
        ),
        augmentation=AugmentationConfig(token_dropout=0.2, segment_dropout=0.2, noise=0.5),
    )


def run(options: Options) -> int:
    """Run all steps and name the report."""
    import json
    import time

    from rich.console import Console

    from gasm_cast.annotations import read_annotations
    from gasm_cast.cli.lines import say
    from gasm_cast.cli.steps import step
    from gasm_cast.config import to_toml
    from gasm_cast.files import write_text

    start = time.perf_counter()
    console = Console()
    out, recipe = options.out, demo_recipe(options)
    step(
        console, "mini", "--out", out / "mini", "--num-classes", options.num_classes,
        "--train-per-class", options.train_per_class,
        "--validation-per-class", options.validation_per_class, "--test-per-class", 1,
        "--seed", options.seed, "--contact-sheet", out / "mini.png",
    )  # fmt: skip
    step(console, "extract", out / "mini", "--out", out / "store")
    write_text(out / "recipe.toml", to_toml(recipe))
    runs = {model: out / model for model in MODELS}
    for model, folder in runs.items():
        step(console, "train", out / "recipe.toml", "--out", folder, "--model.kind", model)
        step(console, "evaluate", folder)
    validation = read_annotations(recipe.data.annotations, recipe.data.validation_split)
    for clip in _telling_clips(runs["gasm-cast"]):
        step(console, "explain", runs["gasm-cast"], validation.paths[validation.ids.index(clip)])
    step(console, "report", *runs.values(), "--cost", "--out", out / "report.html")

    headlines = {model: _headline(folder) for model, folder in runs.items()}
    seconds = round(time.perf_counter() - start, 1)
    text = json.dumps({"models": headlines, "seconds": seconds}, indent=2) + "\n"
    write_text(out / "summary.json", text)
    if options.json is not None:
        write_text(options.json, text)
    console.print()
    for model, numbers in headlines.items():
        low, high = (100 * end for end in numbers["interval"])
        say(console, f"{model:<14} top-1 {100 * numbers['top1']:5.1f}  [{low:.1f}, {high:.1f}]")
    say(console, f"report: {out / 'report.html'}", style="bold")
    return 0


def _headline(folder: Path) -> dict[str, Any]:
    from gasm_cast.report import read_run

    metrics = read_run(folder).metrics
    return {
        "top1": metrics["top1"]["value"],
        "top5": metrics["top5"]["value"],
        "interval": metrics["top1"]["interval"],
        "num_scored": metrics["num_scored"],
    }


def _telling_clips(folder: Path) -> list[str]:
    """The surest right answer of each of the classes that the model knows best."""
    from gasm_cast.report import read_run

    predictions = read_run(folder).predictions
    best: dict[int, tuple[float, str]] = {}
    for clip, label, said, row in zip(
        predictions.ids, predictions.labels, predictions.predictions, predictions.probabilities, strict=True
    ):
        if label == said:
            best[int(label)] = max(best.get(int(label), (0.0, "")), (float(row[said]), clip))
    return [clip for _, clip in sorted(best.values(), reverse=True)[:NUM_EXPLAINED]]
