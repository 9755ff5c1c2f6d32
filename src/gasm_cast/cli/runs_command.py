"""`gasm-cast runs`: list runs, compare their recipes and results, draw their learning curves."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, subcommand

if TYPE_CHECKING:
    from rich.table import Table

    from gasm_cast.runs import Run


@dataclass(frozen=True, kw_only=True)
class ListRuns:
    """List the runs below some folders, the latest first; accuracies in percent."""

    paths: Positional[tuple[Path, ...]] = (Path("runs"),)
    """Folders to search at any depth."""
    all: bool = False
    """Also those inside another run's folder, as `fit` trains to choose a model, and trials of a search."""
    json: Path | None = None
    """Write the same there."""


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Show side by side what differs in the recipes of runs, and how they ended.

    `gasm-cast compare` tests whether a difference in accuracy is more than chance.
    """

    paths: Positional[tuple[Path, ...]]
    """Run folders."""
    json: Path | None = None
    """Write the same there."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Draw the learning curves of runs into one picture."""

    paths: Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path = Path("curves.png")
    """Picture to write; its suffix says the format (png, pdf, svg)."""


Options = (
    Annotated[ListRuns, subcommand("list")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Curves, subcommand("curves")]
)
"""One of the commands."""


def run(options: ListRuns | Compare | Curves) -> int:
    """Do it."""
    match options:
        case ListRuns():
            return _list(options)
        case Compare():
            return _compare(options)
        case Curves():
            return _curves(options)


def _list(options: ListRuns) -> int:
    from rich.markup import escape
    from rich.table import Table

    from gasm_cast.errors import InputError
    from gasm_cast.runs import Run

    for path in options.paths:
        if not path.is_dir():
            raise InputError(f"{path}: no such folder; `gasm-cast train` makes runs in runs/")
    configs = [
        config
        for path in options.paths
        for config in path.rglob("config.toml")
        if options.all or not _is_inside(config.parent, path)
    ]
    configs.sort(key=lambda config: config.stat().st_mtime, reverse=True)
    summaries = []
    for config in configs:
        try:
            summaries.append(summarize(Run.open(config.parent)))
        except InputError as error:  # of a recipe of another version: the others are still to be seen
            print(f"passed over: {error}", file=sys.stderr)
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "recipe", "model", "seed", "epochs", "state", "loss", "held out", "valid."):
        table.add_column(heading, no_wrap=True)
    for row in summaries:
        table.add_row(*(escape(_cell(key, row[key])) for key in _LISTED))
    _show(table, at_full_width=True)
    _write(options.json, summaries)
    return 0


def _compare(options: Compare) -> int:
    from rich.markup import escape
    from rich.table import Table

    from gasm_cast.config import flat_table

    runs = _open(options.paths)
    recipes = [flat_table(folder.recipe) for folder in runs]
    keys = dict.fromkeys(key for recipe in recipes for key in recipe)
    different = [key for key in keys if len({_text(recipe.get(key)) for recipe in recipes}) > 1]
    summaries = [summarize(folder) for folder in runs]
    table = Table("", *(escape(str(folder.path)) for folder in runs))
    for key in different:
        table.add_row(key, *(escape(_text(recipe.get(key))) for recipe in recipes))
    table.add_section()
    for key in _COMPARED:
        table.add_row(key.replace("_", " "), *(_cell(key, row[key]) for row in summaries))
    _show(table, at_full_width=not sys.stdout.isatty())
    records = [
        {**row, "differs": {key: recipe.get(key) for key in different}}
        for row, recipe in zip(summaries, recipes, strict=True)
    ]
    _write(options.json, records)
    return 0


def _curves(options: Curves) -> int:
    from gasm_cast.errors import InputError
    from gasm_cast.training.curves import draw_curves

    runs = _open(options.paths)
    for folder in runs:
        if not any(folder.events("epoch")):
            raise InputError(f"{folder.path} has not finished an epoch yet; there is nothing to draw")
    draw_curves(runs, options.out)
    print(f"curves: {options.out}")
    return 0


