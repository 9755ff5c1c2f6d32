"""From run summaries to what the page's template prints: text, numbers and positions."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gasm_cast.config import to_toml
from gasm_cast.report import style
from gasm_cast.report.costs import WHAT, cost_columns
from gasm_cast.report.models import ModelSummary
from gasm_cast.report.record import RunSummary
from gasm_cast.report.tables import Column, Table, Value, write_value

_SEED_MARK: Mapping[str, Any] = {"color": "muted", "lane": 1}


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal."""
    return write_value(share, "percent")


def models(models: Sequence[ModelSummary]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows of the accuracy table, best first, and the ends of the axis they share."""
    ends = [end for model in models for end in (*model.metrics["top1"]["interval"], *model.top1_of_seeds)]
    low, high = np.floor(20 * min(ends)) / 20, np.ceil(20 * max(ends)) / 20  # whole 5 points
    rows = []
    for model in sorted(models, key=lambda model: -model.metrics["top1"]["value"]):
        top1, seeds = model.metrics["top1"], model.top1_of_seeds
        rows.append(
            {
                "name": model.name,
                "primary": model is models[0],
                "num_seeds": model.num_seeds,
                "spread": percent(statistics.stdev(seeds) if model.num_seeds > 1 else None),
                "top1": percent(top1["value"]),
                "interval": write_value(tuple(top1["interval"]), "percent-interval"),
                "graphic": graphic(
                    top1["value"],
                    top1["interval"],
                    [
                        {"share": seed, "title": f"a seed {percent(seed)}", **_SEED_MARK}
                        for seed in (seeds if model.num_seeds > 1 else [])
                    ],
                    low=low,
                    high=high,
                ),
                "top5": percent(model.metrics["top5"]["value"]),
                "mean_class": percent(model.metrics["mean_class_accuracy"]["value"]),
                "ece": percent(model.metrics["calibration"]["expected_error"]),
                "recipe": model.first.recipe_hash if model.num_seeds == 1 else model.first.seedless_hash,
            }
        )
    return rows, {"low": f"{100 * low:.0f}", "high": f"{100 * high:.0f}"}


def graphic(
    value: float | None,
    interval: Sequence[float] | None,
    ticks: Sequence[Mapping[str, Any]],
    *,
    low: float = 0.0,
    high: float = 1.0,
) -> dict[str, Any]:
    """Positions, in percent of the track, of a value with its interval and of other values.

    Args:
        value: The value, a share.
        interval: Its interval.
        ticks: Other values: their `share`, a `title`, and what else their mark needs.
        low: The share at the left end of the track.
        high: The share at its right end.
    """

    def place(share: float) -> float:
        return round(100 * (share - low) / (high - low), 2)

    text = "no clips"
    if value is not None and interval is not None:
        text = f"{percent(value)}%, interval {write_value((interval[0], interval[1]), 'percent-interval')}"
        text = "; ".join([text, *(tick["title"] for tick in ticks)])
    return {
        "value": None if value is None else place(value),
        "left": None if interval is None else place(interval[0]),
        "width": None if interval is None else round(place(interval[1]) - place(interval[0]), 2),
        "ticks": [{**tick, "place": place(tick["share"])} for tick in ticks],
        "label": text,
    }


def marks(others: Sequence[ModelSummary]) -> list[dict[str, Any]]:
    """How the models beside the first are marked on a track: each in a colour and a lane of its own.

    Lanes lie above and below the middle, in turns, so that equal values do not cover each other.
    """
    colors = zip(others, style.SERIES[1:], strict=False)
    return [
        {"name": model.name, "color": color, "lane": -(k // 2 + 1) if k % 2 == 0 else k // 2 + 1}
        for k, (model, color) in enumerate(colors)
    ]


def classes(model: ModelSummary, others: Sequence[ModelSummary]) -> list[dict[str, Any]]:
    """Rows of the class table, lowest recall first, classes without clips last.

    Args:
        model: The model in question.
        others: Those whose recall is marked beside it, as many as there are colours.
    """
    confusion = np.array(model.metrics["confusion"])
    names = model.class_names
    rows = []
    for c, entry in enumerate(model.metrics["classes"]):
        recall, precision, has_clips = entry["recall"], entry["precision"], entry["support"] > 0
        wrong = confusion[c].copy()
        wrong[c] = 0
        worst = int(wrong.argmax())
        recalls = [other.metrics["classes"][c]["recall"] for other in others]
        rows.append(
            {
                "index": c,
                "name": entry["name"],
                "support": entry["support"],
                "recall": percent(recall),
                "recall_value": "" if recall is None else recall,
                "precision": percent(precision),
                "precision_value": "" if precision is None else precision,
                "graphic": graphic(
                    recall,
                    entry["recall_interval"] if has_clips else None,
                    _ticks(recalls, others) if has_clips else [],
                ),
                "confused": f"{names[worst]} ({wrong[worst]})" if wrong[worst] else "",
            }
        )
    return sorted(rows, key=lambda row: (row["recall_value"] == "", row["recall_value"], row["index"]))


def verb_groups(model: ModelSummary, others: Sequence[ModelSummary]) -> list[dict[str, Any]]:
    """Accuracy on the clips of each verb group, largest group first; `others` as in :func:`classes`."""
    by_name = [{group["name"]: group for group in other.metrics["groups"]} for other in others]
    rows = []
    for group in sorted(model.metrics["groups"], key=lambda group: (-group["support"], group["name"])):
        top1, name = group["top1"], group["name"]
        values = [groups[name]["top1"]["value"] if name in groups else None for groups in by_name]
        rows.append(
            {
                "name": name,
                "num_classes": group["num_classes"],
                "support": group["support"],
                "top1": percent(top1["value"]),
                "interval": write_value(tuple(top1["interval"]), "percent-interval"),
                "graphic": graphic(top1["value"], top1["interval"], _ticks(values, others)),
            }
        )
    return rows


def _ticks(shares: Sequence[float | None], others: Sequence[ModelSummary]) -> list[dict[str, Any]]:
    return [
        {**mark, "share": share, "title": f"{mark['name']} {percent(share)}"}
        for mark, share in zip(marks(others), shares, strict=True)
        if share is not None
    ]


def confused_pairs(model: ModelSummary, num: int = 12) -> Table:
    """The pairs of classes that a model confuses most, by the number of clips in both directions."""
    confusion = np.array(model.metrics["confusion"])
    both = np.triu(confusion + confusion.T, k=1)
    order = np.argsort(-both, axis=None, kind="stable")[:num]
    rows: list[tuple[Value, ...]] = []
    for a, b in zip(*np.unravel_index(order, both.shape), strict=True):
        if both[a, b]:
            names = model.class_names
            rows.append((names[a], names[b], int(confusion[a, b]), int(confusion[b, a])))
    seeds = f", {model.num_seeds} seeds together" if model.num_seeds > 1 else ""
    return Table(
        f"Pairs that are confused most{seeds}",
        (
            Column("First class"),
            Column("Second class"),
            Column("First taken for second", "count"),
            Column("Second for first", "count"),
        ),
        tuple(rows),
    )


def cost(runs: Sequence[RunSummary]) -> Table | None:
    """Parameters, FLOPs, time and memory of the runs that have them measured."""
    columns, cells = cost_columns([run.cost for run in runs], best="min")
    if not columns:
        return None
    rows = tuple(
        (run.name, run.metrics["top1"]["value"], *of_run) for run, of_run in zip(runs, cells, strict=True)
    )
    return Table(
        f"Cost of each model: {WHAT}",
        (Column("Model"), Column("Top-1", "percent", best="max"), *columns),
        rows,
    )


def comparisons(records: Sequence[Mapping[str, Any]]) -> Table:
    """Paired differences of one model against others, as `evaluation.comparison` records them."""
    exact = all(record["test"] == "McNemar" for record in records)
    columns = (
        Column("Model"),
        Column("Against"),
        Column("Seeds"),
        Column("Clips", "count"),
        Column("Accuracy", "percent"),
        Column("Theirs", "percent"),
        Column("Difference", "points"),
        Column("95% interval", "points-interval"),
        Column("Better on", "count"),
        Column("Worse on", "count"),
        Column("McNemar p" if exact else "p", "p-value"),
    )
    rows = tuple(
        (
            record["a"],
            record["b"],
            _seeds(record["num_seeds_a"], record["num_seeds_b"]),
            record["num_clips"],
            record["accuracy_a"],
            record["accuracy_b"],
            record["difference"],
            tuple(record["interval"]),
            record["num_only_a"],
            record["num_only_b"],
            record["p_value"],
        )
        for record in records
    )
    return Table("Paired differences on the same clips, in points of top-1 accuracy", columns, rows)


def _seeds(num_a: int, num_b: int) -> str:
    return str(num_a) if num_a == num_b else f"{num_a} and {num_b}"


def table(table: Table, classes_of_row: Mapping[int, str] | None = None) -> dict[str, Any]:
    """A table as the template prints it.

    Args:
        table: The table.
        classes_of_row: Names of the classes that a row speaks of, for the filter.
    """
    is_text = [column.is_text for column in table.columns]
    best = [table.best_rows(c) for c in range(len(table.columns))]
    return {
        "caption": table.caption,
        "columns": [
            {"title": column.title, "number": not text}
            for column, text in zip(table.columns, is_text, strict=True)
        ],
        "rows": [
            {
                "classes": (classes_of_row or {}).get(r, ""),
                "cells": [
                    {
                        "text": table.text(r, c),
                        "number": not is_text[c],
                        "code": table.columns[c].kind == "code",
                        "best": r in best[c],
                    }
                    for c in range(len(table.columns))
                ],
            }
            for r in range(len(table.rows))
        ],
    }


def provenance(run: RunSummary) -> dict[str, Any]:
    """Where the numbers of a run come from: recipe, command, machine, versions."""
    environment = run.environment
    machine = environment["machine"]
    facts = [
        ("Recipe", run.recipe_hash),
        ("Split", run.split),
        ("Features", run.metrics.get("store", "")),
        ("Views a clip", _views(run.metrics)),
        ("Trained", environment["time"]),
        ("Machine", f"{machine['processor']}, {machine['cores']} cores"),
        ("System", machine["system"]),
        ("Python", environment["python"]),
        ("gasm-cast", environment["gasm_cast"]),
        ("Commit", environment.get("commit") or "not known"),
        ("Packages", ", ".join(f"{k} {v}" for k, v in environment["packages"].items() if v)),
        ("Command", shlex.join(environment["command"])),
    ]
    return {
        "name": run.name,
        "recipe": run.recipe_hash,
        "facts": [(key, value) for key, value in facts if value],
        "command": (
            f"gasm-cast train {shlex.quote(str(run.path / 'config.toml'))}\n"
            f"gasm-cast evaluate {shlex.quote(str(run.path))} --split {run.split}"
        ),
        "toml": to_toml(run.recipe),
    }


def _views(metrics: Mapping[str, Any]) -> str:
    """Views that each score is the mean of, and their crops where the model learnt from others."""
    views, crops = str(metrics.get("num_views", "")), metrics.get("crops")
    if crops == metrics.get("training_crops"):
        return views
    return f"{views}, crops: {crops}; learnt from crops: {metrics['training_crops']}"
