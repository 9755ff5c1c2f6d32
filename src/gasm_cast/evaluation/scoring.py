"""Scores of clips: the one place where a model is asked for probabilities.

`evaluate`, `predict`, the validation inside training, and ablations all come here, so
that a clip has one answer, whoever asks and whatever else lies in its batch.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed

from gasm_cast.devices import Precision
from gasm_cast.errors import InputError
from gasm_cast.evaluation.metrics import LayerProbabilities, Probabilities
from gasm_cast.models import FusionModel
from gasm_cast.store import Batch, FeatureStore

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Scores:
    """Probabilities of clips, softmax averaged over views."""

    ids: tuple[str, ...]
    probabilities: Probabilities
    layer_probabilities: tuple[LayerProbabilities, ...]
    """The same from each earlier layer's own head, first layer first: classes or verb groups."""


def score(
    model: FusionModel,
    store: FeatureStore,
    ids: Sequence[str] | np.ndarray,
    *,
    num_views: int = 1,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> Scores:
    """Score each clip once, in the order given.

    The model runs in evaluation mode and without gradients. Under `torch.distributed`
    every process calls this with the same ids, scores its own share of them, none twice
    and none padded, and receives all results.

    Args:
        model: The model, on `device`.
        store: Features of the clips.
        ids: Clips to score; all must lie in the store.
        num_views: Views of each clip whose probabilities are averaged.
        batch_size: Clips a forward pass.
        device: Where the model is.
        precision: Arithmetic of the forward pass.

    Raises:
        InputError: if a probability is not finite; names the clips.
        ValueError: if there are no clips.
    """
    if not len(ids):
        raise ValueError("there are no clips to score")
    rank, world = _process()
    rows = store.rows(ids)[rank::world]
    share: list[LayerProbabilities] = []
    if len(rows):
        share = _score_rows(
            model,
            store,
            rows,
            num_views=num_views,
            batch_size=batch_size,
            device=torch.device(device),
            precision=precision,
        )
    shares = [share]
    if world > 1:
        shares = [[] for _ in range(world)]
        distributed.all_gather_object(shares, share)
    order = np.argsort(np.concatenate([np.arange(r, len(ids), world) for r in range(world)]))
    # A process without clips, where there are fewer clips than processes, has no arrays at all.
    outputs = [np.concatenate(parts)[order] for parts in zip(*filter(None, shares), strict=True)]
    _require_finite(ids, outputs[0], precision)
    return Scores(tuple(map(str, ids)), outputs[0], tuple(outputs[1:]))


@dataclass(frozen=True)
class EarlyScores:
    """Probabilities of clips from the first layer that was sure, softmax averaged over views."""

    probabilities: Probabilities
    layers_used: Int[np.ndarray, "clips views"]
    """Exchange layers that each view of each clip took."""


@torch.no_grad()
def score_early(
    model: FusionModel,
    store: FeatureStore,
    ids: Sequence[str],
    confidence: float,
    *,
    num_views: int = 1,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> EarlyScores:
    """Score each clip as :func:`score` does, each view up to the first layer that is sure.

    Args:
        model: The model, on `device`.
        store: Features of the clips.
        ids: Clips to score; all must lie in the store.
        confidence: Probability of the best class at which a layer is sure.
        num_views: Views of each clip whose probabilities are averaged.
        batch_size: Clips a forward pass.
        device: Where the model is.
        precision: Arithmetic of the forward pass.

    Raises:
        InputError: if the model has no earlier layer that scores classes, or a probability
            is not finite; names the clips.
    """
    device = torch.device(device)
    probabilities, layers_used = [], []
    with _evaluation_mode(model), _arithmetic(device, precision):
        for views in _batches(store, store.rows(ids), num_views, batch_size, device):
            early = [
                model.predict_early(view.features.semantic, view.features.motion, confidence)
                for view in views
            ]
            probabilities.append(_mean_softmax([view.logits for view in early]).cpu())
            layers_used.append(torch.stack([view.layers_used for view in early], dim=1).cpu())
    scores = torch.cat(probabilities).numpy()
    _require_finite(ids, scores, precision)
    return EarlyScores(scores, torch.cat(layers_used).numpy())


@torch.no_grad()
def _score_rows(
    model: FusionModel,
    store: FeatureStore,
    rows: Int[np.ndarray, " clips"],
    *,
    num_views: int,
    batch_size: int,
    device: torch.device,
    precision: Precision,
) -> list[LayerProbabilities]:
    """Probabilities of the classifier, then those of each layer's head, averaged over views."""
    scores: list[Tensor] = []
    with _evaluation_mode(model), _arithmetic(device, precision):
        for views in _batches(store, rows, num_views, batch_size, device):
            predictions = [model(view.features.semantic, view.features.motion) for view in views]
            logits = zip(*((p.logits, *p.layer_logits) for p in predictions), strict=True)
            heads = [_mean_softmax(of_views) for of_views in logits]
            scores.append(torch.cat(heads, dim=1).cpu())  # one copy for all heads
    widths = [head.shape[1] for head in heads]
    return [of_head.numpy() for of_head in torch.split(torch.cat(scores), widths, dim=1)]


def _batches(
    store: FeatureStore,
    rows: Int[np.ndarray, " clips"],
    num_views: int,
    batch_size: int,
    device: torch.device,
) -> Iterator[Iterator[Batch]]:
    """Batches of clips, each as its views one after another; all views must be taken."""
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    features = store.batches(
        [batch for batch in batches for _ in range(num_views)],
        views=[np.full(len(batch), view) for batch in batches for view in range(num_views)],
        device=device,
    )
    for _ in batches:
        yield itertools.islice(features, num_views)


def _mean_softmax(logits: Sequence[Tensor]) -> Float[Tensor, "clips scores"]:
    """Softmax averaged over views, in float32 and on the device."""
    return torch.stack([of_view.double().softmax(dim=-1) for of_view in logits]).mean(dim=0).float()


def _arithmetic(device: torch.device, precision: Precision) -> torch.autocast:
    dtype = _AUTOCAST.get(precision)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


@contextlib.contextmanager
def _evaluation_mode(model: FusionModel) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _process() -> tuple[int, int]:
    """Rank and number of processes."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _require_finite(
    ids: Sequence[str] | np.ndarray, probabilities: Float[np.ndarray, "clips _"], precision: str
) -> None:
    broken = [clip for clip, row in zip(ids, probabilities, strict=True) if not np.isfinite(row).all()]
    if broken:
        remedy = "" if precision == "fp32" else "try fp32; "
        raise InputError(
            f"{len(broken)} of {len(ids)} clips have no finite probabilities in {precision}, first "
            f"{broken[0]}; {remedy}`gasm-cast store verify` checks the features"
        )
