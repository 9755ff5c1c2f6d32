"""Videos in, classes out: a trained run that extracts what it needs by itself.

Videos are extracted as those of the training were, stored as they were (for the moment), and
scored as `evaluate` scores: a clip that is in both gets the same probabilities.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from gasm_cast.devices import resolve_device, resolve_precision
from gasm_cast.errors import InputError
from gasm_cast.evaluation.cost import count_exit_flops
from gasm_cast.evaluation.scoring import score, score_early
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import CROPS, Crops, PipelineOptions
from gasm_cast.extraction.pipeline import Pipeline
from gasm_cast.extraction.reading import Source
from gasm_cast.extraction.sources import sources_in_folder
from gasm_cast.extraction.temporary import temporary_store, temporary_window_stores
from gasm_cast.files import AnyPath
from gasm_cast.models import LoadedModel, load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore, StoredDtype, crops_of
from gasm_cast.video import VideoError

Part = tuple[str, tuple[float, float] | None, str]
"""A video, the part of it or None for all, and the flaws of that part."""

_CLIPS_A_PIECE = 1024


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model says of a video or of a part of it."""

    video: str
    """Its path, as it was given; the id of a clip of a store."""
    span_sec: tuple[float, float] | None
    """The part; None for the whole video."""
    flaws: str
    """What was lost of it, where parts could not be decoded."""
    probabilities: Float[np.ndarray, " classes"] | None
    """None for a part in which there is no frame, and for a clip that could not be decoded."""
    layers_used: Int[np.ndarray, " views"] | None
    """Exchange layers that its views took, where the model may stop early."""
    class_names: tuple[str, ...]
    """Names in the order of the probabilities."""

    def best(self, top: int = 5) -> list[tuple[str, float]]:
        """The most probable classes with their probabilities, the lower index first on a tie."""
        if self.probabilities is None:
            return []
        order = (-self.probabilities).argsort(kind="stable")[:top]
        return [(self.class_names[index], float(self.probabilities[index])) for index in order]


@dataclass(frozen=True)
class EarlyExit:
    """What stopping early saved, over all views of all that was answered."""

    mean_layers: float
    num_layers: int
    operations_saved: float
    """Share of the operations of a forward pass, from the stored features to the classes."""

    @classmethod
    def of_answers(cls, answers: Sequence[Answer], flops: Mapping[int, float]) -> EarlyExit:
        """From the layers taken, and the operations up to each layer."""
        layers = [
            int(layer) for answer in answers if answer.layers_used is not None for layer in answer.layers_used
        ]
        last = max(flops)
        spent = sum(flops[layer] for layer in layers)
        return cls(sum(layers) / len(layers), last, 1 - spent / (len(layers) * flops[last]))

    def __str__(self) -> str:
        return (
            f"early exit: {self.mean_layers:.2f} of {self.num_layers} layers on average, which saved "
            f"{self.operations_saved:.1%} of the model's operations"
        )