def _open(paths: Sequence[Path]) -> list[Run]:
    from gasm_cast.errors import InputError
    from gasm_cast.runs import Run

    if not paths:
        raise InputError("name one run folder or more; `gasm-cast runs list` shows those in runs/")
    return [Run.open(path) for path in paths]


def _is_inside(folder: Path, searched: Path) -> bool:
    """Whether a run lies in the folder of another one, or is a trial, seen from the folder searched."""
    from_there = folder.relative_to(searched)
    is_trial = len(from_there.parts) > 1 and (folder.parents[1] / "study.db").exists()
    return is_trial or any((searched / part / "config.toml").exists() for part in from_there.parents)


def _show(table: Table, *, at_full_width: bool) -> None:
    """Print a table; at its full width nothing in it is broken, whatever the terminal's."""
    from rich.console import Console

    console = Console()
    if at_full_width:
        console.width = console.measure(table, options=console.options.update(max_width=10_000)).maximum
    console.print(table)


_SHARES = ("held_out_top1", "validation_top1", "evaluated")
_LISTED = (
    "run",
    "recipe_hash",
    "model",
    "seed",
    "epochs",
    "state",
    "train_loss",
    "held_out_top1",
    "validation_top1",
)
_COMPARED = (
    "recipe_hash",
    "state",
    "epochs",
    "best_epoch",
    "num_parameters",
    "effective_batch",
    "peak_learning_rate",
    "train_loss",
    "held_out_top1",
    "validation_top1",
    "evaluated",
    "train_sec",
)


def summarize(folder: Run) -> dict[str, Any]:
    """What there is to say about a run, from its logs alone; None where it is not known yet."""
    start = next(iter(folder.events("start")), {})
    epochs = list(folder.events("epoch"))
    last = epochs[-1] if epochs else {}
    best: dict[str, Any] = next((epoch for epoch in reversed(epochs) if epoch["is_best"]), {})
    training = folder.recipe.training
    metrics = folder.evaluation(folder.recipe.data.validation_split) / "metrics.json"
    evaluated = json_format.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else None
    return {
        "run": str(folder.path),
        "recipe_hash": folder.hash,
        "model": folder.recipe.model.kind,
        "seed": training.seed,
        "epochs": f"{last.get('epoch', 0)}/{training.num_epochs}",
        "state": _state(folder, epochs),
        "best_epoch": best.get("epoch"),
        "num_parameters": start.get("num_parameters"),
        "effective_batch": start.get("effective_batch"),
        "peak_learning_rate": start.get("peak_learning_rate"),
        "train_loss": last.get("train_loss"),
        "held_out_top1": best.get("held_out_top1"),
        "validation_top1": best.get("validation_top1"),
        "evaluated": None if evaluated is None else evaluated["top1"]["value"],
        "train_sec": sum(epoch["train_sec"] for epoch in epochs) or None,
    }


def _state(folder: Run, epochs: Sequence[Mapping[str, Any]]) -> str:
    training = folder.recipe.training
    if not epochs:
        return "started" if any(folder.events("start")) else "empty"
    if epochs[-1]["epoch"] == training.num_epochs:
        return "finished"
    best = next(epoch["epoch"] for epoch in reversed(epochs) if epoch["is_best"])
    stopped_early = training.patience and epochs[-1]["epoch"] - best >= training.patience
    return "stopped early" if stopped_early else "unfinished"


def _cell(key: str, value: Any) -> str:
    return f"{value:.1%}" if key in _SHARES and value is not None else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _write(path: Path | None, records: Sequence[Mapping[str, Any]]) -> None:
    from gasm_cast.files import write_text

    if path is not None:
        write_text(path, json_format.dumps(list(records), indent=2) + "\n")
