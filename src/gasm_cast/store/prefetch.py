"""Reading ahead: threads fill a ring of buffers while the consumer computes.

Threads and not worker processes: copying leaves the interpreter's lock alone, nothing has to
be sent between processes, and two threads reach the speed of memory. The kernel is told some
batches ahead what will be wanted, so that a disk works on many reads at once.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from gasm_cast.store.index import Index
from gasm_cast.store.rows import ShardFiles
from gasm_cast.store.slots import Features, Request, Slot

READ_AHEAD_BYTES = 32 * 2**20
"""How far ahead the kernel is told: about 100 clips of the default shapes."""


@dataclass(frozen=True)
class Batch:
    """A batch that was read from the store."""

    features: Features
    rows: Int[np.ndarray, " batch"]
    """Positions in the store."""
    views: Int[np.ndarray, " batch"]
    wait_sec: float
    """How long the consumer waited for it."""


def prefetch(
    requests: Sequence[Request],
    index: Index,
    files: ShardFiles,
    make_slot: Callable[[], Slot],
    *,
    num_threads: int,
    num_ahead: int,
) -> Iterator[Batch]:
    """Yield the requested batches in order.

    Args:
        requests: What each batch holds.
        index: Where it lies.
        files: The store's shards.
        make_slot: Makes memory for one batch.
        num_threads: Threads that read.
        num_ahead: Batches between the one that is read and the one the kernel is told to fetch.
    """
    # One slot is with the consumer, each of the others with a thread. More would only cost cache.
    free = deque(make_slot() for _ in range(num_threads + 1))
    reading: deque[tuple[Request, Slot, Future[None]]] = deque()
    waiting = iter(enumerate(requests))

    def read(number: int, slot: Slot) -> None:
        ahead = range(num_ahead + 1) if number == 0 else range(number + num_ahead, number + num_ahead + 1)
        for later in ahead:
            if later < len(requests):
                files.read_ahead(*requests[later].locate(index))
        slot.fill(files, *requests[number].locate(index))

    with ThreadPoolExecutor(num_threads, "store-reader") as pool:
        try:
            while True:
                for number, request in itertools.islice(waiting, len(free)):
                    slot = free.popleft()
                    reading.append((request, slot, pool.submit(read, number, slot)))
                if not reading:
                    return
                request, slot, done = reading.popleft()
                start = time.perf_counter()
                done.result()
                wait_sec = time.perf_counter() - start
                yield Batch(slot.features(len(request.rows)), request.rows, request.views, wait_sec)
                free.append(slot)
        finally:  # the consumer may stop early, or a read may have failed
            for _, _, unfinished in reading:
                unfinished.cancel()