class Storage(NamedTuple):
    """How the features of the training were stored."""

    num_views: int
    """Views of each clip, over time and crops."""
    dtype: StoredDtype
    assumed: str
    """What had to be assumed, for a person; empty where nothing was."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """A trained run that answers for features, wherever they come from."""

    loaded: LoadedModel
    device: torch.device
    exit_confidence: float | None
    exit_flops: Mapping[int, float] | None
    """Operations up to each layer at which the model may stop."""

    @classmethod
    def load(
        cls, run: Run | AnyPath, *, exit_confidence: float | None = None, device: str = "auto"
    ) -> Scorer:
        """Load the model of a run; arguments and errors are those of :meth:`Classifier.load`."""
        run = run if isinstance(run, Run) else Run.open(Path(run))
        loaded = load_checkpoint(run.best_checkpoint)
        exit_flops = None if exit_confidence is None else _exit_flops(loaded)
        where = resolve_device(device)
        loaded.model.to(where)
        return cls(loaded, where, exit_confidence, exit_flops)

    def answers(
        self, store: FeatureStore, ids: Sequence[str] | None = None, *, num_views: int | None = None
    ) -> Iterator[Answer]:
        """Classify clips of a store, labelled or not: an answer for each, under its id.

        Args:
            store: Features made as those of the training, but for views and crops.
            ids: The clips; all by default, those that have no features among them.
            num_views: Stored views of each clip to average; all by default.

        Raises:
            InputError: if the store's features are others, or it lacks a clip or as many views.
        """
        self.loaded.require_store(store)
        if num_views is not None and num_views > store.num_views:
            raise InputError(
                f"{store.path} holds {store.num_views} view(s) of each clip, so {num_views} cannot be scored"
            )
        asked = [*store.ids.tolist(), *store.failures] if ids is None else list(dict.fromkeys(ids))
        store.rows([name for name in asked if name not in store.failures])  # refuses ids that it lacks
        pieces = (
            {
                name: (name, None, store.failures.get(name, ""))
                for name in asked[first : first + _CLIPS_A_PIECE]
            }
            for first in range(0, len(asked), _CLIPS_A_PIECE)
        )
        scored = (self.score(store, parts, num_views or store.num_views) for parts in pieces)
        return itertools.chain.from_iterable(scored)

    def score(self, store: FeatureStore, parts: Mapping[str, Part], num_views: int) -> Iterator[Answer]:
        """Answers for ids of a store, given what each stands for; those that failed have none."""
        ids = [name for name in parts if name not in store.failures]
        scored = dict(zip(ids, self._scores(store, ids, num_views), strict=True)) if ids else {}
        for name, part in parts.items():
            probabilities, layers = scored.get(name, (None, None))
            yield Answer(*part, probabilities, layers, self.loaded.class_names)

    def _scores(
        self, store: FeatureStore, ids: Sequence[str], num_views: int
    ) -> Iterator[tuple[Float[np.ndarray, " classes"], Int[np.ndarray, " views"] | None]]:
        """Probabilities, and layers taken where the model may stop early."""
        model, device, precision = self.loaded.model, self.device, resolve_precision("auto", self.device)
        if self.exit_confidence is None:
            scores = score(model, store, ids, num_views=num_views, device=device, precision=precision)
            yield from ((probabilities, None) for probabilities in scores.probabilities)
            return
        early = score_early(
            model, store, ids, self.exit_confidence, num_views=num_views, device=device, precision=precision
        )
        yield from zip(early.probabilities, early.layers_used, strict=True)


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained run with the backbones that made its features: load once, ask often."""

    scorer: Scorer
    extractor: Extractor
    storage: Storage
    """How features are stored before they are scored, since rounding is part of what the model learnt."""

    @classmethod
    def load(
        cls,
        run: Run | AnyPath,
        *,
        views: int | None = None,
        crops: Crops | None = None,
        exit_confidence: float | None = None,
        semantic_weights: str | None = None,
        motion_weights: str | None = None,
        device: str = "auto",
    ) -> Classifier:
        """Load the model and the backbones of a run.

        Args:
            run: The run, or its folder.
            views: Temporal views of each video to average; by default as many as the store of the
                training has.
            crops: Parts of the frame to see; by default those of the training.
            exit_confidence: Stop at the first layer whose best class has this probability.
            semantic_weights: Where the semantic backbone's weights lie, if it needs a file of yours.
            motion_weights: The same for the motion backbone.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.

        Raises:
            InputError: if the run cannot be read, its features cannot be made here, or its model
                has no earlier layer to stop at.
        """
        run = run if isinstance(run, Run) else Run.open(Path(run))
        scorer = Scorer.load(run, exit_confidence=exit_confidence, device=device)
        loaded = scorer.loaded
        storage = storage_of(loaded, run.data.store)
        num_views = storage.num_views
        if views is not None or crops is not None:
            trained = _num_crops(crops_of(loaded.provenance))
            num_temporal = views or num_views // trained
            num_views = num_temporal * (_num_crops(crops) if crops else trained)
        extractor = Extractor.like(
            loaded.provenance,
            num_views=num_views,
            crops=crops,
            semantic_weights=semantic_weights,
            motion_weights=motion_weights,
            device=device,
        )
        return cls(scorer, extractor, storage)

    def answers(
        self,
        videos: Sequence[AnyPath],
        *,
        window_sec: float | None = None,
        stride_sec: float | None = None,
        pipeline: PipelineOptions | None = None,
        failures: dict[str, str] | None = None,
        progress: bool = False,
    ) -> Iterator[Answer]:
        """Classify videos, one answer after another.

        Args:
            videos: Video files, and folders of them; each file is answered once.
            window_sec: Classify windows of this length instead of whole videos.
            stride_sec: From one window's start to the next; half a window by default.
            pipeline: How the work is spread.
            failures: Takes the reason of each video that cannot be read, by its path; without it
                the first such video ends the call.
            progress: Show a bar where several videos are extracted.

        Raises:
            InputError: if there are no videos, the windows are wrong, or, without `failures`, a
                video cannot be read.
        """
        sources, pipeline = find_videos(videos), pipeline or PipelineOptions()
        if window_sec is None:
            stores = self._whole(sources, pipeline, failures, progress=progress and len(sources) > 1)
        else:
            stride_sec = window_sec / 2 if stride_sec is None else stride_sec
            stores = self._windows(sources, pipeline, failures, window_sec=window_sec, stride_sec=stride_sec)
        for store, parts in stores:
            if parts:
                yield from self.scorer.score(store, parts, store.num_views)

    def _whole(
        self,
        sources: Sequence[Source],
        pipeline: PipelineOptions,
        failures: dict[str, str] | None,
        *,
        progress: bool,
    ) -> Iterator[tuple[FeatureStore, dict[str, Part]]]:
        """Features of all videos in one temporary store."""
        with temporary_store(
            sources, self.extractor, dtype=self.storage.dtype, options=pipeline, progress=progress
        ) as (store, summary):
            for video, reason in summary.failures.items():
                _note(video, reason, failures)
            damaged = summary.damaged
            yield store, {str(name): (str(name), None, damaged.get(str(name), "")) for name in store.ids}

    def _windows(
        self,
        sources: Sequence[Source],
        options: PipelineOptions,
        failures: dict[str, str] | None,
        *,
        window_sec: float,
        stride_sec: float,
    ) -> Iterator[tuple[FeatureStore, dict[str, Part]]]:
        """Features of the windows of one video after another, in small temporary stores."""
        pipeline = Pipeline(self.extractor, options)
        for source in sources:
            assert source.path is not None
            try:
                for store, windows in temporary_window_stores(
                    source.path,
                    pipeline,
                    window_sec=window_sec,
                    stride_sec=stride_sec,
                    dtype=self.storage.dtype,
                ):
                    yield (
                        store,
                        {
                            name: (source.name, (window.start_sec, window.end_sec), "; ".join(window.flaws))
                            for name, window in windows.items()
                        },
                    )
            except VideoError as error:
                _note(source.name, error.reason, failures)


