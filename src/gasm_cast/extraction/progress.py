"""The bar that a long extraction shows: how far, how fast, how long still, and where time goes."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gasm_cast.extraction.pipeline import Timing


class ExtractionProgress:
    """Shown on standard error, so that standard output stays for results."""

    def __init__(self, num_clips: int, timing: Timing, *, shown: bool) -> None:
        self._timing = timing
        self._num_failed = 0
        self._bar = Progress(
            TextColumn("extract"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shares]}"),
            console=Console(stderr=True),
            disable=not shown,
        )
        self._task = self._bar.add_task("extract", total=num_clips, rate="", shares="")

    def __enter__(self) -> ExtractionProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, *, failed: bool) -> None:
        """Count one clip."""
        self._num_failed += failed
        task = self._bar.tasks[0]
        elapsed = task.elapsed or 0.0
        shares = "  ".join(f"{name} {share:.0%}" for name, share in self._timing.shares().items())
        failures = f"  {self._num_failed} failed" if self._num_failed else ""
        self._bar.update(
            self._task,
            advance=1,
            rate=f"{(task.completed + 1) / elapsed:.1f} clips/s" if elapsed else "",
            shares=shares + failures,
        )
