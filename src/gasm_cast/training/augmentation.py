"""Augmentation of frozen features: token and segment dropout, noise, mixup, mirror.

Features come out of a frozen backbone, so pixels can no longer be changed; what is left
is to hide tokens, to disturb and to mix them, and to mirror their grid. All of it acts on
tokens as the model prepares them, pooled and standardised: zero is a channel's mean, one
its deviation. All draws come from torch's global generator, which training seeds anew for
every batch. Random views are drawn where features are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gasm_cast.annotations import flip_labels
from gasm_cast.backbones.mirroring import mirrored_channels
from gasm_cast.config import AugmentationConfig
from gasm_cast.geometry import Grid, cells
from gasm_cast.training.losses import Targets


class Permutation(NamedTuple):
    """Where each token and each channel of a stream's mirror image is found in the stream."""

    tokens: Int[Tensor, " tokens"]
    channels: Int[Tensor, " channels"]

    def __call__(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """The tokens of the mirrored clips."""
        return x[:, self.tokens][..., self.channels]


@dataclass(frozen=True)
class Mirror:
    """What a clip mirrored left to right becomes: its tokens in another order, and another label.

    Standardised tokens may be mirrored like stored ones if the statistics are those of
    clips and mirror images together: then a channel and the one it becomes share theirs.
    """

    semantic: Permutation
    motion: Permutation
    labels: Int[Tensor, " classes"]
    """Class of the mirrored clip; -1 where the list has none, and the clip is never mirrored."""

    @classmethod
    def create(
        cls,
        class_names: tuple[str, ...],
        provenance: Mapping[str, Any],
        *,
        semantic: Grid,
        motion: Grid,
    ) -> Mirror:
        """Mirror of a store's features, of tokens on these grids.

        Raises:
            InputError: if it is not known how they follow a mirrored clip.
        """
        semantic_order, motion_order = (
            Permutation(
                _mirrored_columns(grid),
                torch.from_numpy(mirrored_channels(provenance["streams"][stream]["backbone"], stream)),
            )
            for stream, grid in (("semantic", semantic), ("motion", motion))
        )
        return cls(semantic_order, motion_order, torch.from_numpy(flip_labels(class_names)))


def _mirrored_columns(grid: Grid) -> Int[Tensor, " tokens"]:
    c = cells(grid)
    mirrored = (c[:, 0], c[:, 1], grid.num_cols - 1 - c[:, 2])
    return torch.from_numpy(np.ravel_multi_index(mirrored, grid.shape))


class Augmented(NamedTuple):
    """A batch as the model sees it in training."""

    semantic: Float[Tensor, "batch tokens width"]
    motion: Float[Tensor, "batch segments motion_width"]
    targets: Targets


class Augmentation(nn.Module):
    """Turns prepared tokens and labels into what the model learns from.

    Args:
        config: Strengths.
        group_of_class: Verb group of each class.
        num_groups: Number of verb groups.
        mirror: How clips are mirrored; None never mirrors.
    """

    group_of_class: Tensor
    mirrored_labels: Tensor

    def __init__(
        self,
        config: AugmentationConfig,
        group_of_class: Int[Tensor, " classes"],
        num_groups: int,
        mirror: Mirror | None,
    ) -> None:
        super().__init__()
        self.config = config
        self.num_groups = num_groups
        self.register_buffer("group_of_class", group_of_class, persistent=False)
        self.mirrors = mirror is not None
        if mirror is not None:
            self.register_buffer("mirrored_labels", mirror.labels, persistent=False)
            for stream, order in (("semantic", mirror.semantic), ("motion", mirror.motion)):
                self.register_buffer(f"{stream}_tokens", order.tokens, persistent=False)
                self.register_buffer(f"{stream}_channels", order.channels, persistent=False)

    def forward(
        self,
        semantic: Float[Tensor, "batch tokens width"],
        motion: Float[Tensor, "batch segments motion_width"],
        labels: Int[Tensor, " batch"],
    ) -> Augmented:
        """Augment a batch; the tensors handed in are left as they are."""
        if self.mirrors:
            semantic, motion, labels = self._mirror(semantic, motion, labels)
        targets = Targets.of_labels(labels, self.group_of_class, self.num_groups)
        if self.config.mixup > 0:
            share = _beta(self.config.mixup, labels)
            partner = torch.randperm(len(labels), device=labels.device)
            semantic = torch.lerp(semantic[partner], semantic, share[:, None, None])
            motion = torch.lerp(motion[partner], motion, share[:, None, None])
            targets = targets.mixed(share, partner)
        return Augmented(
            _disturb(semantic, self.config.token_dropout, self.config.noise),
            _disturb(motion, self.config.segment_dropout, self.config.noise),
            targets,
        )

    def _mirror(self, semantic: Tensor, motion: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mirror every second clip, among those whose mirror image has a label."""
        mirrored_labels = self.mirrored_labels[labels]
        chosen = (torch.rand(len(labels), device=labels.device) < 0.5) & (mirrored_labels >= 0)
        return (
            torch.where(chosen[:, None, None], self._order("semantic")(semantic), semantic),
            torch.where(chosen[:, None, None], self._order("motion")(motion), motion),
            torch.where(chosen, mirrored_labels, labels),
        )

    def _order(self, stream: str) -> Permutation:
        return Permutation(self.get_buffer(f"{stream}_tokens"), self.get_buffer(f"{stream}_channels"))


def _beta(parameter: float, like: Tensor) -> Float[Tensor, " batch"]:
    """One draw a clip of Beta(a, a)."""
    concentration = torch.full((len(like),), parameter, device=like.device)
    return torch.distributions.Beta(concentration, concentration, validate_args=False).sample()


def _disturb(
    tokens: Float[Tensor, "batch tokens width"], dropout: float, noise: float
) -> Float[Tensor, "batch tokens width"]:
    """Noise on every token, then zeros in place of those that are dropped."""
    if noise > 0:
        tokens = torch.add(tokens, torch.randn_like(tokens), alpha=noise)
    if dropout > 0:
        kept = torch.rand(tokens.shape[:2], device=tokens.device) >= dropout
        tokens = tokens * kept[..., None]
    return tokens