def predict(
    run: Run | AnyPath,
    videos: AnyPath | Sequence[AnyPath],
    *,
    window_sec: float | None = None,
    stride_sec: float | None = None,
    failures: dict[str, str] | None = None,
    device: str = "auto",
) -> list[Answer]:
    """Classify videos with a run, as `gasm-cast predict` does.

    This is :meth:`Classifier.load` and :meth:`Classifier.answers` in one call; who asks often, or
    has wishes for views, weights or early exit, calls these.

    Args:
        run: The run, or its folder.
        videos: A video file, a folder of them, or several of either.
        window_sec: Classify windows of this length instead of whole videos.
        stride_sec: From one window's start to the next; half a window by default.
        failures: Takes the reason of each video that cannot be read, by its path; without it the
            first such video ends the call.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Returns:
        An answer for each video that could be read, or for each of its windows, in order.

    Raises:
        InputError: if the run cannot be read, its features cannot be made here, there are no
            videos, or, without `failures`, a video cannot be read.
    """
    several = [videos] if isinstance(videos, str | os.PathLike) else videos
    find_videos(several)  # names that are wrong are told before backbones are loaded
    classifier = Classifier.load(run, device=device)
    if classifier.storage.assumed:
        warnings.warn(classifier.storage.assumed, stacklevel=2)
    return list(classifier.answers(several, window_sec=window_sec, stride_sec=stride_sec, failures=failures))


def find_videos(videos: Sequence[AnyPath]) -> list[Source]:
    """Every video once, under its path; folders stand for the videos in them.

    A name without a file among others is listed with the failures; if there is no file at all,
    the names are wrong.

    Raises:
        InputError: if nothing is named, or nothing that is there.
    """
    paths: list[Path] = []
    for video in map(Path, videos):
        if video.is_dir():
            paths += [source.path for source in sources_in_folder(video) if source.path is not None]
        else:
            paths.append(video)
    if not paths:
        raise InputError("name one or more videos, or folders of them, after the run folder")
    if not any(path.exists() for path in paths):
        raise InputError(f"{paths[0]}: no such video file or folder")
    return [Source(str(path), path) for path in dict.fromkeys(paths)]


def storage_of(loaded: LoadedModel, store: Path) -> Storage:
    """Views and dtype of the features of the training: the checkpoint tells, or for an older one the store.

    Args:
        loaded: The model.
        store: Where the run's own store lay.
    """
    if loaded.num_views is not None and loaded.dtype is not None:
        return Storage(loaded.num_views, loaded.dtype, "")
    if (store / "manifest.json").exists():
        description = FeatureStore.open(store).description
        return Storage(description.num_views, description.dtype, "")
    return Storage(
        _num_crops(crops_of(loaded.provenance)),
        "float16",
        f"neither the checkpoint (of an earlier version) nor {store}, which is not there, says how "
        "features were stored: taking one temporal view and float16; `evaluate` may have seen others",
    )


def _note(video: str, reason: str, failures: dict[str, str] | None) -> None:
    if failures is None:
        raise VideoError(Path(video), reason)
    failures[video] = reason


def _num_crops(crops: str | None) -> int:
    """Views that a choice of crops makes of each temporal view; features made elsewhere have one."""
    return next((len(parts) for name, parts in CROPS.items() if name == crops), 1)


def _exit_flops(loaded: LoadedModel) -> dict[int, float]:
    """Operations up to each layer at which the model can stop; a model that cannot is refused."""
    task = loaded.model.task
    semantic, motion = (
        torch.zeros(1, spec.grid.num_tokens, spec.width) for spec in (task.semantic, task.motion)
    )
    return count_exit_flops(loaded.model, semantic, motion)
