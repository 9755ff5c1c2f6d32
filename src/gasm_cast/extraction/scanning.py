"""Auditing a data set before anything is spent on it.

Every file is decoded once, in worker processes that a bad file may hang or kill, and
hashed. What is found is either a *problem* (clips that would be missing, damaged, or
counted in two splits) or a *remark* (worth knowing, and handled as documented).
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal, get_args

import numpy as np

from gasm_cast.annotations import (
    UNLABELLED,
    ClipTable,
    available_splits,
    cross_split_duplicates,
    find_video_folder,
    read_annotations,
    video_files,
)
from gasm_cast.errors import InputError
from gasm_cast.extraction.sources import files_by_id
from gasm_cast.extraction.workers import Failed, WorkerPool
from gasm_cast.video import VideoError, VideoInfo, inspect_video

Problem = Literal[
    "no file for id",
    "empty file",
    "unreadable",
    "gave up",
    "damaged or truncated",
    "id of two files",
    "id in two splits",
    "same video in two splits",
]
Remark = Literal[
    "file without label",
    "short",
    "odd frame rate",
    "turned",
    "same video twice",
    "class without clips",
    "repeated rows",
]

PROBLEMS: tuple[Problem, ...] = get_args(Problem)

NUM_FRAMES = 16
"""Clips with fewer frames repeat some."""

_USUAL_RATES = (0.8, 1.25)
"""Rates outside these multiples of the median are odd."""


@dataclass(frozen=True)
class Finding:
    """One thing found."""

    kind: Problem | Remark
    subject: str
    """Id, file or class."""
    detail: str = ""
    split: str = ""
    """Split, or the splits of a class, with commas between them."""

    @property
    def is_problem(self) -> bool:
        """Whether the exit code tells of it."""
        return self.kind in PROBLEMS


@dataclass(frozen=True)
class FileReport:
    """One video file: what is in it, or why nothing is."""

    path: Path
    num_bytes: int
    digest: str
    """SHA-256 of the whole file; empty where it cannot be read."""
    video: VideoInfo | None
    reason: str = ""


@dataclass(frozen=True)
class Scan:
    """All that an audit found."""

    tables: tuple[ClipTable, ...]
    """One a split; without labels where `path` is a plain folder of videos."""
    files: Mapping[Path, FileReport]
    findings: tuple[Finding, ...]

    @property
    def has_problems(self) -> bool:
        """Whether some clips would be missing, damaged, or counted in two splits."""
        return any(finding.is_problem for finding in self.findings)

    def by_kind(self) -> dict[Problem | Remark, list[Finding]]:
        """Findings by kind, problems first."""
        kinds: dict[Problem | Remark, list[Finding]] = {}
        for finding in sorted(self.findings, key=lambda finding: not finding.is_problem):
            kinds.setdefault(finding.kind, []).append(finding)
        return kinds


def scan(
    path: Path,
    video_folder: Path | None = None,
    *,
    decode: bool = True,
    num_workers: int,
    time_limit_sec: float,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Scan:
    """Audit annotations and their videos, or a plain folder of videos.

    Args:
        path: Annotations as `read_annotations` takes them, or a folder of videos.
        video_folder: Where the videos lie, if not where they usually do.
        decode: Also decode and hash every file; without it ids and files are matched only.
        num_workers: Processes that decode.
        time_limit_sec: After this long a file is given up.
        on_file: Told the files done and all files, after each file.

    Raises:
        InputError: if the annotations themselves cannot be read.
    """
    tables = _tables(path, video_folder)
    if not decode:  # which would tell of links that lead nowhere
        tables = [_with_files_that_exist(table) for table in tables]
    used = sorted({file for table in tables for file in table.paths if file is not None})
    files: dict[Path, FileReport] = {}
    findings = [
        *_join(tables, _all_files(path, video_folder), set(used)),
        *(Finding("repeated rows", note, split=table.split) for table in tables for note in table.notes),
        *(Finding("id in two splits", clip, f"{a} and {b}") for clip, a, b in cross_split_duplicates(tables)),
        *_empty_classes(tables),
    ]
    if decode:
        with WorkerPool(
            inspect_file,
            num_workers=num_workers,
            time_limit_sec=time_limit_sec,
            num_ahead=4 * num_workers,
        ) as pool:
            for number, (file, outcome) in enumerate(zip(used, pool.map(used), strict=True), start=1):
                if isinstance(outcome, Failed):
                    findings.append(Finding("gave up", str(file), outcome.reason))
                else:
                    files[file] = outcome
                on_file(number, len(used))
        findings += [finding for report in files.values() for finding in _about(report)]
        findings += _odd_rates(files.values())
        findings += _same_content(tables, files)
    return Scan(tuple(tables), files, tuple(findings))


def inspect_file(path: Path) -> FileReport:
    """Hash and decode one file; runs in a worker."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            num_bytes = os.fstat(file.fileno()).st_size
    except OSError as error:
        return FileReport(path, 0, "", None, error.strerror or str(error))
    try:
        return FileReport(path, num_bytes, digest, inspect_video(path))
    except VideoError as error:
        return FileReport(path, num_bytes, digest, None, error.reason)


