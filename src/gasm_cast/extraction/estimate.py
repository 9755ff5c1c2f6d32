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

_MOST_TIMED = 9
_NUMBER_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "int8": 1}


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
    """Time up to eight videos, taken evenly from all of them, in the pipeline itself."""
    present = [source for source in sources if source.path is not None]
    sample = present[:: -(-len(present) // _MOST_TIMED)] if present else []
    stamps = [
        time.perf_counter()
        for _, features in Pipeline(extractor, options).run([sample])
        if isinstance(features, VideoFeatures)
    ]
    # The first result also waits for the processes to start.
    rest_sec = (stamps[-1] - stamps[0]) / (len(stamps) - 1) if len(stamps) > 1 else None
    specs = (extractor.semantic.spec, extractor.motion.spec)
    numbers = sum(spec.grid.num_tokens * spec.width for spec in specs)
    return Estimate(
        num_clips=len(sources),
        num_missing=len(sources) - len(present),
        num_views=extractor.num_views,
        semantic_shape=(specs[0].grid.num_tokens, specs[0].width),
        motion_shape=(specs[1].grid.num_tokens, specs[1].width),
        num_bytes=len(present) * extractor.num_views * numbers * _NUMBER_BYTES[dtype],
        seconds=None if rest_sec is None else rest_sec * len(present),
    )
