"""One self-contained HTML page for a run or a comparison of runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from gasm_cast import __version__
from gasm_cast.errors import InputError
from gasm_cast.files import write_text
from gasm_cast.report import clips as clip_views
from gasm_cast.report import figures, sentences, style, views
from gasm_cast.report.clustering import confusion_order
from gasm_cast.report.films import film_strips
from gasm_cast.report.models import ModelSummary
from gasm_cast.report.record import RunSummary


@runtime_checkable
class PairedComparison(Protocol):
    """How the first model of a page differs from another on the same clips.

    `evaluation.comparison.Comparison` is one; this room does not know that one.
    """

    @property
    def record(self) -> Mapping[str, Any]:
        """Both names, the difference and its interval."""

    @property
    def only_a(self) -> Sequence[str]:
        """Clips that the first model gets right in more of its seeds."""

    @property
    def only_b(self) -> Sequence[str]:
        """Clips that the other model gets right in more of its seeds."""


def build(
    groups: Mapping[str, Sequence[RunSummary]],
    out: Path,
    *,
    comparisons: Sequence[PairedComparison] = (),
    num_clips: int = 12,
) -> None:
    """Write the page.

    The first model is the one that the page is about; the others are what it is compared
    with. The page holds its pictures, videos, style and script, and loads nothing.

    Args:
        groups: Evaluated runs of one split by model, those of a model differing in their seed,
            as `read_groups` gives them.
        out: The HTML file.
        comparisons: The first model against others, by name.
        num_clips: Clips shown in each group of clips; their videos are looked for where the
            first run's recipe has its annotations.

    Raises:
        InputError: if the runs are of different splits or classes, or the file cannot be
            written.
    """
    models = [ModelSummary(name, tuple(runs)) for name, runs in groups.items()]
    _require_comparable([run for model in models for run in model.runs])
    environment = Environment(
        loader=PackageLoader("gasm_cast.report"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _mark_code
    context = _context(models, comparisons, num_clips)
    for name in ("css", "js"):
        # The style and the script are part of this package and hold nothing that a user wrote.
        context[name] = Markup(environment.get_template(f"report.{name}").render())
    write_text(out, environment.get_template("report.html.j2").render(context))


def _context(
    models: Sequence[ModelSummary], comparisons: Sequence[PairedComparison], num_clips: int
) -> dict[str, Any]:
    """Everything that the page's template prints, section by section."""
    primary, marked = models[0], _marked(models[1:])
    cost = views.cost([replace(model.first, name=model.name, metrics=model.metrics) for model in models])
    explained = [clip for run in primary.runs for clip in clip_views.explanations(run)]
    context: dict[str, Any] = {
        **_opening(models, marked),
        **_accuracy(models, [comparison.record for comparison in comparisons]),
        "layers": _layer_figures(primary),
        **_classes(primary, marked),
        "calibration": _calibration_figures(primary),
        "calibration_sentence": sentences.calibration(primary),
        "cost_table": views.table(cost) if cost else None,
        "cost_sentence": sentences.cost(models),
        "curves": _curves([primary, *marked]),
        "explained": explained,
        **_clip_groups([primary, *marked], models, comparisons, explained, num_clips),
        "provenance": [views.provenance(run) for model in models for run in model.runs],
        "version": __version__,
    }
    return context | {"sections": _sections(context)}


def _opening(models: Sequence[ModelSummary], marked: Sequence[ModelSummary]) -> dict[str, Any]:
    primary = models[0]
    return {
        "title": f"{primary.name} on {primary.first.split}",
        "dataset": primary.first.recipe.data.annotations.name,
        "split": primary.first.split,
        "primary": primary,
        "marks": views.marks(marked),
        "num_unmarked": len(models) - 1 - len(marked),
        "several_seeds": any(model.num_seeds > 1 for model in models),
        "headline": sentences.headline(primary),
        "light_palette": style.css_variables(style.PALETTE),
        "dark_palette": style.css_variables(style.DARK_PALETTE),
    }


