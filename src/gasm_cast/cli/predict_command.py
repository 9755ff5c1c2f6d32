"""`gasm-cast predict`: classify videos with a run."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gasm_cast.errors import InputError
from gasm_cast.extraction.options import PipelineOptions

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

    from gasm_cast.extraction.extractor import Extractor
    from gasm_cast.extraction.reading import Source
    from gasm_cast.models.checkpoints import LoadedModel
    from gasm_cast.store import FeatureStore, StoredDtype


@dataclass(frozen=True, kw_only=True)
class Options:
    """Classify videos with a run.

    Videos are extracted as those of the training were, stored as they were (for the moment),
    and scored as `evaluate` scores: a clip that is in both gets the same probabilities.

    Long videos: with --window-sec each part of a video is classified by itself, and the
    CSV file says what happens when.

    Exit code 1 says that some videos could not be read; they are listed with their reasons.
    """

    path: Positional[Path]
    """Run folder."""
    videos: Positional[tuple[Path, ...]]
    """Video files, and folders of them."""
    top: int = 5
    """Most probable classes to show."""
    window_sec: float | None = None
    """Classify windows of this length instead of whole videos."""
    stride_sec: float | None = None
    """From one window's start to the next; half a window by default."""
    exit_confidence: float | None = None
    """Stop at the first layer whose best class has this probability; says what that saved."""
    semantic_weights: str | None = None
    """Where the semantic backbone's weights lie, if it needs a file of yours."""
    motion_weights: str | None = None
    """The same for the motion backbone."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    pipeline: PipelineOptions = field(default_factory=PipelineOptions)
    csv: Path | None = None
    """Write video, start, end, class, score, flaws of the file there, one row for each class shown."""
    json: Path | None = None
    """Write all probabilities there, and all else that is shown."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise InputError(f"--top must be positive, got {self.top}")
        if self.stride_sec is not None and self.window_sec is None:
            raise InputError("--stride-sec is the step of windows; give --window-sec as well")
        if self.exit_confidence is not None and not 0 < self.exit_confidence <= 1:
            raise InputError(f"--exit-confidence is a probability above 0, got {self.exit_confidence}")


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model says of a video or of a part of it."""

    video: str
    span_sec: tuple[float, float] | None
    """The part; None for the whole video."""
    flaws: str
    """What was lost of it, where parts could not be decoded."""
    probabilities: Float[np.ndarray, " classes"]
    layers_used: Int[np.ndarray, " views"] | None
    """Exchange layers that its views took, with --exit-confidence."""


@dataclass(frozen=True)
class EarlyExit:
    """What --exit-confidence saved, over all views of all that was answered."""

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


def run(options: Options) -> int:
    """Predict; 1 if some videos could not be read."""
    from gasm_cast.extraction.extractor import Extractor
    from gasm_cast.models.checkpoints import load_checkpoint
    from gasm_cast.runs import Run

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Run.open(options.path)
    loaded = load_checkpoint(folder.best_checkpoint)
    exit_flops = None if options.exit_confidence is None else _exit_flops(loaded)
    sources = _sources(options.videos)
    num_views, dtype = _storage(folder.recipe.data.store)
    extractor = Extractor.like(
        loaded.provenance,
        num_views=num_views,
        semantic_weights=options.semantic_weights,
        motion_weights=options.motion_weights,
        device=options.device,
    )
    if precision := extractor.other_precision(loaded.provenance):
        print(f"the model's features were made in {precision}; these differ by rounding", file=sys.stderr)
    answers: list[Answer] = []
    failures: dict[str, str] = {}
    for store, parts in _stores(sources, extractor, dtype, options, failures):
        for answer in _ask(loaded, store, parts, options) if parts else ():
            print(_described(answer, loaded.class_names, options.top))
            answers.append(answer)
    early = EarlyExit.of_answers(answers, exit_flops) if exit_flops is not None and answers else None
    if early is not None:
        print(early)
    for video, reason in failures.items():
        print(f"{video}: not read: {reason}", file=sys.stderr)
    if options.csv is not None:
        _write_csv(options.csv, answers, loaded.class_names, options.top)
    if options.json is not None:
        _write_json(options.json, answers, failures, early, loaded.class_names)
    return 1 if failures else 0


Parts = dict[str, tuple[str, tuple[float, float] | None, str]]
"""Video, part of it and flaws of that part, for each id of a store."""


def _exit_flops(loaded: LoadedModel) -> dict[int, float]:
    """Operations up to each layer at which the model can stop.

    A model that cannot is so refused before videos are read.
    """
    import torch

    from gasm_cast.evaluation.cost import count_exit_flops

    task = loaded.model.task
    semantic, motion = (
        torch.zeros(1, spec.grid.num_tokens, spec.width) for spec in (task.semantic, task.motion)
    )
    return count_exit_flops(loaded.model, semantic, motion)


def _sources(videos: tuple[Path, ...]) -> list[Source]:
    """Every video once, under its path; folders stand for the videos in them.

    A name without a file among others is listed with the failures; if there is no file at all,
    the names are wrong.
    """
    from gasm_cast.extraction.reading import Source
    from gasm_cast.extraction.sources import sources_in_folder

    paths: list[Path] = []
    for video in videos:
        if video.is_dir():
            paths += [source.path for source in sources_in_folder(video) if source.path is not None]
        else:
            paths.append(video)
    if not paths:
        raise InputError("name one or more videos, or folders of them, after the run folder")
    if not any(path.exists() for path in paths):
        raise InputError(f"{paths[0]}: no such video file or folder")
    return [Source(str(path), path) for path in dict.fromkeys(paths)]


def _storage(store: Path) -> tuple[int | None, StoredDtype]:
    """Views and dtype of the run's own store, if it is still there: `evaluate` sees the same."""
    from gasm_cast.store import FeatureStore

    if not (store / "manifest.json").exists():
        return None, "float16"
    description = FeatureStore.open(store).description
    return description.num_views, description.dtype


