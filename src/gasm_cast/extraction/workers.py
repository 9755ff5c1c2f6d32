"""Processes that decode, under a supervisor that outlives whatever a file does to them.

A file may hang the decoder, crash it, or eat the machine's memory. Each worker process is
therefore owned by one thread of ours, which hands it one task at a time, waits for the
answer no longer than the time limit, and replaces the process if it hangs or dies. The
task is then *failed*, with the reason, and the others go on. The standard library's
process pool cannot do this: one dead worker breaks the whole pool, and a running task
has no time limit.

Processes are spawned, never forked: a decoder or a BLAS that was opened before a fork
dead-locks after it. They do their work on one thread each, and end with their parent,
however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_SPAWN = multiprocessing.get_context("spawn")
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_START_LOCK = threading.Lock()


@dataclass(frozen=True)
class Failed:
    """A task without a result, and why."""

    reason: str


@dataclass(frozen=True)
class _Raised(Failed):
    """A task that raised, after which its worker ends."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection


class WorkerPool(Generic[Task, Result]):
    """An ordered, bounded `map` over processes that may hang or die.

    Args:
        function: What to do with a task, in the process; must pickle. An exception fails
            the task and costs the process.
        num_workers: Processes.
        time_limit_sec: Time that one task may take.
        num_ahead: Tasks begun but not yet taken by the caller: the bound of the memory.
    """

    def __init__(
        self,
        function: Callable[[Task], Result | Failed],
        *,
        num_workers: int,
        time_limit_sec: float,
        num_ahead: int,
    ) -> None:
        if num_workers < 1 or num_ahead < 1 or time_limit_sec <= 0:
            raise ValueError(
                f"a pool needs workers, tasks ahead and a time limit above 0, got {num_workers=}, "
                f"{num_ahead=}, {time_limit_sec=}"
            )
        self._function = function
        self._time_limit_sec = time_limit_sec
        self._num_ahead = num_ahead
        self._closing = threading.Event()
        self._own = threading.local()
        self._processes: set[BaseProcess] = set()
        # Workers inherit the mask of the thread that starts them: Ctrl-C, which reaches every
        # process of the terminal, is the parent's to answer. The tracker that multiprocessing
        # starts with its first process would lift the mask of that thread, so it starts here.
        resource_tracker.ensure_running()
        self._threads = ThreadPoolExecutor(
            num_workers,
            thread_name_prefix="worker",
            initializer=signal.pthread_sigmask,
            initargs=(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM}),
        )

    def __enter__(self) -> WorkerPool[Task, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def map(self, tasks: Iterable[Task]) -> Iterator[Result | Failed]:
        """Results in the order of the tasks; a task that got none gives its :class:`Failed`."""
        begun: deque[Future[Result | Failed]] = deque()
        for task in tasks:
            begun.append(self._threads.submit(self._run, task))
            if len(begun) >= self._num_ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    def close(self) -> None:
        """End all processes at once; tasks not yet taken are dropped."""
        self._closing.set()
        with _START_LOCK:
            for process in self._processes:
                process.kill()
        self._threads.shutdown(cancel_futures=True)

    def _run(self, task: Task) -> Result | Failed:
        """One task, in the process that belongs to this thread."""
        worker = self._worker()
        if worker is None:
            return Failed("interrupted")
        try:
            worker.connection.send(task)
            if worker.connection.poll(self._time_limit_sec):
                outcome: Result | Failed = worker.connection.recv()
                if isinstance(outcome, _Raised):
                    self._discard(worker)
                    return Failed(outcome.reason)
                return outcome
            worker.process.kill()
            self._discard(worker)
            return Failed(f"timed out after {self._time_limit_sec:g} s")
        except (EOFError, ConnectionError):
            return Failed(f"killed its worker ({self._discard(worker)})")

    def _worker(self) -> _Worker | None:
        """The process of this thread, started if there is none; none when the pool closes."""
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is not None and worker.process.is_alive():
            return worker
        if worker is not None:
            self._discard(worker)
        with _START_LOCK, _one_thread_each(), _without_script(self._function):
            if self._closing.is_set():
                return None
            ours, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(target=_serve, args=(self._function, theirs), daemon=True)
            process.start()
            theirs.close()  # or the end of the process would not be seen
            self._processes.add(process)
        worker = self._own.worker = _Worker(process, ours)
        try:
            ours.recv()
        except (EOFError, ConnectionError):
            if self._closing.is_set():
                return None
            raise RuntimeError(f"a worker could not start ({self._discard(worker)})") from None
        return worker

    def _discard(self, worker: _Worker) -> str:
        """Reap a process that ended, and say how it ended."""
        worker.process.join()
        worker.connection.close()
        self._own.worker = None
        with _START_LOCK:
            self._processes.discard(worker.process)
        code = worker.process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside get one thread of BLAS and OpenMP: many workers share the cores."""
    before = {name: os.environ.get(name) for name in _THREAD_COUNTS}
    os.environ.update(dict.fromkeys(_THREAD_COUNTS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_script(function: Callable[..., object]) -> Iterator[None]:
    """Processes started inside do not run the caller's script once more, unless the function lies there.

    A spawned process imports the main module again. A script that calls this package outside of
    `if __name__ == "__main__"` would call it again.
    """
    main = sys.modules["__main__"]
    if function.__module__ != "__main__":
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(function: Callable[[Task], Result | Failed], connection: Connection) -> None:
    """Life of a worker process: tasks in, outcomes out, until the parent closes or dies."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    connection.send("ready")  # imports are done: from here on a death is the fault of a task
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            outcome: Result | Failed = function(task)
        except Exception as error:
            connection.send(_Raised(f"{type(error).__name__}: {error}"))
            raise  # a defect of ours: its traceback belongs on the screen
        connection.send(outcome)


def _end_with_parent() -> None:
    """A worker deep in a file would not notice that its parent was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
