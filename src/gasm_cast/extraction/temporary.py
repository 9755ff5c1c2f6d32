"""Features of a few videos in stores that go after use, written and read as those of a data set are.

What `predict` and `explain` ask of a video is then what `evaluate` asks of a clip of the
store, down to the rounding of the stored numbers.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gasm_cast.extraction.extracting import ExtractionSummary, extract
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.pipeline import Pipeline
from gasm_cast.extraction.reading import Source
from gasm_cast.extraction.windows import Window
from gasm_cast.store import Features, FeatureStore, StoredDtype, StoreWriter
from gasm_cast.video import VideoError

_WINDOWS_A_STORE = 64


@contextlib.contextmanager
def temporary_store(
    sources: Sequence[Source],
    extractor: Extractor,
    *,
    dtype: StoredDtype = "float16",
    options: PipelineOptions | None = None,
    progress: bool = False,
) -> Iterator[tuple[FeatureStore, ExtractionSummary]]:
    """A store of some videos that goes when the context ends.

    Args:
        sources: The videos.
        extractor: Backbones and views.
        dtype: How features are stored: that of the store whose features they are to equal.
        options: How the work is spread.
        progress: Show a bar.
    """
    with tempfile.TemporaryDirectory(prefix="gasm-cast-") as scratch:
        path = Path(scratch) / "store"
        summary = extract(sources, path, extractor, dtype=dtype, options=options, progress=progress)
        yield FeatureStore.open(path), summary


def temporary_window_stores(
    path: Path, pipeline: Pipeline, *, window_sec: float, stride_sec: float, dtype: StoredDtype = "float16"
) -> Iterator[tuple[FeatureStore, dict[str, Window]]]:
    """Windows of a long video in small stores, each gone when the next is asked for.

    Yields:
        A store, and the window that each of its ids stands for; windows without frames are
        among its failures.

    Raises:
        InputError: if the windows are wrong; VideoError if the video gives no frames.
    """
    windows = pipeline.run_windows(path, window_sec=window_sec, stride_sec=stride_sec)
    with tempfile.TemporaryDirectory(prefix="gasm-cast-") as scratch:
        store = Path(scratch) / "store"
        while chunk := list(itertools.islice(windows, _WINDOWS_A_STORE)):
            named = {f"{window.start_sec:.3f}": window for window, _ in chunk}
            with StoreWriter(store, pipeline.extractor.description(dtype), asked=list(named)) as writer:
                for name, (window, features) in zip(named, chunk, strict=True):
                    if features is None:
                        writer.fail(name, "; ".join(window.flaws))
                    else:
                        writer.add(name, features.semantic, features.motion)
            yield FeatureStore.open(store), named
            shutil.rmtree(store)


def features_of_video(
    path: Path, extractor: Extractor, *, dtype: StoredDtype = "float16", view: int = 0
) -> Features:
    """Features of one view of one video, as a store gives them.

    Raises:
        VideoError: if the video cannot be read.
    """
    sources = [Source(path.stem, path)]
    with temporary_store(sources, extractor, dtype=dtype, options=PipelineOptions(workers=1)) as (
        store,
        summary,
    ):
        if summary.failures:
            raise VideoError(path, summary.failures[path.stem])
        return store.read([path.stem], view)
