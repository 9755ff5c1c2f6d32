"""The time of an extraction, told from a few videos."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32, Shaped

from gasm_cast.backbones.classic_motion import ClassicMotion
from gasm_cast.extraction.estimate import estimate
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.reading import Source

VIDEO_SEC = 0.05


@dataclass(frozen=True)
class Slow(ClassicMotion):
    """As a backbone on a GPU: it takes batches in the main process, and a known time for each clip."""

    in_worker: bool = False

    def forward(
        self, frames: Shaped[np.ndarray, "batch frames height width 3"]
    ) -> Float32[np.ndarray, "batch tokens channels"]:
        time.sleep(VIDEO_SEC * len(frames))
        return np.zeros((len(frames), self.spec.grid.num_tokens, self.spec.width), np.float32)


EXTRACTOR = Extractor(replace(Slow(), stream="semantic"), Slow())
OPTIONS = PipelineOptions(workers=1, batch_size=4)


@pytest.mark.parametrize("num_videos", [3, 12, 400])
def test_the_time_of_batches_is_told_from_whole_batches(clips: Path, num_videos: int) -> None:
    sources = [Source(str(place), clips / f"{place % 6}.webm") for place in range(num_videos)]
    seconds = estimate(sources, EXTRACTOR, OPTIONS, dtype="float16").seconds
    computing = 2 * VIDEO_SEC * num_videos
    # Decoding goes on meanwhile, but processes have to start, and the machine may be busy.
    assert seconds is not None
    assert computing * 0.99 < seconds < 3 * computing + 10


def test_size_and_missing_files(clips: Path) -> None:
    sources = [Source("0", clips / "0.webm"), Source("absent", None)]
    told = estimate(sources, EXTRACTOR, OPTIONS, dtype="int8")
    assert (told.num_clips, told.num_missing) == (2, 1)
    assert told.num_bytes == 2 * 8 * 512
    assert estimate(sources[1:], EXTRACTOR, OPTIONS, dtype="float16").seconds is None
