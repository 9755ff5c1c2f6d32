"""Accuracy during training, by the same scoring that `gasm-cast evaluate` uses."""

from __future__ import annotations

from dataclasses import dataclass

from gasm_cast.annotations import ClipTable
from gasm_cast.devices import resolve_precision
from gasm_cast.evaluation.calibration import negative_log_likelihood
from gasm_cast.evaluation.scoring import score
from gasm_cast.training.learner import Learner
from gasm_cast.training.setup import Data


@dataclass(frozen=True)
class Accuracy:
    """How well a model does on some clips."""

    top1: float
    """Share of clips that it gets right."""
    log_loss: float
    """Mean of -log of the label's probability: tells models apart that get equally many right."""
    layers: tuple[float, ...]
    """Share that each earlier layer's own head gets right; of verb groups for the coarse layers."""

    def is_better_than(self, other: Accuracy | None) -> bool:
        """Whether it is to be preferred: more clips right, or as many with a lower loss."""
        return other is None or (self.top1, -self.log_loss) > (other.top1, -other.log_loss)


def measure(learner: Learner, data: Data, clips: ClipTable) -> Accuracy:
    """Score clips, each once for any number of processes and in all its stored views, and count."""
    model, training, device = learner.model_to_use, learner.recipe.training, learner.fabric.device
    scores = score(
        model,
        data.store,
        clips.ids,
        num_views=data.store.num_views,
        batch_size=training.batch_size,
        device=device,
        precision=resolve_precision(training.precision, device),
    )
    groups = data.classes.group_of_class[clips.labels]
    layers = [
        float(
            (probabilities.argmax(axis=1) == (groups if layer < model.coarse_layers else clips.labels)).mean()
        )
        for layer, probabilities in enumerate(scores.layer_probabilities)
    ]
    top1 = float((scores.probabilities.argmax(axis=1) == clips.labels).mean())
    return Accuracy(
        top1=top1,
        log_loss=negative_log_likelihood(scores.probabilities, clips.labels),
        layers=tuple(layers),
    )
