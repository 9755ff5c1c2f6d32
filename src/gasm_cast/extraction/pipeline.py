"""Videos in, features out, in order: decoding workers beside the backbones of the main process.

Torch backbones take batches across videos. A batch never reaches over the end of a group
(a shard of the store), and holds the videos of the group that could be read, in order: so
its content, and with it the last bit of every number, does not depend on the number of
workers or processes, nor on where an earlier call was interrupted.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from gasm_cast.backbones import Backbone
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.reading import Reading, Source
from gasm_cast.extraction.windows import Window, cut_windows
from gasm_cast.extraction.workers import Failed, WorkerPool
from gasm_cast.machine import num_cores

_GPU_BATCH = 16


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """Features of all views of one video."""

    semantic: Float[np.ndarray, "views tokens width"]
    motion: Float[np.ndarray, "views segments motion_width"]
    flaws: tuple[str, ...]
    """What is wrong with the file although it gave frames."""


@dataclass
class Timing:
    """Where time goes, in seconds of a process."""

    decode_sec: float = 0.0
    compute_sec: float = 0.0
    write_sec: float = 0.0

    def shares(self) -> dict[str, float]:
        """Share of each of the three; they sum to 1 once there is something to share."""
        parts = {"decode": self.decode_sec, "compute": self.compute_sec, "write": self.write_sec}
        total = sum(parts.values())
        return {name: seconds / total if total else 0.0 for name, seconds in parts.items()}


_Batch = list[tuple[Source, Reading | Failed]]


@dataclass
class Pipeline:
    """Turns groups of sources into features."""

    extractor: Extractor
    options: PipelineOptions
    timing: Timing = field(default_factory=Timing)

    def run(
        self, groups: Sequence[Sequence[Source]]
    ) -> Generator[tuple[Source, VideoFeatures | Failed], None, None]:
        """Each source with its features, in order; the processes live as long as the iteration."""
        with contextlib.closing(self.run_batches(groups)) as batches:
            for batch in batches:
                yield from batch

    def run_batches(
        self, groups: Sequence[Sequence[Source]]
    ) -> Generator[list[tuple[Source, VideoFeatures | Failed]], None, None]:
        """The same, batch by batch: where the work may be divided without a change of any number."""
        num_workers = self.num_workers
        pool: WorkerPool[Source, Reading] = WorkerPool(
            self.extractor.reader(),
            num_workers=num_workers,
            time_limit_sec=self.options.time_limit_sec,
            num_ahead=4 * num_workers + self.videos_a_batch,
        )
        # One batch is computed while the caller stores the one before and the next is gathered.
        with pool, ThreadPoolExecutor(1, "backbones") as computing:
            before: tuple[_Batch, Future[list[VideoFeatures]]] | None = None
            for batch in self._batches(groups, pool.map(itertools.chain.from_iterable(groups))):
                readings = [reading for _, reading in batch if isinstance(reading, Reading)]
                begun = computing.submit(self._compute, readings)
                if before is not None:
                    yield _joined(*before)
                before = batch, begun
            if before is not None:
                yield _joined(*before)

    def run_windows(
        self, path: Path, *, window_sec: float, stride_sec: float
    ) -> Iterator[tuple[Window, VideoFeatures | None]]:
        """Features of the windows of a long video that have frames, in this process and in order of time.

        Raises:
            InputError: as :func:`cut_windows`, and VideoError if the video gives no frames.
        """
        reader = self.extractor.reader()
        windows = cut_windows(path, reader.samplings, window_sec=window_sec, stride_sec=stride_sec)
        while batch := list(itertools.islice(windows, self.videos_a_batch)):
            readings = [reader.compute(window.frames) for window in batch if window.frames]
            features = iter(self._compute(readings))
            yield from ((window, next(features) if window.frames else None) for window in batch)

    @property
    def num_workers(self) -> int:
        """Decoding processes."""
        return self.options.workers or num_cores()

    @property
    def videos_a_batch(self) -> int:
        """Videos whose views make a batch; where no batches are needed, each goes its way at once."""
        if self.extractor.in_workers:
            return 1
        views = self.options.batch_size or (_GPU_BATCH if self.extractor.on_gpu else 1)
        return -(-views // self.extractor.num_views)

    def _batches(
        self, groups: Sequence[Sequence[Source]], readings: Iterator[Reading | Failed]
    ) -> Iterator[_Batch]:
        """Consecutive videos of a group, until enough of them could be read."""
        for group in groups:
            batch: _Batch = []
            num_read = 0
            for source in group:
                reading = next(readings)
                batch.append((source, reading))
                num_read += isinstance(reading, Reading)
                if num_read == self.videos_a_batch:
                    yield batch
                    batch, num_read = [], 0
            if batch:
                yield batch

    def _compute(self, readings: list[Reading]) -> list[VideoFeatures]:
        """Run the backbones of this process on a batch."""
        start = time.perf_counter()
        semantic = _tokens(self.extractor.semantic, [reading.semantic for reading in readings])
        motion = _tokens(self.extractor.motion, [reading.motion for reading in readings])
        self.timing.compute_sec += time.perf_counter() - start
        self.timing.compute_sec += sum(reading.compute_sec for reading in readings)
        self.timing.decode_sec += sum(reading.decode_sec for reading in readings)
        flaws = [reading.flaws for reading in readings]
        return [VideoFeatures(*of_video) for of_video in zip(semantic, motion, flaws, strict=True)]


def _joined(
    batch: _Batch, computed: Future[list[VideoFeatures]]
) -> list[tuple[Source, VideoFeatures | Failed]]:
    features = iter(computed.result())
    return [(source, reading if isinstance(reading, Failed) else next(features)) for source, reading in batch]


def _tokens(
    backbone: Backbone, readings: list[Shaped[np.ndarray, "views ..."]]
) -> list[Float[np.ndarray, "views tokens width"]]:
    """Tokens of some videos; those that a worker made already come back as they are."""
    if backbone.in_worker or not readings:
        return readings
    tokens = backbone.forward(np.concatenate(readings))
    return np.split(tokens, np.cumsum([len(reading) for reading in readings])[:-1])
