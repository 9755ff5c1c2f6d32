"""A backbone that some clips break; in a module without torch, since workers import it."""

import os
import signal
import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from gasm_cast.backbones.classic_semantic import ClassicSemantic


@dataclass(frozen=True)
class Fragile(ClassicSemantic):
    """Classic tokens, but dark clips hang and bright ones kill the process."""

    def forward(
        self, frames: Shaped[np.ndarray, "batch frames height width 3"]
    ) -> Shaped[np.ndarray, "batch tokens channels"]:
        if frames.max() < 50:
            time.sleep(60)
        if frames.min() > 200:
            os.kill(os.getpid(), signal.SIGKILL)
        tokens = super().forward(frames)
        if frames[..., 2].max() < 50:  # no blue
            tokens[0, 0, 0] = np.nan
        if frames[..., 1].max() < 50:  # no green
            tokens[0, 0, 0] = 70000
        return tokens
