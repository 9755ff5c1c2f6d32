"""Worker processes that train several runs at the same time and stop decently."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

import torch

from gasm_cast.errors import InputError
from gasm_cast.machine import num_cores

K = TypeVar("K")
T = TypeVar("T")


class Workers:
    """Processes with an equal share of the cores each.

    On the first SIGINT or SIGTERM no further call begins, and the running ones are told
    once, upon which training writes a checkpoint and ends. Workers are in sessions of their
    own, since a terminal would tell them as well, and the second time they stop without a
    checkpoint.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise InputError(f"--jobs must be at least 1, got {jobs}")
        self._jobs = jobs
        self._executor = ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(max(1, num_cores() // jobs),),
        )

    def __enter__(self) -> Workers:
        self._before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for worker in multiprocessing.active_children():
                worker.terminate()
        self._executor.shutdown()
        signal.signal(signal.SIGTERM, self._before)

    def run(self, calls: Iterable[tuple[K, Callable[[], T]]]) -> Iterator[tuple[K, Future[T]]]:
        """Make the calls in their order, and yield each one's key with what it gave as it ends."""
        running: dict[Future[T], K] = {}
        waiting = iter(calls)
        while True:
            # Never more than can run: the executor begins what is queued even while it shuts down.
            while len(running) < self._jobs and (call := next(waiting, None)) is not None:
                running[self._executor.submit(call[1])] = call[0]
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield running.pop(future), future


def _start_worker(num_threads: int) -> None:
    os.setsid()
    torch.set_num_threads(num_threads)
