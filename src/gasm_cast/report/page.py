"""One self-contained HTML page for a run or a comparison of runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from gasm_cast import __version__
from gasm_cast.errors import InputError
from gasm_cast.files import write_text
from gasm_cast.report import clips as clip_views
from gasm_cast.report import figures, style, views
from gasm_cast.report.clustering import confusion_order
from gasm_cast.report.films import film_strips
from gasm_cast.report.record import RunSummary
from gasm_cast.report.tables import Table


def build(
    runs: Sequence[RunSummary],
    out: Path,
    *,
    comparisons: Sequence[Table] = (),
    num_clips: int = 12,
) -> None:
    """Write the page.

    The first run is the one that the page is about; the others are what it is compared
    with. The page holds its pictures, videos, style and script, and loads nothing.

    Args:
        runs: Evaluated runs of one split.
        out: The HTML file.
        comparisons: Further tables for the section on accuracy.
        num_clips: Clips shown in each group of clips; their videos are looked for where the
            first run's recipe has its annotations.

    Raises:
        InputError: if the runs are of different splits or classes, or the file cannot be
            written.
    """
    _require_comparable(runs)
    environment = Environment(
        loader=PackageLoader("gasm_cast.report"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    context = _context(runs, comparisons, num_clips)
    for name in ("css", "js"):
        # The style and the script are part of this package and hold nothing that a user wrote.
        context[name] = Markup(environment.get_template(f"report.{name}").render())
    write_text(out, environment.get_template("report.html.j2").render(context))


def _context(
    runs: Sequence[RunSummary],
    comparisons: Sequence[Table],
    num_clips: int,
) -> dict[str, Any]:
    primary, others = runs[0], runs[1:]
    model_rows, axis = views.models(runs)
    cost = views.cost(runs)
    confused = views.confused_pairs(primary)
    matrix = np.array(primary.metrics["confusion"])
    order = confusion_order(matrix)
    explained = clip_views.explanations(primary)
    context: dict[str, Any] = {
        "title": f"{primary.name} on {primary.split}",
        "dataset": primary.recipe.data.annotations.name,
        "primary": primary,
        "others": [run.name for run in others],
        "headline": _headline(primary),
        "lede": _lede(primary, others),
        "counts_sentence": _counts(primary),
        "models": model_rows,
        "axis": axis,
        "comparison_tables": [views.table(table) for table in comparisons],
        "unscored": [*primary.metrics["failed"], *primary.metrics["missing"]],
        "layers": _layer_figures(primary),
        "classes": views.classes(runs),
        "group_table": views.table(views.verb_groups(runs)),
        "confusion": _figure(
            figures.confusion(matrix, primary.class_names, order),
            "Confusion matrix",
            "Its largest entries are listed in the table below.",
        ),
        "confused_table": views.table(
            confused, {r: f"{row[0]}\n{row[1]}" for r, row in enumerate(confused.rows)}
        ),
        "calibration": _calibration_figures(primary),
        "calibration_sentence": _calibration(primary),
        "cost_table": views.table(cost) if cost else None,
        "cost_sentence": next((run.cost["device"] for run in runs if "device" in run.cost), ""),
        "curves": _curves(runs),
        "explained": explained,
        **_clip_groups(runs, explained, num_clips),
        "provenance": [views.provenance(run) for run in runs],
        "version": __version__,
        "light_palette": style.css_variables(style.PALETTE),
        "dark_palette": style.css_variables(style.DARK_PALETTE),
        "data": _script_data(primary, order),
    }
    context["sections"] = [
        (id, text)
        for id, text, shown in (
            ("accuracy", "Accuracy", True),
            ("layers", "Layers", context["layers"]),
            ("classes", "Classes", True),
            ("confusions", "Confusions", True),
            ("calibration", "Calibration", True),
            ("cost", "Cost", cost),
            ("training", "Training", context["curves"]),
            ("explained", "Explained", context["explained"]),
            ("clips", "Clips", context["hard"] or context["differences"]),
            ("provenance", "Provenance", True),
        )
        if shown
    ]
    return context


def _require_comparable(runs: Sequence[RunSummary]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.split != first.split:
            raise InputError(f"{run.path} is of split {run.split!r}, {first.path} of {first.split!r}")
        if run.class_names != first.class_names:
            raise InputError(f"{run.path} and {first.path} have different classes and cannot share a page")


def _headline(run: RunSummary) -> str:
    return f"{run.name} recognises {views.percent(run.metrics['top1']['value'])}% of the clips"


def _lede(run: RunSummary, others: Sequence[RunSummary]) -> str:
    low, high = run.metrics["top1"]["interval"]
    text = (
        f"Top-1 accuracy over {run.metrics['num_scored']:,} clips of {len(run.class_names)} classes; "
        f"the 95% interval reaches from {views.percent(low)} to {views.percent(high)}."
    )
    if others:
        best = max(others, key=lambda other: other.metrics["top1"]["value"])
        difference = 100 * (run.metrics["top1"]["value"] - best.metrics["top1"]["value"])
        than = f"{best.name}, the best of the others" if len(others) > 1 else best.name
        text += f" That is {abs(difference):.1f} points {'more' if difference >= 0 else 'less'} than {than}."
    return text


def _counts(run: RunSummary) -> str:
    missing, failed = len(run.metrics["missing"]), len(run.metrics["failed"])
    scored = run.metrics["num_scored"]
    if not missing and not failed:
        return f"All {scored:,} clips of the split were scored."
    return (
        f"{scored:,} of {scored + missing + failed:,} clips of the split were scored; "
        f"{failed:,} could not be decoded, {missing:,} are not in the feature store."
    )


def _calibration(run: RunSummary) -> str:
    calibration = run.metrics["calibration"]
    text = (
        f"The confidence of {run.name} is off by {views.percent(calibration['expected_error'])} points "
        f"on average (expected calibration error, 15 bins)."
    )
    if calibration.get("temperature") is not None:
        mended = calibration["with_temperature"]["expected_error"]
        text += (
            f" A temperature of {calibration['temperature']:.2f}, fitted on held-out training clips, "
            f"brings that to {views.percent(mended)}."
        )
    return text


def _figure(figure: Figure, title: str, caption: str) -> dict[str, Any]:
    # The SVG comes from matplotlib, which escapes the text it is given.
    return {"svg": Markup(style.to_svg(figure, title, caption)), "caption": caption}


def _layer_figures(run: RunSummary) -> list[dict[str, Any]]:
    layers = run.metrics["layers"]
    if len(layers) < 2:
        return []
    made = []
    for key, what in (("top1", "classes"), ("group_top1", "verb groups")):
        shares = [(layer["name"], layer[key]["value"]) for layer in layers if layer[key] is not None]
        values = ", ".join(f"{name} {views.percent(share)}%" for name, share in shares)
        figure = figures.layer_accuracy({run.name: layers}, key)
        made.append(_figure(figure, f"Accuracy by layer, {what}", f"On {what}: {values}."))
    return made


def _calibration_figures(run: RunSummary) -> list[dict[str, Any]]:
    figure = figures.reliability(run.metrics["calibration"]["bins"], run.name)
    caption = "Accuracy of the clips in each bin of confidence; on the dashed line they agree."
    return [_figure(figure, "Reliability diagram", caption)]


def _curves(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    made = []
    for key, what, axis in (
        ("train_loss", "Training loss", "loss (nats)"),
        ("held_out_top1", "Held-out accuracy", "accuracy"),
        ("validation_top1", "Accuracy on validation", "accuracy"),
    ):
        series = {run.name: run.epochs for run in runs if any(key in event for event in run.epochs)}
        if series:
            figure = figures.training_curves(series, key, axis)
            made.append(_figure(figure, f"{what} over epochs", f"{what} after each epoch."))
    return made


def _clip_groups(
    runs: Sequence[RunSummary], explained: Sequence[Mapping[str, Any]], num_clips: int
) -> dict[str, Any]:
    """Hard cases of the first run, and what only one of the first two runs gets right."""
    primary = runs[0]
    hard = clip_views.hard_cases(primary, num_clips)
    pairs = [(runs[0], runs[1]), (runs[1], runs[0])] if len(runs) > 1 else []
    found = [clip_views.only_right(a, b, len(primary.predictions.ids)) for a, b in pairs]
    shown = [*hard, *(clip for clips in found for clip in clips[:num_clips])]
    films = film_strips(primary.recipe.data.annotations, primary.split, shown)
    films |= {clip["id"]: clip["film"] for clip in explained if clip["film"] is not None}
    return {
        "hard": [clip_views.card(clip, runs, films) for clip in hard],
        "differences": [
            {
                "title": f"Right with {a.name}, wrong with {b.name}",
                "sentence": f"Clips: {len(clips)}; shown are those of which {a.name} is surest.",
                "clips": [clip_views.card(clip, (a, b), films) for clip in clips[:num_clips]],
            }
            for (a, b), clips in zip(pairs, found, strict=True)
            if clips
        ],
    }


def _script_data(run: RunSummary, order: Int[np.ndarray, " classes"]) -> Markup:
    data = {"names": run.class_names, "order": order.tolist(), "confusion": run.metrics["confusion"]}
    # Inside a script element only "</" could end it early; JSON may write it as "<\\/".
    return Markup(json.dumps(data, ensure_ascii=False).replace("</", "<\\/"))
