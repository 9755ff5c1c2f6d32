"""Clips on a page: which are shown, what each model said of them, and explanations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gasm_cast.report.films import FilmStrip, picture
from gasm_cast.report.record import RunSummary


def hard_cases(run: RunSummary, num: int) -> list[str]:
    """Ids of the wrong answers, the most confident first; ties by id."""
    p = run.predictions
    wrong = [i for i in range(len(p.ids)) if p.labels[i] != p.predictions[i]]
    wrong.sort(key=lambda i: (-float(p.probabilities[i, p.predictions[i]]), p.ids[i]))
    return [p.ids[i] for i in wrong[:num]]


def only_right(run: RunSummary, other: RunSummary, num: int) -> list[str]:
    """Ids that `run` gets right and `other` wrong, those first of which `run` is surest."""
    a, b = run.predictions, other.predictions
    wrong_in_other = {
        clip for clip, label, said in zip(b.ids, b.labels, b.predictions, strict=True) if label != said
    }
    found = [i for i in range(len(a.ids)) if a.labels[i] == a.predictions[i] and a.ids[i] in wrong_in_other]
    found.sort(key=lambda i: (-float(a.probabilities[i, a.predictions[i]]), a.ids[i]))
    return [a.ids[i] for i in found[:num]]


def card(clip: str, runs: Sequence[RunSummary], films: Mapping[str, FilmStrip]) -> dict[str, Any]:
    """One clip with the answers of the runs that scored it, the first run layer by layer."""
    names = runs[0].class_names
    classes: dict[str, None] = {}  # an ordered set
    answers = []
    truth = ""
    for index, run in enumerate(runs):
        p = run.predictions
        if clip not in p.ids:
            continue
        row = p.ids.index(clip)
        label, said = int(p.labels[row]), int(p.predictions[row])
        truth = names[label]
        layer_names = [layer["name"] for layer in run.metrics["layers"][:-1] if layer["top1"] is not None]
        fine = p.layer_predictions[row][len(run.metrics["layers"]) - 1 - len(layer_names) :]
        if index == 0:
            for layer_name, answer in zip(layer_names, fine.tolist(), strict=True):
                answers.append(_answer(f"{run.name}, {layer_name}", names[answer], answer == label, None))
        share = f"{100 * float(p.probabilities[row, said]):.0f}"
        answers.append(_answer(run.name, names[said], said == label, share))
        classes |= {truth: None}
        if index == 0:
            classes |= {names[said]: None}
    return {
        "id": clip,
        "truth": truth,
        "answers": answers,
        "classes": "\n".join(classes),
        "film": films.get(clip),
    }


def explanations(run: RunSummary) -> list[dict[str, Any]]:
    """The explained clips of a run, from the folders that `gasm-cast explain` wrote."""
    folder = run.path / "explanations"
    found = []
    for meta_path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
        pictures = []
        for entry in meta["pictures"]:
            path = meta_path.parent / entry["file"]
            moving = path.suffix == ".gif"
            pictures.append(
                {
                    "title": entry["title"],
                    "alt": entry["alt"],
                    "film": FilmStrip.of_animation(path) if moving else None,
                    "src": None if moving else picture(path),
                }
            )
        truth = meta.get("label") or ""
        found.append(
            {
                "id": meta["id"],
                "truth": truth,
                "classes": "\n".join(filter(None, dict.fromkeys([truth, meta["prediction"]]))),
                "sentence": _explained(run, meta),
                "film": FilmStrip.of_explanation(meta_path.parent),
                "pictures": pictures,
            }
        )
    return found


def _answer(who: str, what: str, right: bool, share: str | None) -> dict[str, Any]:
    return {"who": who, "what": what, "right": right, "share": share}


def _explained(run: RunSummary, meta: Mapping[str, Any]) -> str:
    sentence = f"{run.name} says “{meta['prediction']}” with {100 * meta['probability']:.0f}%."
    measured = meta.get("faithfulness")
    if measured is not None:
        sentence += (
            f" Faithfulness {measured['faithfulness']:+.3f}: the area under its probability when the "
            "attended patches are inserted first, less that when they are deleted first."
        ).replace("-", "−")
    return sentence
