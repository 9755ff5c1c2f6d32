"""The names of all backbones, and the weights on the hub that they stand for."""

from __future__ import annotations

from typing import Final, Literal, TypeGuard, get_args

I3DName = Literal["i3d-r50", "i3d-r50-res5", "i3d-inception", "i3d-inception-mixed5c"]
"""I3D by network and endpoint; their weights are files, not on the hub."""

IMAGE_HUB_IDS: Final = {
    "dinov2-small": "facebook/dinov2-small",
    "dinov2-base": "facebook/dinov2-base",
    "dinov2-large": "facebook/dinov2-large",
    "dinov2-giant": "facebook/dinov2-giant",
    "dinov2-with-registers-small": "facebook/dinov2-with-registers-small",
    "dinov2-with-registers-base": "facebook/dinov2-with-registers-base",
    "dinov2-with-registers-large": "facebook/dinov2-with-registers-large",
    "dinov2-with-registers-giant": "facebook/dinov2-with-registers-giant",
    "dinov3-vits16": "facebook/dinov3-vits16-pretrain-lvd1689m",
    "dinov3-vitb16": "facebook/dinov3-vitb16-pretrain-lvd1689m",
    "dinov3-vitl16": "facebook/dinov3-vitl16-pretrain-lvd1689m",
}
"""Image transformers: semantic stream."""

VIDEO_HUB_IDS: Final = {
    "videomae-small-ssv2": "MCG-NJU/videomae-small-finetuned-ssv2",
    "videomae-base": "MCG-NJU/videomae-base",
    "videomae-base-ssv2": "MCG-NJU/videomae-base-finetuned-ssv2",
    "videomae-large": "MCG-NJU/videomae-large",
    "vjepa2-vitl-256": "facebook/vjepa2-vitl-fpc64-256",
    "vjepa2-vitl-256-ssv2": "facebook/vjepa2-vitl-fpc16-256-ssv2",
    "vjepa2-vith-256": "facebook/vjepa2-vith-fpc64-256",
    "vjepa2-vitg-256": "facebook/vjepa2-vitg-fpc64-256",
    "vjepa2-vitg-384": "facebook/vjepa2-vitg-fpc64-384",
    "vjepa2-vitg-384-ssv2": "facebook/vjepa2-vitg-fpc64-384-ssv2",
}
"""Video transformers: either stream. Those named ssv2 have seen the labels of Something-Something V2."""


def is_i3d(name: str) -> TypeGuard[I3DName]:
    """Whether a name is one of :data:`I3DName`."""
    return name in get_args(I3DName)
