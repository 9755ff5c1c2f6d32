"""`gasm-cast predict`: classify videos with a run."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gasm_cast.errors import InputError
from gasm_cast.extraction.options import Crops, PipelineOptions

if TYPE_CHECKING:
    from gasm_cast.classifying import Answer, EarlyExit


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
    views: int | None = None
    """Temporal views of each video to average; as many as the store of the training has by default."""
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
    """Write video, start, end, class, score, flaws of the file there, one row for each class shown."""
    json: Path | None = None
    """Write all probabilities there, and all else that is shown."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise InputError(f"--top must be positive, got {self.top}")
        if self.views is not None and self.views < 1:
            raise InputError(f"--views must be positive, got {self.views}")
        if self.stride_sec is not None and self.window_sec is None:
            raise InputError("--stride-sec is the step of windows; give --window-sec as well")
        if self.exit_confidence is not None and not 0 < self.exit_confidence <= 1:
            raise InputError(f"--exit-confidence is a probability above 0, got {self.exit_confidence}")


def run(options: Options) -> int:
    """Predict; 1 if some videos could not be read."""
    from gasm_cast.classifying import Classifier, EarlyExit, find_videos

    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
    if precision := classifier.extractor.other_precision(classifier.loaded.provenance):
        print(f"the model's features were made in {precision}; these differ by rounding", file=sys.stderr)
    if classifier.storage.assumed:
        print(classifier.storage.assumed, file=sys.stderr)
    answers: list[Answer] = []
    failures: dict[str, str] = {}
    for answer in classifier.answers(
        options.videos,
        window_sec=options.window_sec,
        stride_sec=options.stride_sec,
        pipeline=options.pipeline,
        failures=failures,
        progress=True,
    ):
        print(_described(answer, options.top))
        answers.append(answer)
    flops = classifier.exit_flops
    early = EarlyExit.of_answers(answers, flops) if flops is not None and answers else None
    if early is not None:
        print(early)
    for video, reason in failures.items():
        print(f"{video}: not read: {reason}", file=sys.stderr)
    if options.csv is not None:
        _write_csv(options.csv, answers, options.top)
    if options.json is not None:
        _write_json(options.json, answers, failures, early, classifier.loaded.class_names)
    return 1 if failures else 0


def _described(answer: Answer, top: int) -> str:
    span = "" if answer.span_sec is None else "  {:.2f} to {:.2f} s".format(*answer.span_sec)
    layers = "" if answer.layers_used is None else f"  (after {answer.layers_used.max()} layers)"
    flaws = f"  ({answer.flaws})" if answer.flaws else ""
    rows = [f"  {score:6.1%}  {name}" for name, score in answer.best(top)]
    return "\n".join([f"{answer.video}{span}{layers}{flaws}", *rows])


def _write_csv(path: Path, answers: Sequence[Answer], top: int) -> None:
    import csv

    from gasm_cast.files import atomic_path

    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "start", "end", "class", "score", "flaws"])
        for answer in answers:
            span = ("", "") if answer.span_sec is None else [f"{end:.3f}" for end in answer.span_sec]
            for name, score in answer.best(top):
                writer.writerow([answer.video, *span, name, f"{score:.6f}", answer.flaws])


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
            "class": answer.best(1)[0][0],
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
