"""What a run shows while it works: speed, the share of time spent waiting for data, time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


class Stopwatch:
    """Splits the time of a loop into waiting for its input and working on it.

    A share of waiting near 0 says that a faster store would not help; near 1, that a
    faster device would not.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget what was measured."""
        self.num_clips = 0
        self.wait_sec = 0.0
        self.last_wait_sec = 0.0
        self._start = time.perf_counter()
        self._stop: float | None = None

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Hand the items on, timing how long each takes to arrive."""
        iterator = iter(items)
        while True:
            asked = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                self._stop = time.perf_counter()
                return
            self.last_wait_sec = time.perf_counter() - asked
            self.wait_sec += self.last_wait_sec
            yield item

    @property
    def elapsed_sec(self) -> float:
        """Seconds since the last restart, until the items ended."""
        return (self._stop or time.perf_counter()) - self._start

    @property
    def clips_per_sec(self) -> float:
        """Clips that this process worked through in a second."""
        return self.num_clips / self.elapsed_sec

    @property
    def wait_share(self) -> float:
        """Share of the time spent waiting for data."""
        return self.wait_sec / self.elapsed_sec


class Display:
    """A progress bar on a terminal; in a log file only the lines that are printed."""

    def __init__(self, console: Console, *, num_steps: int, step: int) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("training", total=num_steps, completed=step, state="")

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, watch: Stopwatch, *, epoch: int, loss: float) -> None:
        """Show one more step."""
        speed = f"{watch.clips_per_sec:,.0f} clips/s  {watch.wait_share:.0%} waiting for data"
        state = f"loss {loss:.3f}  {speed}  left"
        self._progress.update(self._task, advance=1, description=f"epoch {epoch}", state=state)
