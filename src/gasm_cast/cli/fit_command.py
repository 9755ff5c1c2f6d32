"""`gasm-cast fit`: from your own clips to a model that predicts, in one command."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
from gasm_cast.errors import InputError
from gasm_cast.extraction.options import ExtractorOptions, PipelineOptions

if TYPE_CHECKING:
    from rich.console import Console

    from gasm_cast.ablation.choosing import Choice
    from gasm_cast.annotations import ClipTable

NUM_CLIPS_TO_SEE = 8_000
"""Clips that training passes in all, so that small data sets get more epochs than large ones."""
FEW_CLIPS = 1_000
"""Up to so many training clips each block of them is held out in turn, to choose the model by."""
PROBE_DECAY = 12_000
"""Weight decay of a probe, times the number of training clips: the fewer clips, the simpler it stays."""

FitModel = Literal["auto", "gasm-cast", "linear", "motion-only"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train on your own clips: scan, extract, split, choose a model, train, evaluate.

    Give a folder with one folder per class, or any folder of videos with --labels. The run
    folder then holds all of it: annotations of both splits, features, recipe, model and
    evaluation. The same call goes on where it was interrupted.

    On few clips a linear probe is often better than a deep model. So the models are first
    compared on parts of the training clips; the simplest that is level with the best is
    trained on all of them, and evaluated once on clips that nothing was chosen by.

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
    model: FitModel = "auto"
    """The model to train; auto takes the simplest that is level with the best on held-out training clips."""
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


def fit_recipes(options: Options, num_clips: int) -> dict[str, Recipe]:
    """Recipes to choose between, by the names that --model takes, the simplest first.

    GASM-CAST is narrow and held back by dropout, since people's own data sets are small. The
    probes have no LayerNorm, which would hide how fast things move, a strong decay, and
    statistics over time: a weight for each time step is too many for few clips.

    Args:
        options: Where things lie and are computed; seed and epochs.
        num_clips: Clips to learn from.

    Raises:
        InputError: if there is no such kind of device.
    """
    data = options.out / "data"
    deep = Recipe(
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
            device=_learning_device(options.extractor.device),
            seed=options.seed,
        ),
        augmentation=AugmentationConfig(token_dropout=0.2, segment_dropout=0.2),
    )
    decay = min(PROBE_DECAY / num_clips, 0.2 / deep.training.learning_rate)
    probe = replace(
        deep,
        model=replace(
            deep.model, kind="linear", head=HeadConfig(temporal="statistics", norm="none", dropout=0.5)
        ),
        training=replace(deep.training, weight_decay=decay),
        augmentation=AugmentationConfig(),
    )
    return {
        "motion-only": replace(probe, model=replace(probe.model, kind="motion-only")),
        "linear": probe,
        "gasm-cast": deep,
    }


def run(options: Options) -> int:
    """Do all of it, and say how to predict."""
    from rich.console import Console

    from gasm_cast.annotations import read_annotations, split_table
    from gasm_cast.cli.lines import say
    from gasm_cast.cli.steps import step
    from gasm_cast.runs import Run
    from gasm_cast.training import final_recipe

    console = Console()
    # What is written is read by later calls, maybe from another folder.
    labels = None if options.labels is None else options.labels.absolute()
    options = replace(options, videos=options.videos.absolute(), labels=labels)
    try:
        table = read_annotations(options.labels or options.videos, "all", options.videos)
    except InputError as error:
        if options.labels is not None:
            raise
        raise InputError(f"{error}; or name the classes with --labels LIST of `path,label`") from None
    table.require_labels()
    _require_classes(table, options)
    shares = {"train": 1 - options.validation, "validation": options.validation}
    split_table(table, shares, by=options.split_by)  # refuses classes that are too small before decoding
    _learning_device(options.extractor.device)
    _require_own_folder(options.out)
    scanned = options.out / "data" / "scan.json"
    if not (options.out / "data" / "annotations" / "labels.json").exists() or not scanned.exists():
        step(
            console, "scan", options.labels or options.videos, "--videos", options.videos,
            "--json", scanned, allowed=(0, 1),
        )  # fmt: skip
    scan = json.loads(scanned.read_text(encoding="utf-8"))
    left_out = unreadable_clips(table, scan)
    for clip, reason in left_out.items():
        say(console, f"left out: {clip}: {reason}")
    table = _readable(table, left_out)
    splits = split_table(table, shares, by=options.split_by, seed=options.seed)
    _describe(console, table, splits)
    if twins := twins_in_validation(splits, scan):
        say(
            console,
            f"warning: {len(twins)} clip(s) of the evaluation are the same file as a training clip (first "
            f"{twins[0]}); the accuracy is not that on new clips",
        )
    recipes = fit_recipes(options, len(splits["train"]))
    data = recipes["gasm-cast"].data
    _write_splits(options.out, data.annotations, splits)
    code = step(
        console, "extract", options.videos, "--annotations", data.annotations,
        "--out", data.store, *_flags(options), allowed=(0, 1),
    )  # fmt: skip
    name = (
        _choose(console, recipes, options, len(splits["train"])) if options.model == "auto" else options.model
    )
    folder = Run.create(options.out, final_recipe(recipes[name]), beside=("data", "choice"))
    step(console, "train", folder.path / "config.toml", "--out", folder.path)
    flags: list[object] = [] if options.json is None else ["--json", options.json]
    if folder.recipe.training.device != "auto":
        flags += ["--device", folder.recipe.training.device]
    step(console, "evaluate", folder.path, *flags, allowed=(0, 1))
    say(console, f"\nnext: gasm-cast predict {folder.path} VIDEO...")
    if name == "gasm-cast":  # a probe has no attention to show
        say(console, f"      gasm-cast explain {folder.path} VIDEO")
    say(console, f"      gasm-cast report {folder.path}")
    return 1 if left_out else code


def unreadable_clips(table: ClipTable, scan: Mapping[str, Any]) -> dict[str, str]:
    """Clips that a scan could not read, each with the reason.

    Args:
        table: All clips.
        scan: What `gasm-cast scan --json` wrote of them.
    """
    reasons = {file["file"]: file["reason"] for file in scan["files"] if "reason" in file}
    reasons |= {
        finding["subject"]: finding["detail"] for finding in scan["findings"] if finding["kind"] == "gave up"
    }
    found: dict[str, str] = {}
    for clip, path in zip(table.ids, table.paths, strict=True):
        if path is None:
            found[clip] = "no such file"
        elif str(path) in reasons:
            found[clip] = reasons[str(path)]
    return found


def twins_in_validation(splits: Mapping[str, ClipTable], scan: Mapping[str, Any]) -> list[str]:
    """Validation clips whose file is, byte by byte, that of a training clip."""
    digests = {file["file"]: file["sha256"] for file in scan["files"]}
    learnt = {digests.get(str(path)) for path in splits["train"].paths} - {None}
    validation = splits["validation"]
    return [
        clip
        for clip, path in zip(validation.ids, validation.paths, strict=True)
        if digests.get(str(path)) in learnt
    ]


def _readable(table: ClipTable, left_out: Mapping[str, str]) -> ClipTable:
    """The other clips, so that both splits are drawn from clips that can be learnt and scored."""
    kept = table.select([row for row, clip in enumerate(table.ids) if clip not in left_out])
    counts = zip(table.class_names, table.class_counts(), kept.class_counts(), strict=True)
    for name, before, after in counts:
        if before and after < 2:
            raise InputError(
                f"class {name!r}: {after} of its {before} clips can be read, and two are needed; "
                "add clips, or leave the class out"
            )
    return kept


def _require_classes(table: ClipTable, options: Options) -> None:
    """Refuse a single class: most often the folder that was given is one too high."""
    names = [name for name, count in zip(table.class_names, table.class_counts(), strict=True) if count]
    if len(names) > 1:
        return
    if options.labels is not None:
        raise InputError(
            f"{options.labels}: all clips have the label {names[0]!r}; fit needs two classes or more"
        )
    raise InputError(
        f"{options.videos}: folders are the classes, and its videos lie in a single one, {names[0]!r}; "
        "make a folder per class, or name the classes with --labels LIST of `path,label`"
    )


def _require_own_folder(out: Path) -> None:
    """Refuse a folder that holds other things than what fit puts there before it trains."""
    if (out / "data" / "annotations" / "labels.json").exists():
        return
    if out.exists() and (not out.is_dir() or {path.name for path in out.iterdir()} - {"data"}):
        raise InputError(f"{out} exists and was not made by fit; choose another --out")


def _write_splits(out: Path, annotations: Path, splits: Mapping[str, ClipTable]) -> None:
    """Write which clip is in which split, or see that an earlier call wrote the same.

    Raises:
        InputError: if the folder holds something else.
    """
    from gasm_cast.annotations import read_annotations, write_annotations

    if (annotations / "labels.json").exists():  # written last
        for split, table in splits.items():
            before = read_annotations(annotations, split)
            if (before.class_names, before.ids, before.labels.tolist()) != (
                table.class_names,
                table.ids,
                table.labels.tolist(),
            ):
                raise InputError(
                    f"{out} was fitted to other clips, labels or splits; choose another --out or remove it"
                )
    write_annotations(annotations, splits)


def _choose(console: Console, recipes: Mapping[str, Recipe], options: Options, num_clips: int) -> str:
    """The model to take by held-out training clips; shows how all of them did."""
    from gasm_cast.ablation.choosing import choose
    from gasm_cast.ablation.study import Variant
    from gasm_cast.cli.lines import say

    say(console, "\nchoosing a model on held-out blocks of the training clips", style="bold")
    variants = [Variant(name, "", recipe) for name, recipe in recipes.items()]
    choice = choose(
        variants, options.out / "choice", all_folds=num_clips <= FEW_CLIPS, say=partial(say, console)
    )
    _show(console, choice)
    return choice.chosen.name


def _show(console: Console, choice: Choice) -> None:
    from rich.table import Table

    table = Table("model", "top-1", "95% interval", "clips", "")
    for tried in choice.ranking:
        low, high = tried.interval
        chosen = "chosen" if tried.variant is choice.chosen else ""
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        table.add_row(
            tried.variant.name, f"{100 * tried.accuracy:.1f}", interval, str(tried.num_clips), chosen
        )
    for name, reason in choice.diverged.items():
        table.add_row(name, "", "", "", reason)
    console.print(table)


def _describe(console: Console, table: ClipTable, splits: Mapping[str, ClipTable]) -> None:
    from gasm_cast.cli.lines import say

    say(console, f"{len(table)} clips of {len(table.class_names)} classes")
    counts = [split.class_counts() for split in splits.values()]
    for index, name in enumerate(table.class_names):
        numbers = " + ".join(str(count[index]) for count in counts)
        say(console, f"  {name}: {numbers} ({', '.join(splits)})")


def _learning_device(device: str) -> Literal["auto", "cpu", "cuda"]:
    """Where to train and evaluate; of several GPUs the first that is visible, whichever extracts."""
    match device.partition(":")[0]:
        case "auto" | "cpu" | "cuda" as kind:
            return kind
        case _:
            raise InputError(f"--device must be auto, cpu, cuda or cuda:N, got {device!r}")


def _flags(options: Options) -> list[object]:
    """The extraction's options that are not the defaults, as flags."""
    flags: list[object] = []
    for group in (options.extractor, options.pipeline):
        for spec in dataclasses.fields(group):
            value = getattr(group, spec.name)
            if value != spec.default:
                flags += [f"--{spec.name.replace('_', '-')}", value]
    return flags
