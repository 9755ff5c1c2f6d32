"""A pair of backbones with the views they see: all that decides what a video's features are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gasm_cast.backbones import Backbone, load_backbone
from gasm_cast.errors import InputError
from gasm_cast.extraction.options import CROPS, Crops, ExtractorOptions
from gasm_cast.extraction.reading import StreamReader, VideoReader
from gasm_cast.store import (
    StoredDtype,
    StoreDescription,
    StreamDescription,
    difference,
    provenance,
    with_crops_of,
)
from gasm_cast.video import RESIZE_RULE, Sampling, spread_views

SAMPLING_RULE = "frame floor((i + (v + 0.5) / V) n / F) of n: view v of V, i = 0 .. F - 1"


@dataclass(frozen=True)
class Extractor:
    """Two backbones and the views of a video that they see."""

    semantic: Backbone
    motion: Backbone
    num_temporal_views: int = 1
    crops: Crops = "centre"
    on_gpu: bool = False
    """Whether its torch backbones run on a GPU; they then take clips in batches."""

    @classmethod
    def load(cls, options: ExtractorOptions) -> Extractor:
        """Load the backbones.

        Raises:
            InputError: if a name is unknown or weights cannot be read.
        """
        device = _own_device(options.device)
        return cls(
            load_backbone(
                options.semantic,
                stream="semantic",
                weights=options.semantic_weights,
                semantic_frames=options.semantic_frames,
                device=device,
                precision=options.precision,
            ),
            load_backbone(
                options.motion,
                stream="motion",
                weights=options.motion_weights,
                device=device,
                precision=options.precision,
            ),
            options.views,
            options.crops,
            on_gpu=torch.cuda.is_available() and options.device != "cpu",
        )

    @classmethod
    def like(
        cls,
        made_by: Mapping[str, Any],
        *,
        num_views: int | None = None,
        crops: Crops | None = None,
        semantic_weights: str | None = None,
        motion_weights: str | None = None,
        device: str = "auto",
    ) -> Extractor:
        """The extractor that made a store's features.

        Args:
            made_by: The provenance of a store or of a checkpoint, or a whole manifest.
            num_views: Views of each clip, over all crops; by default one temporal view.
            crops: Parts of the frame to see, where they are not those of the features.
            semantic_weights: Where its weights lie, if not at the name's own hub id.
            motion_weights: The same for the motion stream.
            device: Where torch backbones run.

        Raises:
            InputError: if the features were not extracted from videos by this package, or
                if what can be loaded now would give other features: names the difference.
        """
        made_of = made_by["preprocessing"].get("crops")
        if made_of not in CROPS:
            raise InputError(
                "these features were not extracted from videos by `gasm-cast extract`, so a video cannot be "
                "turned into such features here; extract it where the others come from, and import it"
            )
        crops = crops or made_of
        semantic, motion = (made_by["streams"][stream]["backbone"] for stream in ("semantic", "motion"))
        num_frames = made_by["streams"]["semantic"]["grid"][0]
        options = ExtractorOptions(
            semantic=semantic["name"],
            motion=motion["name"],
            semantic_weights=semantic_weights or _hub_id(semantic, "--semantic-weights"),
            motion_weights=motion_weights or _hub_id(motion, "--motion-weights"),
            semantic_frames=semantic.get("semantic_frames", "mean" if num_frames == 1 else num_frames),
            views=(num_views or len(CROPS[crops])) // len(CROPS[crops]),
            crops=crops,
            device=device,
        )
        extractor = cls.load(options)
        made_now = with_crops_of(made_by, extractor.description().to_json())
        if found := difference(_without_precision(made_by), _without_precision(made_now)):
            raise InputError(f"features made now would differ from those of the model: {found} (then, now)")
        return extractor

    def other_precision(self, made_by: Mapping[str, Any]) -> str | None:
        """Arithmetic of the described features where it is not this extractor's; they differ by rounding."""
        made_now = self.description().to_json()
        for name, stream in made_by["streams"].items():
            precision = stream["backbone"].get("precision")
            if precision != made_now["streams"][name]["backbone"].get("precision"):
                return str(precision)
        return None

    @property
    def num_views(self) -> int:
        """Views of each clip, over time and crops."""
        return self.num_temporal_views * len(CROPS[self.crops])

    @property
    def in_workers(self) -> bool:
        """Whether the decoding processes compute both streams, so that no batches are needed."""
        return self.semantic.in_worker and self.motion.in_worker

    def samplings(self, backbone: Backbone) -> tuple[Sampling, ...]:
        """The views as one of the backbones wants them, crops changing fastest."""
        return spread_views(
            self.num_temporal_views,
            CROPS[self.crops],
            num_frames=backbone.num_frames,
            size_px=backbone.input_size_px,
        )

    def reader(self) -> VideoReader:
        """What the decoding workers run."""
        semantic, motion = (
            StreamReader(self.samplings(backbone), backbone if backbone.in_worker else None)
            for backbone in (self.semantic, self.motion)
        )
        return VideoReader(semantic, motion)

    def description(self, dtype: StoredDtype = "float16") -> StoreDescription:
        """What a store of these features says about itself."""
        return StoreDescription(
            semantic=StreamDescription(self.semantic.spec, self.semantic.describe()),
            motion=StreamDescription(self.motion.spec, self.motion.describe()),
            preprocessing={"sampling": SAMPLING_RULE, "crops": self.crops, "resize": RESIZE_RULE},
            num_views=self.num_views,
            dtype=dtype,
        )


def _hub_id(backbone: Mapping[str, Any], option: str) -> str | None:
    """Where to fetch the weights of a described backbone; None if its name tells.

    Raises:
        InputError: if they came from a file of the person who extracted.
    """
    weights = backbone.get("weights")
    if weights is None or "/" in weights:
        return weights
    raise InputError(
        f"the {backbone['name']} features were made with the weights {weights} "
        f"(sha256 {backbone['sha256'][:16]}...); say where they lie with {option}"
    )


def _without_precision(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of a description without what may differ here, half precision.

    Features made in bf16 on a GPU differ from those made in fp32 by rounding alone, and who
    predicts may have no GPU.
    """
    streams = {
        name: {**stream, "backbone": {k: v for k, v in stream["backbone"].items() if k != "precision"}}
        for name, stream in made_by["streams"].items()
    }
    return {**provenance(made_by), "streams": streams}


def _own_device(device: str) -> str:
    """Under torchrun each process takes the GPU of its own number, where there is one."""
    if device not in ("auto", "cuda") or "LOCAL_RANK" not in os.environ:
        return device
    return f"cuda:{os.environ['LOCAL_RANK']}" if torch.cuda.is_available() else device