def _accuracy(models: Sequence[ModelSummary], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    primary = models[0]
    rows, axis = views.models(models)
    return {
        "lede": sentences.lede(primary, records),
        "counts_sentence": sentences.counts(primary),
        "interval_sentence": sentences.intervals(models),
        "models": rows,
        "axis": axis,
        "comparison_table": views.table(views.comparisons(records)) if records else None,
        "unscored": [*primary.metrics["failed"], *primary.metrics["missing"]],
    }


def _classes(primary: ModelSummary, marked: Sequence[ModelSummary]) -> dict[str, Any]:
    """Classes, verb groups, and the confusion matrix that the page's script reads too."""
    matrix = np.array(primary.metrics["confusion"])
    order = confusion_order(matrix)
    confused = views.confused_pairs(primary)
    names_in_row = {r: f"{row[0]}\n{row[1]}" for r, row in enumerate(confused.rows)}
    return {
        "classes": views.classes(primary, marked),
        "verb_groups": views.verb_groups(primary, marked) if primary.has_verb_groups else [],
        "confusion": _figure(
            figures.confusion(matrix, primary.class_names, order),
            "Confusion matrix",
            "Its largest entries are listed in the table below.",
        ),
        "confused_table": views.table(confused, names_in_row),
        "data": _script_data(primary, order),
    }


def _sections(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Anchor and title of each section that the page has."""
    sections = (
        ("accuracy", "Accuracy", True),
        ("layers", "Layers", context["layers"]),
        ("classes", "Classes", True),
        ("confusions", "Confusions", True),
        ("calibration", "Calibration", True),
        ("cost", "Cost", True),
        ("training", "Training", context["curves"]),
        ("explained", "Explained", context["explained"]),
        ("clips", "Clips", context["hard"] or context["differences"]),
        ("provenance", "Provenance", True),
    )
    return [(anchor, title) for anchor, title, shown in sections if shown]


def _marked(others: Sequence[ModelSummary]) -> list[ModelSummary]:
    """The others that pictures compare with, as many as there are colours: the best, in their order."""
    by_accuracy = sorted(others, key=lambda model: -model.metrics["top1"]["value"])
    best = {model.name for model in by_accuracy[: len(style.SERIES) - 1]}
    return [model for model in others if model.name in best]


def _require_comparable(runs: Sequence[RunSummary]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.split != first.split:
            raise InputError(f"{run.path} is of split {run.split!r}, {first.path} of {first.split!r}")
        if run.class_names != first.class_names:
            raise InputError(f"{run.path} and {first.path} have different classes and cannot share a page")


def _figure(figure: Figure, title: str, caption: str) -> dict[str, Any]:
    # The SVG comes from matplotlib, which escapes the text it is given.
    return {"svg": Markup(style.to_svg(figure, title, caption)), "caption": caption}


def _layer_figures(model: ModelSummary) -> list[dict[str, Any]]:
    scales = [("top1", "classes"), ("group_top1", "verb groups")]
    made = []
    for key, what in scales if model.has_verb_groups else scales[:1]:
        # A layer that was trained on verb groups has no answer in classes; one point is no course.
        shown = [layer for layer in model.layers if layer[key] is not None]
        if len(shown) < 2:
            continue
        values = ", ".join(f"{layer['name']} {views.percent(layer[key]['value'])}%" for layer in shown)
        figure = figures.layer_accuracy({model.name: shown}, key)
        made.append(_figure(figure, f"Accuracy by layer, {what}", f"On {what}: {values}."))
    return made


def _calibration_figures(model: ModelSummary) -> list[dict[str, Any]]:
    figure = figures.reliability(model.metrics["calibration"]["bins"], model.name)
    caption = "Accuracy of the clips in each bin of confidence; on the dashed line they agree."
    return [_figure(figure, "Reliability diagram", caption)]


def _curves(models: Sequence[ModelSummary]) -> list[dict[str, Any]]:
    lines = ", a line for each seed" if any(model.num_seeds > 1 for model in models) else ""
    made = []
    for key, what, axis, note in (
        ("train_loss", "Training loss", "loss (nats)", sentences.loss(models)),
        ("held_out_top1", "Held-out accuracy", "accuracy", ""),
        ("validation_top1", "Accuracy on validation", "accuracy", ""),
    ):
        series = {model.name: _courses(model, key) for model in models}
        # One value, at the end, is in the table of accuracy.
        if any(len(course) > 1 for courses in series.values() for course in courses):
            figure = figures.training_curves(series, axis, shares=key.endswith("top1"))
            made.append(_figure(figure, f"{what} over epochs", f"{what} after each epoch{lines}.{note}"))
    return made


def _courses(model: ModelSummary, key: str) -> list[list[tuple[int, float]]]:
    """Epochs and values of each seed that has any."""
    courses = [
        [(event["epoch"], event[key]) for event in run.epochs if event.get(key) is not None]
        for run in model.runs
    ]
    return [course for course in courses if course]


def _clip_groups(
    shown: Sequence[ModelSummary],
    models: Sequence[ModelSummary],
    comparisons: Sequence[PairedComparison],
    explained: Sequence[Mapping[str, Any]],
    num_clips: int,
) -> dict[str, Any]:
    """Hard cases of the first model, and what only it or only another one gets right."""
    primary = models[0]
    by_name = {model.name: model for model in models}
    hard = clip_views.hard_cases(primary.runs, num_clips)
    found = []
    for comparison in comparisons:
        a, b = by_name[comparison.record["a"]], by_name[comparison.record["b"]]
        for better, worse, clips in ((a, b, comparison.only_a), (b, a, comparison.only_b)):
            if clips:
                chosen = clip_views.widest_gap(clips, better, worse, num_clips)
                found.append((better, worse, len(clips), chosen))
    films = film_strips(
        primary.first.annotations,
        primary.first.split,
        [*hard, *(clip for *_, chosen in found for clip in chosen)],
    )
    films |= {clip["id"]: clip["film"] for clip in explained if clip["film"] is not None}
    return {
        "hard": [clip_views.card(clip, shown, films) for clip in hard],
        "differences": [
            {
                "title": sentences.only_right(better, worse),
                "sentence": f"Clips: {num}; shown are those to whose true class {better.name} gives "
                f"most more than {worse.name}.",
                "clips": [clip_views.card(clip, (better, worse), films) for clip in chosen],
            }
            for better, worse, num, chosen in found
        ],
    }


def _mark_code(text: str) -> Markup:
    """A sentence whose commands stand between backticks."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(p) if k % 2 else p for k, p in enumerate(parts))


def _script_data(model: ModelSummary, order: Int[np.ndarray, " classes"]) -> Markup:
    data = {
        "names": model.class_names,
        "order": order.tolist(),
        "confusion": model.metrics["confusion"],
        "seeds": model.num_seeds,
    }
    # Inside a script element only "</" could end it early; JSON may write it as "<\\/".
    return Markup(json.dumps(data, ensure_ascii=False).replace("</", "<\\/"))
