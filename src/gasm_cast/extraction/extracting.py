"""Videos -> backbones -> feature store, such that any end of the process leaves a store to go on from."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.pipeline import Pipeline, VideoFeatures
from gasm_cast.extraction.progress import ExtractionProgress
from gasm_cast.extraction.reading import Source
from gasm_cast.extraction.workers import Failed
from gasm_cast.store import FeaturesError, FeatureStore, StoredDtype, StoreWriter

_MOST_SHOWN = 20
_POLL_SEC = 0.5


@dataclass(frozen=True, kw_only=True)
class ExtractionSummary:
    """What an extraction came to: `asked == stored + failed`, over all processes and earlier calls."""

    asked: int
    earlier: int
    """Of them, those that earlier calls had stored or failed; they were not read again."""
    stored: int
    failures: dict[str, str]
    """Reason by id."""
    damaged: dict[str, str]
    """What was lost of clips that this process stored although parts could not be decoded, by id."""
    seconds: float
    """Wall time of this call."""
    clips_per_sec: float
    """Clips that this process read, stored or failed, in that time."""
    shares: dict[str, float]
    """Share of decode, compute and write in the working time of all processes."""

    @property
    def failed(self) -> int:
        """Clips without features."""
        return len(self.failures)

    def __str__(self) -> str:
        """Lines for a person."""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        lines = [
            f"asked {self.asked} = stored {self.stored} + failed {self.failed}",
            *([f"{self.earlier} were there before and were not read again"] if self.earlier else []),
            f"{self.seconds:.1f} s, {self.clips_per_sec:.1f} clips/s; {shares}",
        ]
        failed = "failed (once the files are mended, the same call with --retry-failed does them again)"
        for title, clips in ((failed, self.failures), ("stored, though parts are damaged", self.damaged)):
            if clips:
                lines.append(f"{title}:")
                lines += [f"  {name}: {what}" for name, what in itertools.islice(clips.items(), _MOST_SHOWN)]
            if len(clips) > _MOST_SHOWN:
                lines.append(f"  ... and {len(clips) - _MOST_SHOWN} more")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {**dataclasses.asdict(self), "failed": self.failed}


def extract(
    sources: Sequence[Source],
    store: Path,
    extractor: Extractor,
    *,
    dtype: StoredDtype = "float16",
    options: PipelineOptions | None = None,
    samples_per_shard: int | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> ExtractionSummary:
    """Extract clips into a store, or go on where an earlier call stopped, or add clips to a finished one.

    Clips that are there are not read again, even where their files are others by now.

    Under torchrun each process writes its own shards, and returns when all of them are
    there: torchrun ends the others as soon as one of them reports failed clips.

    Args:
        sources: The clips, in the order of the store; clips that are added come after those there.
        store: Its folder.
        extractor: Backbones and views.
        dtype: How features are stored.
        options: How the work is spread.
        samples_per_shard: Clips a shard; by default as many as make 64 MiB in half precision.
        retry_failed: Do shards in which clips failed again, as after a network disk was away; by
            one process alone.
        progress: Show a bar with rate, remaining time and shares.

    Raises:
        InputError: if the store holds something else, the disk is full, or failures are to be
            tried again by several processes.
        KeyboardInterrupt: with a note that says how many clips are kept.
    """
    options = options or PipelineOptions()
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    pipeline = Pipeline(extractor, options)
    damaged: dict[str, str] = {}
    start = time.perf_counter()
    writer = StoreWriter(
        store,
        extractor.description(dtype),
        asked=[source.name for source in sources],
        samples_per_shard=samples_per_shard,
        rank=rank,
        world_size=world_size,
        retry_failed=retry_failed,
    )
    earlier = writer.num_kept
    by_name = {source.name: source for source in sources}
    groups = [[by_name[name] for name in shard] for shard in writer.todo_by_shard]
    todo = sum(map(len, groups))
    try:
        with (
            writer,
            ExtractionProgress(todo, pipeline.timing, shown=progress and rank == 0) as bar,
            contextlib.closing(pipeline.run_batches(groups)) as batches,  # ends the processes in any case
        ):
            for batch in batches:
                for source, features in batch:
                    begun = time.perf_counter()
                    reason = _write(writer, source.name, features)
                    pipeline.timing.write_sec += time.perf_counter() - begun
                    if isinstance(features, VideoFeatures) and reason is None and features.flaws:
                        damaged[source.name] = "; ".join(features.flaws)
                    bar.advance(failed=reason is not None)
                writer.keep()
    except KeyboardInterrupt as interruption:
        interruption.add_note(f"{writer.num_kept} of {len(sources)} clips are kept; the same call goes on")
        raise
    while world_size > 1 and not writer.is_complete:
        time.sleep(_POLL_SEC)
    seconds = time.perf_counter() - start
    complete = FeatureStore.open(store)
    return ExtractionSummary(
        asked=len(sources),
        earlier=earlier,
        stored=len(complete),
        failures={name: reason for name, reason in complete.failures.items() if name in by_name},
        damaged=damaged,
        seconds=seconds,
        clips_per_sec=todo / seconds,
        shares=pipeline.timing.shares(),
    )


def _write(writer: StoreWriter, name: str, features: VideoFeatures | Failed) -> str | None:
    """Hand one clip to the writer; the reason if it failed, here or before."""
    if isinstance(features, VideoFeatures):
        try:
            writer.add(name, features.semantic, features.motion)
            return None
        except FeaturesError as error:
            features = Failed(f"the {error.stream} stream {error.reason}")
    writer.fail(name, features.reason)
    return features.reason
