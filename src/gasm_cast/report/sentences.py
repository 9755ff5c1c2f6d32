"""What a page says in words: whole sentences, made from numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gasm_cast.report.models import ModelSummary
from gasm_cast.report.tables import write_value


def headline(model: ModelSummary) -> str:
    """The page's title."""
    return f"{model.name} recognises {_percent(model.metrics['top1']['value'])}% of the clips"


def lede(model: ModelSummary, differences: Sequence[Mapping[str, Any]]) -> str:
    """How sure the title is, and how the best of the other models does on the same clips.

    Args:
        model: The model that the page is about.
        differences: Paired differences to the others, as `evaluation.comparison` records them.
    """
    low, high = model.metrics["top1"]["interval"]
    seeds = model.top1_of_seeds
    mean = ""
    if model.num_seeds > 1:
        mean = f", the mean of {model.num_seeds} seeds ({_percent(min(seeds))} to {_percent(max(seeds))})"
    text = (
        f"Top-1 accuracy over {model.metrics['num_scored']:,} clips of {len(model.class_names)} "
        f"classes{mean}; the 95% interval reaches from {_percent(low)} to {_percent(high)}."
    )
    if differences:
        best = max(differences, key=lambda record: record["accuracy_b"])
        than = best["b"] if len(differences) == 1 else f"{best['b']}, the best of the others"
        points = round(100 * best["difference"], 1)
        relation = (
            f"{abs(points):.1f} points {'more' if points > 0 else 'less'} than" if points else "level with"
        )
        interval = write_value(tuple(best["interval"]), "points-interval")
        text += f" That is {relation} {than} (95% interval of the paired difference {interval})."
    return text


def counts(model: ModelSummary) -> str:
    """How many clips of the split were scored, and why not all."""
    metrics = model.metrics
    scored, failed, missing = metrics["num_scored"], len(metrics["failed"]), len(metrics["missing"])
    if not missing and not failed:
        return f"All {scored:,} clips of the split were scored."
    return (
        f"{scored:,} of {scored + missing + failed:,} clips of the split were scored; "
        f"{failed:,} could not be decoded, {missing:,} are not in the feature store."
    )


def intervals(models: Sequence[ModelSummary]) -> str:
    """What intervals and marks of the accuracy table mean."""
    if all(model.num_seeds == 1 for model in models):
        return "Intervals are Wilson's at 95%."
    return (
        "Scores are means over the seeds, which the marks below the bars show. Intervals are Wilson's at "
        "95%, averaged over the seeds: they tell the luck of the clips, not that of training."
    )


def calibration(model: ModelSummary) -> str:
    """How far confidence and accuracy are apart, and what a temperature mends."""
    record = model.metrics["calibration"]
    mean = f", mean of {model.num_seeds} seeds" if model.num_seeds > 1 else ""
    text = (
        f"The confidence of {model.name} is off by {_percent(record['expected_error'])} points "
        f"on average (expected calibration error, 15 bins{mean})."
    )
    if record.get("temperature") is not None:
        mended = record["with_temperature"]["expected_error"]
        return text + (
            f" A temperature of {record['temperature']:.2f}, fitted on held-out training clips, "
            f"brings that to {_percent(mended)}."
        )
    if not model.first.recipe.data.held_out:
        text += (
            " No temperature was fitted, since training held no clips back; with `data.held_out` above 0 "
            "`gasm-cast evaluate` fits one."
        )
    return text


def loss(models: Sequence[ModelSummary]) -> str:
    """A note where models with and without auxiliary heads share a picture of the training loss."""
    with_heads = [model.name for model in models if len(model.metrics["layers"]) > 1]
    if not with_heads or len(with_heads) == len(models):
        return ""
    return (
        f" That of {', '.join(with_heads)} includes the weighted losses of auxiliary heads and cannot be "
        "read against the others."
    )


def only_right(better: ModelSummary, worse: ModelSummary) -> str:
    """Title of the clips that one model gets right and the other does not."""
    if better.num_seeds == worse.num_seeds == 1:
        return f"Right with {better.name}, wrong with {worse.name}"
    return f"Right in more seeds of {better.name} than of {worse.name}"


def cost(models: Sequence[ModelSummary]) -> str:
    """On what the cost was measured, or how it can be."""
    costs = [run.cost for model in models for run in model.runs if run.cost]
    if costs:
        return "Measured on " + "; on ".join(dict.fromkeys(map(_circumstances, costs))) + "."
    return (
        "Operations, time and memory were not measured for these runs; `gasm-cast report --cost` measures "
        "them first, side by side."
    )


def _circumstances(cost: Mapping[str, Any]) -> str:
    return f"{cost['device']}, batches of {cost['batch_size']} clips"


def _percent(share: float) -> str:
    return write_value(share, "percent")
