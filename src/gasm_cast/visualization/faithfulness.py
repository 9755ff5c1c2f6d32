"""Whether the patches that the model attends to are those that its answer hangs on.

Patches are deleted a few at a time (replaced by the mean of the training features, of
which the model has learnt nothing), and the probability of the predicted class is
followed until none is left. Deleting the most attended ones first should lose it sooner
than deleting at random, and deleting the least attended ones first, later.

Areas under these curves, over the share of deleted patches:

    deletion      most attended first: low if the picture tells the truth
    insertion     least attended first, which is inserting the most attended first, read
                  from the end: high if the picture tells the truth
    random        mean over random orders
    faithfulness  insertion - deletion, in [-1, 1]; 0 if attention says nothing

Source: Petsiuk et al. 2018, "RISE" (arXiv 1806.07421), section 4.2. Differs in that
features are deleted, not pixels: the backbone is frozen and sees the whole clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from einops import repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gasm_cast.models import FusionModel
from gasm_cast.visualization.explaining import Explanation

NUM_STEPS = 10
NUM_RANDOM = 6
_BATCH = 16


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Probability of the predicted class against the share of deleted patches."""

    shares: Float[np.ndarray, " steps"]
    """From 0 to 1."""
    most_attended_first: Float[np.ndarray, " steps"]
    least_attended_first: Float[np.ndarray, " steps"]
    random: Float[np.ndarray, " steps"]
    """Mean over random orders."""

    @property
    def deletion(self) -> float:
        """Area under the curve of the most attended first."""
        return float(np.trapezoid(self.most_attended_first, self.shares))

    @property
    def insertion(self) -> float:
        """Area under the curve of the least attended first."""
        return float(np.trapezoid(self.least_attended_first, self.shares))

    @property
    def random_area(self) -> float:
        """Area under the random curve."""
        return float(np.trapezoid(self.random, self.shares))

    @property
    def faithfulness(self) -> float:
        """Insertion minus deletion."""
        return self.insertion - self.deletion

    def to_json(self) -> dict[str, float]:
        """The four numbers."""
        return {
            "deletion": self.deletion,
            "insertion": self.insertion,
            "random": self.random_area,
            "faithfulness": self.faithfulness,
        }


def measure(
    model: FusionModel,
    semantic: Float[Tensor, "1 tokens width"],
    motion: Float[Tensor, "1 segments motion_width"],
    explanation: Explanation,
    *,
    seed: int = 0,
) -> Faithfulness | None:
    """Delete semantic patches by the attention they get from motion, over all layers and segments.

    Returns:
        None if no layer of the model lets motion read from the patches.
    """
    maps = [layer.motion_from_semantic for layer in explanation.layers]
    read = [weights.mean(axis=(0, 1)) for weights in maps if weights is not None]
    if not read:
        return None
    attended = np.mean(read, axis=0)
    orders = [np.argsort(-attended, kind="stable"), np.argsort(attended, kind="stable")]
    random = np.random.default_rng(seed)
    orders += [random.permutation(len(attended)) for _ in range(NUM_RANDOM)]
    shares = np.linspace(0, 1, NUM_STEPS + 1)
    predicted = int(explanation.answer.probabilities.argmax())
    curves = np.stack(
        [_probabilities(model, semantic, motion, _deleted(order, shares))[:, predicted] for order in orders]
    )
    return Faithfulness(shares, curves[0], curves[1], curves[2:].mean(axis=0))


def _deleted(
    order: Int[np.ndarray, " tokens"], shares: Float[np.ndarray, " steps"]
) -> Bool[np.ndarray, "steps tokens"]:
    """Which patches are gone at each step."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    deleted: np.ndarray = place[None, :] < np.round(shares[:, None] * len(order))
    return deleted


def _probabilities(
    model: FusionModel, semantic: Tensor, motion: Tensor, deleted: Bool[np.ndarray, "steps tokens"]
) -> Float[np.ndarray, "steps classes"]:
    """Probabilities at each step."""
    blank = blank_token(model, semantic)
    masks = torch.from_numpy(_stored_tokens(deleted, model))
    batches = []
    for start in range(0, len(masks), _BATCH):
        tokens = torch.where(masks[start : start + _BATCH, :, None], blank, semantic)
        batches.append(model.probabilities(tokens, motion.expand(len(tokens), -1, -1)).numpy())
    return np.concatenate(batches)


def blank_token(model: FusionModel, semantic: Float[Tensor, "1 tokens width"]) -> Float[Tensor, "1 1 width"]:
    """What a deleted patch becomes: the mean of the training tokens, or of the clip's own where unknown."""
    prepare = model.prepare_semantic
    if not prepare.standardise:
        return semantic.mean(dim=1, keepdim=True)
    return (-prepare.shift / prepare.scale)[None, None]


def _stored_tokens(
    deleted: Bool[np.ndarray, "steps tokens"], model: FusionModel
) -> Bool[np.ndarray, "steps stored_tokens"]:
    """The same in tokens as the store holds them, of which the model may pool squares."""
    grid, pool = model.semantic_grid, model.config.semantic_pool
    return repeat(
        deleted,
        "s (f r c) -> s (f r i c j)",
        f=grid.num_frames,
        r=grid.num_rows,
        c=grid.num_cols,
        i=pool,
        j=pool,
    )
