"""Which samples each step takes: shuffled, repeatable anywhere, split over processes, resumable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt64

from gasm_cast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class BatchSampler:
    """Batches of sample numbers `0 .. num_samples - 1`, a function of seed, epoch, rank and world size.

    Every epoch is one global order, cut into steps, and each step is split over the
    processes. So two processes with batches of B see in each step the samples that one
    process with batches of 2B sees; no sample is repeated or left out, and every process
    takes the same number of steps.

    The samples are spread evenly: steps differ by at most one sample, as do the processes
    of a step, so that no batch is empty or much smaller than the others. A step has at
    most `batch_size * world_size` samples.

    The order comes from the raw numbers of the counter-based generator Philox, which are the
    same on every platform and in every version of numpy.
    """

    num_samples: int
    batch_size: int
    """Most samples a step on each process."""
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    shuffle: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must lie in 0 .. world_size - 1, got {self.rank=}, {self.world_size=}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.seed < 0:
            raise InputError(f"a seed must be at least 0, got {self.seed}")
        smallest = self._step_bounds()[1:] - self._step_bounds()[:-1]
        if self.num_steps == 0 or smallest.min() < self.world_size:
            raise InputError(
                f"{self.num_samples} samples cannot be split over {self.world_size} processes in batches "
                f"of {self.batch_size}: a process would have nothing to do; use fewer processes or "
                "another batch size"
            )

    @property
    def num_steps(self) -> int:
        """Steps of an epoch, the same on each process."""
        return -(-self.num_samples // (self.batch_size * self.world_size))

    def epoch(self, epoch: int, *, start_step: int = 0) -> list[Int[np.ndarray, " _"]]:
        """This process's samples of each step, from `start_step` on."""
        if self.shuffle:
            # Sorting independent 64-bit numbers gives every order the same chance.
            order = np.argsort(self._random(epoch, use=0), kind="stable")
        else:
            order = np.arange(self.num_samples)
        return self._split(order, start_step)

    def views(self, epoch: int, num_views: int, *, start_step: int = 0) -> list[Int[np.ndarray, " _"]]:
        """A random view for each sample that :meth:`epoch` gives, in the same layout."""
        views = (self._random(epoch, use=1) % np.uint64(num_views)).astype(np.int64)
        return [views[samples] for samples in self.epoch(epoch, start_step=start_step)]

    def _random(self, epoch: int, *, use: int) -> UInt64[np.ndarray, " samples"]:
        key = np.array([self.seed, epoch], np.uint64)
        counter = np.array([0, 0, 0, use], np.uint64)  # streams of different use never overlap
        return np.random.Philox(key=key, counter=counter).random_raw(self.num_samples)

    def _split(self, order: Int[np.ndarray, " samples"], start_step: int) -> list[Int[np.ndarray, " _"]]:
        bounds = self._step_bounds()
        steps = [order[a:b] for a, b in zip(bounds[start_step:-1], bounds[start_step + 1 :], strict=True)]
        return [np.array_split(samples, self.world_size)[self.rank] for samples in steps]

    def _step_bounds(self) -> Int[np.ndarray, " bounds"]:
        return np.arange(self.num_steps + 1) * self.num_samples // max(1, self.num_steps)
