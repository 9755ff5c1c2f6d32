"""How stored tokens follow a clip that is mirrored left to right, for the backbones where it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from gasm_cast.backbones import classic_motion, classic_semantic
from gasm_cast.errors import InputError

_CHANNELS: dict[tuple[Any, ...], Callable[[], Int[np.ndarray, " channels"]]] = {
    ("classic", "semantic", 1): classic_semantic.mirrored_channels,
    ("classic", "motion", 1): classic_motion.mirrored_channels,
}
"""By name, stream and definition of a backbone's description."""


def mirrored_channels(backbone: Mapping[str, Any], stream: str) -> Int[np.ndarray, " channels"]:
    """Channel of a clip's tokens that each channel holds once the clip is mirrored.

    The tokens change columns as well. What a network's channels become in a mirror is not
    written in its weights, so only the `classic` features are known.

    Args:
        backbone: Description of the backbone, as a store's manifest holds it.
        stream: The stream that it made.

    Raises:
        InputError: if it is not known for these features.
    """
    key = (backbone.get("name"), stream, backbone.get("definition"))
    if key not in _CHANNELS:
        raise InputError(
            f"how {stream} features of backbone {backbone.get('name', 'unnamed')!r} follow a mirrored clip "
            "is not known, only for 'classic'; set augmentation.flip = false"
        )
    return _CHANNELS[key]()
