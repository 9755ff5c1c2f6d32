"""`gasm-cast predict`: classify videos with a run."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gasm_cast.errors import InputError
from gasm_cast.extraction.options import Crops, PipelineOptions

if TYPE_CHECKING:
    from gasm_cast.classifying import Answer, EarlyExit, Scorer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Classify videos with a run.

    Videos are extracted as those of the training were, stored as they were (for the moment),
    and scored as `evaluate` scores: a clip that is in both gets the same probabilities.

    Long videos: with --window-sec each part of a video is classified by itself, and the
    CSV file says what happens when.

    With --store the clips are those of a feature store, as `gasm-cast import` and `extract`
    make them; the CSV file has their ids.

    Exit code 1 says that some videos, or parts of them, could not be read; they are listed
    with their reasons.
    """

    path: Positional[Path]
    """Run folder."""
    videos: Positional[tuple[Path, ...]] = ()
    """Video files, and folders of them."""
    store: Path | None = None
    """Classify the clips of this feature store instead; they need no labels."""
    ids: Path | None = None
    """The clips of the store to classify, one id a line; all by default."""
    top: int = 5
    """Most probable classes to show."""
    window_sec: float | None = None
    """Classify windows of this length instead of whole videos."""
    stride_sec: float | None = None
    """From one window's start to the next; half a window by default."""
    views: int | None = None
    """Temporal views of each video to average, by default as many as the store of the training has; with
    --store the stored views, by default all."""
    crops: Crops | None = None
    """Part of the frame to see, where it is not that of the training; `three` averages three crops."""
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
    """Write video, start, end, class, score, flaws of the file there as they come, one row a class shown."""
    json: Path | None = None
    """Write all probabilities there, and all else that is shown."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise InputError(f"--top must be positive, got {self.top}")
        if self.views is not None and self.views < 1:
            raise InputError(f"--views must be positive, got {self.views}")
        if self.stride_sec is not None and self.window_sec is None:
            raise InputError("--stride-sec is the step of windows; give --window-sec as well")
        stride_sec = self.window_sec if self.stride_sec is None else self.stride_sec
        if self.window_sec is not None and stride_sec is not None and not 0 < stride_sec <= self.window_sec:
            raise InputError(
                "windows need a stride above 0 and at most their length, so that no part is left out; "
                f"got --window-sec {self.window_sec:g}, --stride-sec {stride_sec:g}"
            )
        if self.store is None and self.ids is not None:
            raise InputError("--ids are clips of a store; give --store as well")
        of_videos = (self.videos, self.window_sec, self.crops, self.semantic_weights, self.motion_weights)
        if self.store is not None and any(of_videos):
            raise InputError(
                "--store takes features as they are; leave out videos, windows, crops and backbones' weights"
            )
        if self.exit_confidence is not None and not 0 < self.exit_confidence <= 1:
            raise InputError(f"--exit-confidence is a probability above 0, got {self.exit_confidence}")


def run(options: Options) -> int:
    """Predict; 1 if some videos, or parts of them, could not be read."""
    from gasm_cast.classifying import EarlyExit
    from gasm_cast.files import growing_text, require_writable

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failures: dict[str, str] = {}
    scorer, coming = _of_videos(options, failures) if options.store is None else _of_store(options)
    if options.json is not None:
        require_writable(options.json)
    answers: list[Answer] = []
    with contextlib.nullcontext() if options.csv is None else growing_text(options.csv) as add_text:
        if add_text is not None:
            add_text(_as_csv([["video", "start", "end", "class", "score", "flaws"]]))
        for answer in coming:
            if add_text is not None:
                add_text(_as_csv(_rows(answer, options.top)))
            answers.append(answer)
            _show(_described(answer, options.top), options)
    flops, answered = scorer.exit_flops, [answer for answer in answers if answer.layers_used is not None]
    early = EarlyExit.of_answers(answered, flops) if flops is not None and answered else None
    if early is not None:
        _show(str(early), options)
    for video, reason in failures.items():
        print(f"{video}: not read: {reason}", file=sys.stderr)
    if options.json is not None:
        _write_json(options.json, answers, failures, early, scorer.loaded.class_names)
    return 1 if failures or any(answer.probabilities is None for answer in answers) else 0


def _of_videos(options: Options, failures: dict[str, str]) -> tuple[Scorer, Iterator[Answer]]:
    from gasm_cast.classifying import Classifier, find_videos

    find_videos(options.videos)  # names that are wrong are told before backbones are loaded
    classifier = Classifier.load(
        options.path,
        views=options.views,
        crops=options.crops,
        exit_confidence=options.exit_confidence,
        semantic_weights=options.semantic_weights,
        motion_weights=options.motion_weights,
        device=options.device,
    )
    if precision := classifier.extractor.other_precision(classifier.scorer.loaded.provenance):
        print(f"the model's features were made in {precision}; these differ by rounding", file=sys.stderr)
    if classifier.storage.assumed:
        print(classifier.storage.assumed, file=sys.stderr)
    return classifier.scorer, classifier.answers(
        options.videos,
        window_sec=options.window_sec,
        stride_sec=options.stride_sec,
        pipeline=options.pipeline,
        failures=failures,
        progress=True,
    )


def _of_store(options: Options) -> tuple[Scorer, Iterator[Answer]]:
    from gasm_cast.classifying import Scorer
    from gasm_cast.cli.ids import read_ids
    from gasm_cast.store import FeatureStore

    assert options.store is not None
    store, ids = FeatureStore.open(options.store), None if options.ids is None else read_ids(options.ids)
    scorer = Scorer.load(options.path, exit_confidence=options.exit_confidence, device=options.device)
    return scorer, scorer.answers(store, ids, num_views=options.views)


def _show(text: str, options: Options) -> None:
    """Print at once; a reader who has seen enough (`| head`) does not end what is written to files."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        if options.csv is None and options.json is None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _described(answer: Answer, top: int) -> str:
    span = "" if answer.span_sec is None else "  {:.2f} to {:.2f} s".format(*answer.span_sec)
    layers = "" if answer.layers_used is None else f"  (after {answer.layers_used.max()} layers)"
    flaws = f"  ({answer.flaws})" if answer.flaws else ""
    rows = [f"  {score:6.1%}  {name}" for name, score in answer.best(top)]
    return "\n".join([f"{answer.video}{span}{layers}{flaws}", *rows])


def _rows(answer: Answer, top: int) -> Iterator[list[str]]:
    """Lines of the CSV file: one for each class shown, or one without class where there was no frame."""
    span = ["", ""] if answer.span_sec is None else [f"{end:.3f}" for end in answer.span_sec]
    shown = [[name, f"{score:.6f}"] for name, score in answer.best(top)] or [["", ""]]
    yield from ([answer.video, *span, *cells, answer.flaws] for cells in shown)


def _as_csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _write_json(
    path: Path,
    answers: Sequence[Answer],
    failures: Mapping[str, str],
    early: EarlyExit | None,
    class_names: tuple[str, ...],
) -> None:
    from gasm_cast.files import write_text

    predictions: list[dict[str, Any]] = [
        {
            "video": answer.video,
            "span_sec": answer.span_sec,
            "class": next((name for name, _ in answer.best(1)), None),
            "probabilities": None if answer.probabilities is None else answer.probabilities.tolist(),
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
