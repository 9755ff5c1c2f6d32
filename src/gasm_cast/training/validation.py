"""Accuracy during training, by the same scoring that `gasm-cast evaluate` uses."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gasm_cast.annotations import ClipTable
from gasm_cast.evaluation.scoring import score
from gasm_cast.models import FusionModel
from gasm_cast.store import FeatureStore
from gasm_cast.training.clips import Classes
from gasm_cast.training.devices import Precision


@dataclass(frozen=True)
class Accuracy:
    """Share of clips that a model gets right."""

    top1: float
    layers: tuple[float, ...]
    """The same of each earlier layer's own head; of verb groups for the coarse layers."""


def measure(
    model: FusionModel,
    store: FeatureStore,
    clips: ClipTable,
    classes: Classes,
    *,
    batch_size: int,
    device: torch.device,
    precision: Precision,
) -> Accuracy:
    """Score clips, each once for any number of processes, and count."""
    scores = score(model, store, clips.ids, batch_size=batch_size, device=device, precision=precision)
    groups = classes.group_of_class[clips.labels]
    layers = [
        float(
            (probabilities.argmax(axis=1) == (groups if layer < model.coarse_layers else clips.labels)).mean()
        )
        for layer, probabilities in enumerate(scores.layer_probabilities)
    ]
    top1 = float((scores.probabilities.argmax(axis=1) == clips.labels).mean())
    return Accuracy(top1=top1, layers=tuple(layers))
