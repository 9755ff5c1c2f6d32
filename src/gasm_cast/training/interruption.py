"""Ctrl-C and SIGTERM end a run at the next step, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

import torch
from lightning_fabric import Fabric
from torch import Tensor


class Interruption:
    """While entered, takes the first SIGINT or SIGTERM as a wish to stop after the current step.

    A second one interrupts at once. Signals reach processes at different moments, so
    `is_wanted` asks all of them: they stop at the same step.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._received = False
        self._handlers: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # others cannot take signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def is_wanted(self) -> bool:
        """Whether any process was asked to stop; every process must ask at the same step."""
        if self._fabric.world_size == 1:
            return self._received
        flag = torch.tensor(float(self._received), device=self._fabric.device)
        total = self._fabric.all_reduce(flag, reduce_op="sum")
        return bool(total > 0) if isinstance(total, Tensor) else self._received

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
