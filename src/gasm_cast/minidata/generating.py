"""A whole draw: clips rendered side by side, then the annotations, last the record that all is there.

::

    OUT/videos/<id>.webm       12 frames a second, 240 px high
    OUT/labels.json            class name -> index in this draw
    OUT/train.json             [{"id", "label", "template", "placeholders"}, ...]
    OUT/validation.json
    OUT/test.json              [{"id"}, ...]
    OUT/test-answers.csv       id;class name
    OUT/mini.json              seed, classes with their Something-Something V2 index, what each clip shows

Everything follows from the seed and a clip's id, so the number of processes changes
nothing, and a larger draw contains every smaller one of the same seed. An interrupted
draw has no annotations; called again it keeps the clips that are finished.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path, write_text
from gasm_cast.minidata.catalogue import Split
from gasm_cast.minidata.clips import FRAMES_PER_SEC, MAX_CLIPS, ClipKey, ClipPlan, plan_clip
from gasm_cast.minidata.encoding import write_webm
from gasm_cast.minidata.rendering import render
from gasm_cast.minidata.templates import TEMPLATES

DEFINITION = 2
"""Changes whenever the same seed gives other clips."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_ANNOTATIONS = ("labels.json", "train.json", "validation.json", "test.json", "test-answers.csv")


@dataclass(frozen=True)
class Summary:
    """What a draw holds.

    Attributes:
        path: Its folder.
        num_classes: Classes.
        num_clips: Clips of train, validation and test.
        num_rendered: Clips that this call rendered; the others were there.
    """

    path: Path
    num_classes: int
    num_clips: tuple[int, int, int]
    num_rendered: int


def generate(
    out: Path,
    *,
    seed: int = 0,
    num_classes: int | None = None,
    clips_per_class: tuple[int, int, int] = (30, 10, 10),
    num_workers: int = 1,
    show_progress: bool = False,
) -> Summary:
    """Render Something-Something mini into a folder.

    Args:
        out: Folder to make, or one that an earlier call with the same seed has begun.
        seed: Everything follows from it.
        num_classes: Take the first so many of :data:`TEMPLATES`; None takes all.
        clips_per_class: Clips of each class in train, validation and test.
        num_workers: Processes; 1 renders in this one.
        show_progress: Draw a progress bar on standard error.

    Raises:
        InputError: if a number is out of range, or `out` holds something else.
    """
    num_classes = len(TEMPLATES) if num_classes is None else num_classes
    _check(seed, num_classes, clips_per_class, num_workers)
    draw = {"definition": DEFINITION, "seed": seed}
    _claim(out, draw)
    keys = [
        ClipKey(split, label, number)
        for split, count in zip(SPLITS, clips_per_class, strict=True)
        for number in range(count)
        for label in range(num_classes)
    ]
    missing = [key for key in keys if not _video(out, key).exists()]
    with _progress(show_progress) as progress:
        for _ in progress.track(
            _rendered(out, seed, missing, num_workers), len(missing), description="render"
        ):
            pass
    _annotate(out, draw, keys, num_classes)
    return Summary(out, num_classes, clips_per_class, len(missing))


def _check(seed: int, num_classes: int, clips_per_class: Sequence[int], num_workers: int) -> None:
    """Refuse numbers out of range."""
    if seed < 0:
        raise InputError(f"the seed must be at least 0, got {seed}")
    if not 2 <= num_classes <= len(TEMPLATES):
        raise InputError(f"mini has 2 to {len(TEMPLATES)} classes, got {num_classes}")
    for split, count in zip(SPLITS, clips_per_class, strict=True):
        if not 0 <= count <= MAX_CLIPS:
            raise InputError(f"clips per class of {split} must be 0 to {MAX_CLIPS}, got {count}")
    if not any(clips_per_class):
        raise InputError("no clips asked for: give at least one split a number of clips per class")
    if num_workers < 1:
        raise InputError(f"needs at least one worker, got {num_workers}")


def _claim(out: Path, draw: dict[str, Any]) -> None:
    """Make the folder ours, and take away annotations that are to be written anew."""
    record = out / "mini.json"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose another folder")
    if out.exists() and any(out.iterdir()):
        try:
            found = json.loads(record.read_text(encoding="utf-8"))
            begun = {name: found[name] for name in draw}
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{out} is not empty and holds no draw of mini; choose another folder") from None
        if begun != draw:
            raise InputError(
                f"{out} holds a draw with {begun}, this one has {draw}; choose another folder or remove it"
            )
    for name in _ANNOTATIONS:
        (out / name).unlink(missing_ok=True)
    write_text(record, json.dumps({**draw, "complete": False}) + "\n")


def _video(out: Path, key: ClipKey) -> Path:
    return out / "videos" / f"{key.id}.webm"


@contextmanager
def _progress(shown: bool) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("clips"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        yield progress


def _rendered(out: Path, seed: int, keys: list[ClipKey], num_workers: int) -> Iterator[None]:
    """Render clips, yielding after each."""
    if num_workers == 1:
        for key in keys:
            _render_clip(out, seed, key)
            yield
        return
    # Fresh processes, since a fork of one that runs threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        try:
            yield from pool.map(
                _render_clip, *zip(*((out, seed, key) for key in keys), strict=True), chunksize=4
            )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _render_clip(out: Path, seed: int, key: ClipKey) -> None:
    """Render and encode one clip."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        plan = plan_clip(seed, key)
        with atomic_path(_video(out, key)) as temporary:
            write_webm(
                temporary,
                render(plan),
                width_px=plan.camera.width_px,
                height_px=plan.camera.height_px,
                frames_per_sec=FRAMES_PER_SEC,
                quantizer=plan.quantizer,
            )
    finally:
        cv2.setNumThreads(before)


def _annotate(out: Path, draw: dict[str, Any], keys: list[ClipKey], num_classes: int) -> None:
    """Write what Something-Something V2 comes with, and last the record of the draw."""
    plans = [plan_clip(draw["seed"], key) for key in keys]
    names = [template.name for template in TEMPLATES[:num_classes]]
    _write_json(out / "labels.json", {name: str(index) for index, name in enumerate(names)})
    for split in ("train", "validation"):
        _write_json(out / f"{split}.json", [_entry(plan) for plan in plans if plan.key.split == split])
    test = [plan for plan in plans if plan.key.split == "test"]
    if test:  # an empty list would be a split that no command can use
        answers = "".join(f"{plan.key.id};{names[plan.key.label]}\n" for plan in test)
        _write_json(out / "test.json", [{"id": plan.key.id} for plan in test])
        write_text(out / "test-answers.csv", answers)
    record = {
        **draw,
        "complete": True,
        "classes": [
            {"name": t.name, "index": i, "something_something_v2_index": t.index}
            for i, t in enumerate(TEMPLATES[:num_classes])
        ],
        "clips": {
            plan.key.id: {
                "split": plan.key.split,
                "class": plan.key.label,
                "num_frames": plan.num_frames,
                "width_px": plan.camera.width_px,
                "objects": plan.object_ids,
                "backgrounds": plan.background_ids,
            }
            for plan in plans
        },
    }
    _write_json(out / "mini.json", record)


def _entry(plan: ClipPlan) -> dict[str, Any]:
    """One clip as the json files of Something-Something V2 have it."""
    template = TEMPLATES[plan.key.label]
    return {
        "id": plan.key.id,
        "label": template.label(plan.placeholders),
        "template": template.text,
        "placeholders": plan.placeholders,
    }


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
