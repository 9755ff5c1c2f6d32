"""What models cost, measured side by side on random tokens: operations, time, memory.

Models take turns, step by step, and each gets the median of its steps. On a processor
what counts is processor time of all threads, so that other programs on the machine are
not charged to a model; on a GPU it is time on the clock. Ratios inside one table can be
trusted, seconds less so.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gasm_cast.config import ModelConfig
from gasm_cast.devices import autocast
from gasm_cast.evaluation.cost import count_flops, count_saved_bytes
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import FusionModel, build_model, mark_batch
from gasm_cast.runs import processor

Tokens = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to measure."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic."""
    compile: bool = False
    """Compile each model first."""
    num_steps: int = 5
    """Timed steps of each model, after one that warms up."""
    peak: bool = True
    """Also measure the peak of a training step: on processors what a batch adds to a step of one clip."""
    num_classes: int = 174
    """Classes of the classifier; SSv2's by default."""
    num_groups: int = 0
    """Verb groups, for models with coarse layers."""

    def describe(self) -> str:
        """Hardware, arithmetic, and what its times are times of."""
        if self.device == "cuda":
            return f"{torch.cuda.get_device_name()}, {self.precision}, time on the clock"
        return f"{processor()}, {torch.get_num_threads()} thread(s), {self.precision}, processor time"


@dataclass(frozen=True)
class Measurement:
    """What one model costs on tokens of one shape."""

    name: str
    grid: Grid
    """Grid of the semantic tokens."""
    batch_size: int
    parameters: int
    flops: float
    """Of one clip's forward pass; a multiply-add is two."""
    forward_sec: float
    """Median time of a batch in inference."""
    train_step_sec: float
    """Median time of a batch's forward and backward pass, without an optimiser."""
    saved_bytes: int
    """What a batch's forward pass keeps for the backward pass, weights not counted."""
    peak_bytes: int | None
    """Memory that a training step adds at its peak to weights and tokens; None if not measured."""


def measure(
    configs: Mapping[str, ModelConfig],
    semantic: StreamSpec,
    motion: StreamSpec,
    batch_size: int,
    settings: Settings,
) -> list[Measurement]:
    """Measure models on random tokens of one shape, in turns.

    Args:
        configs: Models by name.
        semantic: Shape of the semantic tokens.
        motion: Shape of the motion tokens.
        batch_size: Clips of a step.
        settings: How.
    """
    if settings.compile:
        # All models share one `forward`, which is compiled anew for each, in training and inference.
        limit = torch.compiler.config.recompile_limit
        torch.compiler.config.recompile_limit = max(limit, 4 * len(configs))
    tokens = random_tokens(semantic, motion, batch_size, settings)
    steppers = {name: Stepper(config, semantic, motion, settings) for name, config in configs.items()}
    training: dict[str, list[float]] = {name: [] for name in steppers}
    inference: dict[str, list[float]] = {name: [] for name in steppers}
    for step in range(1 + settings.num_steps):
        for name, stepper in steppers.items():
            seconds = timed(stepper.train, *tokens), timed(stepper.infer, *tokens)
            if step:  # the first warms up
                training[name].append(seconds[0])
                inference[name].append(seconds[1])
    one_clip = random_tokens(semantic, motion, 1, settings)
    return [
        Measurement(
            name=name,
            grid=semantic.grid,
            batch_size=batch_size,
            parameters=stepper.model.num_parameters,
            flops=count_flops(stepper.model, *one_clip),
            forward_sec=statistics.median(inference[name]),
            train_step_sec=statistics.median(training[name]),
            saved_bytes=count_saved_bytes(stepper.model, *tokens),
            peak_bytes=measure_peak(configs[name], semantic, motion, batch_size, settings)
            if settings.peak and (batch_size > 1 or settings.device == "cuda")
            else None,
        )
        for name, stepper in steppers.items()
    ]


class Stepper:
    """A model that takes training and inference steps under given settings."""

    def __init__(
        self, config: ModelConfig, semantic: StreamSpec, motion: StreamSpec, settings: Settings
    ) -> None:
        torch.manual_seed(0)
        self.settings = settings
        self.model: FusionModel = build_model(
            config,
            semantic=semantic,
            motion=motion,
            num_classes=settings.num_classes,
            num_groups=settings.num_groups,
        ).to(settings.device)
        self._call = torch.compile(self.model, fullgraph=True) if settings.compile else self.model

    def train(self, semantic: Tensor, motion: Tensor) -> None:
        """Forward and backward pass; gradients are dropped afterwards. No optimiser takes a step."""
        self.model.train()
        with self._arithmetic():
            prediction = self._call(semantic, motion)
        labels = torch.zeros(len(semantic), dtype=torch.long, device=semantic.device)
        losses = [cross_entropy(s.float(), labels) for s in (prediction.logits, *prediction.layer_logits)]
        torch.autograd.backward(torch.stack(losses).sum())
        self.model.zero_grad()

    def infer(self, semantic: Tensor, motion: Tensor) -> None:
        """Forward pass in evaluation."""
        self.model.eval()
        with torch.inference_mode(), self._arithmetic():
            self._call(semantic, motion)

    def _arithmetic(self) -> torch.autocast:
        return autocast(torch.device(self.settings.device), self.settings.precision)


def random_tokens(semantic: StreamSpec, motion: StreamSpec, batch_size: int, settings: Settings) -> Tokens:
    """Standard normal tokens of both streams."""
    generator = torch.Generator().manual_seed(0)
    pair = tuple(
        torch.randn(batch_size, spec.grid.num_tokens, spec.width, generator=generator).to(settings.device)
        for spec in (semantic, motion)
    )
    mark_batch(*pair)
    return pair[0], pair[1]


def timed(step: Callable[..., None], *tokens: Tensor) -> float:
    """Seconds that a step takes on these tokens: of the processor, or of the GPU by the clock."""
    if not tokens[0].is_cuda:
        start = time.process_time()
        step(*tokens)
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    step(*tokens)
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_peak(
    config: ModelConfig, semantic: StreamSpec, motion: StreamSpec, batch_size: int, settings: Settings
) -> int:
    """Bytes that a training step adds at its peak to weights and tokens."""
    if settings.device == "cuda":
        tokens = random_tokens(semantic, motion, batch_size, settings)
        stepper = Stepper(config, semantic, motion, settings)
        stepper.train(*tokens)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        stepper.train(*tokens)
        return torch.cuda.max_memory_allocated() - before
    # A process's peak never falls, so every figure needs a process of its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_process_growth, config, semantic, motion, batch_size, settings).result()


def _process_growth(
    config: ModelConfig, semantic: StreamSpec, motion: StreamSpec, batch_size: int, settings: Settings
) -> int:
    stepper = Stepper(config, semantic, motion, settings)
    stepper.train(*random_tokens(semantic, motion, 1, settings))  # libraries take their buffers
    tokens = random_tokens(semantic, motion, batch_size, settings)
    before = _peak_of_process()
    stepper.train(*tokens)
    return _peak_of_process() - before


def _peak_of_process() -> int:
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux hands ru_maxrss of the parent on to the programs that it starts; this mark is the process's own.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kibibytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(kibibytes)
