"""The processes of a run, and what makes it repeatable."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np
import torch
import torch.utils.deterministic as memory
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from gasm_cast.config import TrainingConfig
from gasm_cast.devices import resolve_device, resolve_precision

_FABRIC_NAMES = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def launch(config: TrainingConfig) -> Fabric:
    """Start the processes of a run, or join those that torchrun or SLURM started.

    Raises:
        InputError: if the device is not there or cannot do the asked arithmetic.
    """
    device = resolve_device(config.device)
    num_devices, num_nodes = _processes(config)
    fabric = Fabric(
        accelerator=device.type,
        devices=num_devices,
        num_nodes=num_nodes,
        # Buffers, as positions and statistics, are the same in all processes and never change.
        strategy=DDPStrategy(broadcast_buffers=False) if num_devices * num_nodes > 1 else "auto",
        precision=_FABRIC_NAMES[resolve_precision(config.precision, device)],
    )
    fabric.launch()
    return fabric


def _processes(config: TrainingConfig) -> tuple[int, int]:
    """Processes a machine, and machines; a launcher's own counts hold over the recipe's."""
    if "LOCAL_WORLD_SIZE" in os.environ:  # torchrun
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        return here, int(os.environ["WORLD_SIZE"]) // here
    return config.num_devices, config.num_nodes


@contextlib.contextmanager
def repeatable(deterministic: bool) -> Iterator[None]:
    """Allow only algorithms that give the same bits every time, where `deterministic`; restore after.

    On GPUs an operation that has no such algorithm warns instead of failing, since which
    ones lack it changes from version to version; cuBLAS needs its workspace fixed as well,
    by a variable that stays set, since it is read once, when cuBLAS is first used.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
        # It would fill new memory with NaN, which finds defects and costs time.
        memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def seed_draws(seed: int, *, step: int, part: int, rank: int) -> None:
    """Make the randomness of a batch, dropout and augmentation, a function of these four numbers.

    So a resumed run needs no saved generators, cannot replay or skip draws, and the
    candidates of a sweep draw what each would draw alone.

    Args:
        seed: Seed of the run.
        step: Optimiser step.
        part: Batch inside the step, where gradients accumulate.
        rank: Process.
    """
    torch.manual_seed(int(np.random.SeedSequence([seed, step, part, rank]).generate_state(1, np.uint64)[0]))
