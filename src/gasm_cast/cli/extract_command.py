"""`gasm-cast extract`: videos -> feature store."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gasm_cast.extraction.options import ExtractorOptions, PipelineOptions


@dataclass(frozen=True, kw_only=True)
class Options:
    """Videos -> feature store.

    Give a data set (its annotations name the clips) or any folder of videos (their ids are
    then the paths below it, without ending). Stop it whenever you like: the same call goes
    on. Clips that came since a store was finished are added to it. A clip that is there is not
    read again: that its file changed is not noticed. Under torchrun each process takes its
    part and the store is the same.

    Exit code 1 says that some clips have no features; they are listed with their reasons.
    """

    videos: Positional[Path]
    """Data set, or folder of videos."""
    out: Path
    """Feature store to write, or to complete."""
    annotations: Path | None = None
    """Annotations of the videos, where they lie elsewhere."""
    split: str = "all"
    """Split to extract."""
    extractor: ExtractorOptions = field(default_factory=ExtractorOptions)
    pipeline: PipelineOptions = field(default_factory=PipelineOptions)
    dtype: Literal["float16", "bfloat16", "float32", "int8"] = "float16"
    """How features are stored."""
    limit: int = 0
    """Extract only this many clips, the first; 0 takes all."""
    retry_failed: bool = False
    """Do again the parts of an existing store in which clips failed; not under torchrun."""
    dry_run: bool = False
    """Say what would be done, how large the store becomes and how long it takes; write nothing."""
    json: Path | None = None
    """Write the counts, reasons and times there."""

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"limit must be at least 0, got {self.limit}")


def run(options: Options) -> int:
    """Extract; 1 if some clips failed."""
    from gasm_cast.extraction.estimate import estimate
    from gasm_cast.extraction.extracting import extract
    from gasm_cast.extraction.extractor import Extractor
    from gasm_cast.extraction.sources import find_sources
    from gasm_cast.files import write_text

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sources = find_sources(options.videos, options.annotations, options.split)
    sources = sources[: options.limit or None]
    extractor = Extractor.load(options.extractor)
    if options.dry_run:
        print(estimate(sources, extractor, options.pipeline, dtype=options.dtype))
        return 0
    summary = extract(
        sources,
        options.out,
        extractor,
        dtype=options.dtype,
        options=options.pipeline,
        retry_failed=options.retry_failed,
    )
    if os.environ.get("RANK", "0") == "0":
        print(summary)
        print(f"store: {options.out}")
    if options.json is not None:
        write_text(options.json, json.dumps(summary.to_json(), indent=2) + "\n")
    return 1 if summary.failures else 0
