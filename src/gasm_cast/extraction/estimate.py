"""What an extraction would cost, told before it starts: a few videos are timed, nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.pipeline import Pipeline, VideoFeatures
from gasm_cast.extraction.reading import Source
from gasm_cast.store import StoredDtype

_ROUNDS = 10
"""Tried, of which the first and the last are not timed."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Size and time of an extraction."""

    num_clips: int
    num_missing: int
    """Clips without a file."""
    num_views: int
    semantic_shape: tuple[int, int]
    """Tokens and width of one view."""
    motion_shape: tuple[int, int]
    num_bytes: int
    """Size of the store."""
    seconds: float | None
    """Expected time with this many workers; None if none of the videos tried could be read."""

    def __str__(self) -> str:
        """Lines for a person."""
        took = "unknown, none of the videos tried could be read"
        if self.seconds is not None:
            took = f"about {timedelta(seconds=round(self.seconds))}"
        missing = f"{self.num_missing} of them without a file"
        return "\n".join(
            [
                f"clips   {self.num_clips}, {missing}; {self.num_views} view(s) each",
                f"a view  semantic {list(self.semantic_shape)}, motion {list(self.motion_shape)}",
                f"store   {self.num_bytes / 1e6:,.1f} MB",
                f"time    {took}",
            ]
        )


def estimate(
    sources: Sequence[Source], extractor: Extractor, options: PipelineOptions, *, dtype: StoredDtype
) -> Estimate:
    """Time some videos, taken evenly from all of them, in the pipeline itself."""
    present = [source for source in sources if source.path is not None]
    specs = (extractor.semantic.spec, extractor.motion.spec)
    description = extractor.description(dtype)
    return Estimate(
        num_clips=len(sources),
        num_missing=len(sources) - len(present),
        num_views=extractor.num_views,
        semantic_shape=(specs[0].grid.num_tokens, specs[0].width),
        motion_shape=(specs[1].grid.num_tokens, specs[1].width),
        num_bytes=len(present) * description.num_views * description.view_bytes,
        seconds=_seconds(present, Pipeline(extractor, options)),
    )


def _seconds(sources: Sequence[Source], pipeline: Pipeline) -> float | None:
    """Expected time of all videos; None if none of those tried could be read.

    Results leave the pipeline in rounds: a batch at once, or a video of each process at about the
    same time. So whole rounds are timed, without the first, which also waits for the processes
    to start, and the last, after which nothing is decoded. Few videos are all done, and timed as
    they are.
    """
    a_round = pipeline.num_workers if pipeline.extractor.in_workers else pipeline.videos_a_batch
    num_tried = min(len(sources), _ROUNDS * a_round)
    sample = [sources[place * len(sources) // num_tried] for place in range(num_tried)]
    stamps = [time.perf_counter()]
    was_read = []
    for _, features in pipeline.run([sample]):
        stamps.append(time.perf_counter())
        was_read.append(isinstance(features, VideoFeatures))
    if not any(was_read):
        return None
    if num_tried == len(sources):
        return stamps[-1] - stamps[0]
    return (stamps[-1 - a_round] - stamps[a_round]) * len(sources) / (num_tried - 2 * a_round)