def _tables(path: Path, video_folder: Path | None) -> list[ClipTable]:
    try:
        splits = available_splits(path)
    except InputError:
        found = files_by_id(path) if path.is_dir() else {}
        if not found:
            raise
        labels = np.full(len(found), UNLABELLED, dtype=np.int64)
        return [ClipTable(tuple(found), labels, tuple(first for first, *_ in found.values()), (), "all")]
    return [read_annotations(path, split, video_folder) for split in splits]


def _with_files_that_exist(table: ClipTable) -> ClipTable:
    paths = tuple(file if file is not None and os.path.exists(file) else None for file in table.paths)
    return replace(table, paths=paths)


def _all_files(path: Path, video_folder: Path | None) -> list[Path]:
    annotations = path if path.is_dir() else path.parent
    return video_files(find_video_folder(annotations, video_folder))


def _join(tables: Sequence[ClipTable], present: Sequence[Path], used: set[Path]) -> Iterator[Finding]:
    for table in tables:
        for clip_id, file in zip(table.ids, table.paths, strict=True):
            if file is None:
                yield Finding("no file for id", clip_id, split=table.split)
    # Annotations may name a folder from the root, and a person from where they are.
    real = functools.cache(Path.resolve)
    listed = {(real(file.parent), file.name) for file in used}
    is_plain = not tables[0].class_names
    for file in present:
        if (real(file.parent), file.name) in listed or not os.path.exists(file):
            continue
        if is_plain:  # each file is a clip of its own, unless another has its id
            yield Finding("id of two files", str(file), "another file has this name before the ending")
        else:
            yield Finding("file without label", str(file))


def _empty_classes(tables: Sequence[ClipTable]) -> Iterator[Finding]:
    """Each class once, with the splits that have no clip of it."""
    splits: dict[str, list[str]] = {}
    for table in tables:
        if table.labelled:
            for index in np.flatnonzero(table.class_counts() == 0):
                splits.setdefault(table.class_names[index], []).append(table.split)
    for name, without in splits.items():
        listed = ", ".join(without)
        yield Finding("class without clips", name, f"in {listed}", split=listed)


def _about(report: FileReport) -> Iterator[Finding]:
    """What is remarkable about one file by itself."""
    name = str(report.path)
    if report.video is None:
        is_empty = report.digest and not report.num_bytes
        yield Finding("empty file" if is_empty else "unreadable", name, report.reason)
        return
    if report.video.flaws:
        yield Finding("damaged or truncated", name, "; ".join(report.video.flaws))
    if report.video.num_frames < NUM_FRAMES:
        yield Finding("short", name, f"{report.video.num_frames} frames; some are repeated to make a clip")
    if report.video.turned:
        yield Finding("turned", name, f"shown at {report.video.width_px}x{report.video.height_px}")


def _odd_rates(reports: Iterable[FileReport]) -> Iterator[Finding]:
    rates = {
        report.path: report.video.frames_per_sec
        for report in reports
        if report.video is not None and report.video.frames_per_sec is not None
    }
    usual = median(rates.values()) if rates else 0.0
    for path, rate in rates.items():
        if not usual * _USUAL_RATES[0] <= rate <= usual * _USUAL_RATES[1]:
            yield Finding("odd frame rate", str(path), f"{rate:.3g} frames a second; usual are {usual:.3g}")


def _same_content(tables: Sequence[ClipTable], files: Mapping[Path, FileReport]) -> Iterator[Finding]:
    """Clips whose files are equal byte by byte, across splits and within one."""
    holders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for table in tables:
        for clip_id, file in zip(table.ids, table.paths, strict=True):
            report = None if file is None else files.get(file)
            if report is not None and report.num_bytes:
                holders[report.digest].append((table.split, clip_id))
    for clips in holders.values():
        (split, clip_id), *others = clips
        for other_split, other_id in others:
            if other_split != split and other_id != clip_id:
                yield Finding("same video in two splits", other_id, f"is {clip_id} of {split}", other_split)
            elif other_split == split:
                yield Finding("same video twice", other_id, f"is {clip_id}", split)
