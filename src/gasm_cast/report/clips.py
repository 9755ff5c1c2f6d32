"""Clips on a page: which are shown, what each model said of them, and explanations."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gasm_cast.report.films import FilmStrip, picture
from gasm_cast.report.models import ModelSummary
from gasm_cast.report.record import RunSummary


def hard_cases(runs: Sequence[RunSummary], num: int) -> list[str]:
    """Ids of the clips that all seeds of a model get wrong, the most confident first; ties by id."""
    confidence: dict[str, list[float]] = {}
    for run in runs:
        p = run.predictions
        for clip, label, said, row in zip(p.ids, p.labels, p.predictions, p.probabilities, strict=True):
            if label != said:
                confidence.setdefault(clip, []).append(float(row[said]))
    wrong = [clip for clip, of_seeds in confidence.items() if len(of_seeds) == len(runs)]
    wrong.sort(key=lambda clip: (-statistics.fmean(confidence[clip]), clip))
    return wrong[:num]


def widest_gap(clips: Sequence[str], model: ModelSummary, other: ModelSummary, num: int) -> list[str]:
    """Those clips to whose true class one model gives most, over what the other gives; ties by id."""
    ours, theirs = _share_of_truth(model), _share_of_truth(other)
    return sorted(clips, key=lambda clip: (theirs[clip] - ours[clip], clip))[:num]


def card(clip: str, models: Sequence[ModelSummary], films: Mapping[str, FilmStrip]) -> dict[str, Any]:
    """One clip with the answers of the models that scored it, the first model layer by layer.

    The answer of a model with several seeds is that of most of them.
    """
    names = models[0].class_names
    classes: dict[str, None] = {}  # an ordered set
    answers = []
    truth = ""
    for index, model in enumerate(models):
        scored = [run for run in model.runs if clip in run.row_of]
        if not scored:
            continue
        rows = [run.row_of[clip] for run in scored]
        label = int(scored[0].predictions.labels[rows[0]])
        truth = names[label]
        classes |= {truth: None}
        if index == 0:
            by_layer = [_layer_answers(run, row) for run, row in zip(scored, rows, strict=True)]
            for layer in by_layer[0]:
                answers.append(
                    _answer(f"{model.name}, {layer}", names, label, [said[layer] for said in by_layer])
                )
        probabilities = [run.predictions.probabilities[row] for run, row in zip(scored, rows, strict=True)]
        last = _answer(model.name, names, label, [int(row.argmax()) for row in probabilities])
        if len(scored) == 1:
            last["share"] = f"{100 * float(probabilities[0].max()):.0f}%"
        answers.append(last)
        if index == 0:
            classes |= {last["what"]: None}
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


def _share_of_truth(model: ModelSummary) -> dict[str, float]:
    """Probability of the true class of each clip that all seeds scored, mean over the seeds."""
    of_seeds: dict[str, list[float]] = {}
    for run in model.runs:
        p = run.predictions
        shares = p.probabilities[np.arange(len(p.ids)), p.labels].tolist()
        for clip, share in zip(p.ids, shares, strict=True):
            of_seeds.setdefault(clip, []).append(share)
    return {clip: statistics.fmean(shares) for clip, shares in of_seeds.items()}


def _layer_answers(run: RunSummary, row: int) -> dict[str, int]:
    """Answers in classes by layer; layers that answer in verb groups are left out."""
    layers = run.metrics["layers"][:-1]
    answers = run.predictions.layer_predictions[row].tolist()
    return {
        layer["name"]: answer
        for layer, answer in zip(layers, answers, strict=True)
        if layer["top1"] is not None
    }


def _answer(who: str, names: Sequence[str], label: int, said: Sequence[int]) -> dict[str, Any]:
    """What most seeds said, the first of them where there is no majority."""
    answer, count = Counter(said).most_common(1)[0]
    share = f"{count} of {len(said)}" if len(said) > 1 else None
    return {"who": who, "what": names[answer], "right": answer == label, "share": share}


def _explained(run: RunSummary, meta: Mapping[str, Any]) -> str:
    sentence = f"{run.name} says “{meta['prediction']}” with {100 * meta['probability']:.0f}%."
    measured = meta.get("faithfulness")
    if measured is not None:
        sentence += (
            f" Faithfulness {measured['faithfulness']:+.3f}: the area under its probability when the "
            "attended patches are inserted first, less that when they are deleted first."
        ).replace("-", "−")
    return sentence
