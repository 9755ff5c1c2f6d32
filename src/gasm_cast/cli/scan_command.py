"""`gasm-cast scan`: audit a data set before anything is spent on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

if TYPE_CHECKING:
    from gasm_cast.extraction.scanning import Scan

_NUM_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """Audit a data set before anything is spent on it.

    Finds ids without file, files without label, empty, unreadable, damaged and truncated
    files, videos shorter than a clip, odd frame rates, turned pictures, two files of one
    name, ids and contents in two splits, and classes without clips.

    Exit code 1 says that some clips would be missing, damaged or in two splits; 2 that the
    annotations themselves cannot be read.
    """

    path: Positional[Path]
    """Annotations (a data set's folder, a list, a folder per class), or a folder of videos."""
    videos: Path | None = None
    """Folder of the videos, if not `videos` beside the annotations."""
    decode: bool = True
    """Decode and hash every file; without, ids and files are matched only."""
    workers: int = 0
    """Decoding processes; 0 takes one a core."""
    time_limit_sec: float = 120.0
    """Time that one file may take before it is given up and listed."""
    json: Path | None = None
    """Write everything found there."""

    def __post_init__(self) -> None:
        if self.workers < 0 or self.time_limit_sec <= 0:
            raise ValueError(
                f"workers must be at least 0 and time_limit_sec above 0, "
                f"got {self.workers}, {self.time_limit_sec}"
            )


def run(options: Options) -> int:
    """Scan; 1 if there are problems."""
    import json

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gasm_cast.extraction.scanning import scan
    from gasm_cast.files import write_text
    from gasm_cast.machine import num_cores

    columns = (TextColumn("scan"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("scan", total=None)
        found = scan(
            options.path,
            options.videos,
            decode=options.decode,
            num_workers=options.workers or num_cores(),
            time_limit_sec=options.time_limit_sec,
            on_file=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _show(found, options.videos or options.path)
    if options.json is not None:
        write_text(options.json, json.dumps(to_json(found), indent=2, ensure_ascii=False) + "\n")
        print(f"everything found: {options.json}")
    return 1 if found.has_problems else 0


def to_json(found: Scan) -> dict[str, Any]:
    """The whole scan as plain values."""
    return {
        "splits": [
            {
                "split": table.split,
                "num_clips": len(table),
                "num_files": sum(path is not None for path in table.paths),
                "class_counts": dict(zip(table.class_names, table.class_counts().tolist(), strict=True)),
            }
            for table in found.tables
        ],
        "files": [
            {
                "file": str(path),
                "num_bytes": report.num_bytes,
                "sha256": report.digest,
                **(
                    {"reason": report.reason}
                    if report.video is None
                    else {
                        "num_frames": report.video.num_frames,
                        "frames_per_sec": report.video.frames_per_sec,
                        "width_px": report.video.width_px,
                        "height_px": report.video.height_px,
                        "codec": report.video.codec,
                        "turned": report.video.turned,
                        "num_damaged": report.video.num_damaged,
                        "missing_sec": report.video.missing_sec,
                    }
                ),
            }
            for path, report in found.files.items()
        ],
        "counts": {kind: len(findings) for kind, findings in found.by_kind().items()},
        "findings": [
            {
                "kind": finding.kind,
                "problem": finding.is_problem,
                "subject": finding.subject,
                "split": finding.split,
                "detail": finding.detail,
            }
            for findings in found.by_kind().values()
            for finding in findings
        ],
        "problems": found.has_problems,
    }


def _show(found: Scan, folder: Path) -> None:
    from statistics import median

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from gasm_cast.cli.lines import say

    console = Console()
    splits = Table("split", "clips", "with file", "classes", "clips a class", box=None)
    for table in found.tables:
        counts = table.class_counts()
        spread = f"{counts.min()} to {counts.max()}" if table.labelled else "no labels"
        classes = f"{(counts > 0).sum()} of {len(counts)}" if table.labelled else ""
        num_files = sum(path is not None for path in table.paths)
        splits.add_row(table.split, str(len(table)), str(num_files), classes, spread)
    console.print(splits)
    videos = [report.video for report in found.files.values() if report.video is not None]
    if videos:
        frames = [video.num_frames for video in videos]
        sizes = {(video.width_px, video.height_px) for video in videos}
        codecs = sorted({video.codec for video in videos})
        say(
            console,
            f"\n{len(videos)} of {len(found.files)} files decode: {min(frames)} to {max(frames)} frames "
            f"(median {median(frames):g}), {len(sizes)} picture size(s), {', '.join(codecs)}\n",
        )
    findings = Table("", "found", "", "examples", box=None)
    for kind, members in found.by_kind().items():
        mark = "[red]problem[/red]" if members[0].is_problem else "remark"
        examples = [
            finding.subject.removeprefix(f"{folder}/") + (f": {finding.detail}" if finding.detail else "")
            for finding in members[:_NUM_EXAMPLES]
        ]
        findings.add_row(mark, kind, str(len(members)), escape("\n".join(examples)))
    if found.findings:
        console.print(findings)
    else:
        console.print("nothing to remark")