def _stores(
    sources: list[Source],
    extractor: Extractor,
    dtype: StoredDtype,
    options: Options,
    failures: dict[str, str],
) -> Iterator[tuple[FeatureStore, Parts]]:
    """Features of all videos in temporary stores; videos without any join the failures."""
    from gasm_cast.extraction.pipeline import Pipeline
    from gasm_cast.extraction.temporary import temporary_store, temporary_window_stores
    from gasm_cast.video import VideoError

    if options.window_sec is None:
        progress = len(sources) > 1
        with temporary_store(
            sources, extractor, dtype=dtype, options=options.pipeline, progress=progress
        ) as (store, summary):
            failures.update(summary.failures)
            damaged = summary.damaged
            yield store, {str(name): (str(name), None, damaged.get(str(name), "")) for name in store.ids}
        return
    stride_sec = options.window_sec / 2 if options.stride_sec is None else options.stride_sec
    pipeline = Pipeline(extractor, options.pipeline)
    for source in sources:
        assert source.path is not None
        try:
            for store, windows in temporary_window_stores(
                source.path, pipeline, window_sec=options.window_sec, stride_sec=stride_sec, dtype=dtype
            ):
                yield (
                    store,
                    {
                        name: (source.name, (window.start_sec, window.end_sec), "; ".join(window.flaws))
                        for name, window in windows.items()
                    },
                )
        except VideoError as error:
            failures[source.name] = error.reason


def _ask(loaded: LoadedModel, store: FeatureStore, parts: Parts, options: Options) -> Iterator[Answer]:
    """Score all that a store holds."""
    from gasm_cast.devices import resolve_device, resolve_precision
    from gasm_cast.evaluation.scoring import score, score_early

    device = resolve_device(options.device)
    precision = resolve_precision("auto", device)
    model = loaded.model.to(device)
    ids, num_views = list(parts), store.num_views
    if options.exit_confidence is None:
        scores = score(model, store, ids, num_views=num_views, device=device, precision=precision)
        for name, probabilities in zip(ids, scores.probabilities, strict=True):
            yield Answer(*parts[name], probabilities, None)
        return
    early = score_early(
        model, store, ids, options.exit_confidence, num_views=num_views, device=device, precision=precision
    )
    for name, probabilities, layers in zip(ids, early.probabilities, early.layers_used, strict=True):
        yield Answer(*parts[name], probabilities, layers)


def _best(answer: Answer, top: int) -> list[tuple[int, float]]:
    """The most probable classes, the lower index first on a tie."""
    order = (-answer.probabilities).argsort(kind="stable")[:top]
    return [(int(index), float(answer.probabilities[index])) for index in order]


def _described(answer: Answer, class_names: tuple[str, ...], top: int) -> str:
    span = "" if answer.span_sec is None else "  {:.2f} to {:.2f} s".format(*answer.span_sec)
    layers = "" if answer.layers_used is None else f"  (after {answer.layers_used.max()} layers)"
    flaws = f"  ({answer.flaws})" if answer.flaws else ""
    rows = [f"  {score:6.1%}  {class_names[index]}" for index, score in _best(answer, top)]
    return "\n".join([f"{answer.video}{span}{layers}{flaws}", *rows])


def _write_csv(path: Path, answers: list[Answer], class_names: tuple[str, ...], top: int) -> None:
    import csv

    from gasm_cast.files import atomic_path

    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "start", "end", "class", "score", "flaws"])
        for answer in answers:
            span = ("", "") if answer.span_sec is None else [f"{end:.3f}" for end in answer.span_sec]
            for index, score in _best(answer, top):
                writer.writerow([answer.video, *span, class_names[index], f"{score:.6f}", answer.flaws])


def _write_json(
    path: Path,
    answers: list[Answer],
    failures: Mapping[str, str],
    early: EarlyExit | None,
    class_names: tuple[str, ...],
) -> None:
    from gasm_cast.files import write_text

    predictions: list[dict[str, Any]] = [
        {
            "video": answer.video,
            "span_sec": answer.span_sec,
            "class": class_names[_best(answer, 1)[0][0]],
            "probabilities": answer.probabilities.tolist(),
            "flaws": answer.flaws,
            "layers_used": None if answer.layers_used is None else int(answer.layers_used.max()),
        }
        for answer in answers
    ]
    content = {
        "class_names": class_names,
        "predictions": predictions,
        "failures": dict(failures),
        "early_exit": None if early is None else asdict(early),
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
