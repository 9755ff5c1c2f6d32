"""`gasm-cast bench model`: parameters, FLOPs, time and memory of the models."""

from __future__ import annotations

import json as json_format
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    from gasm_cast.evaluation.efficiency import Measurement


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure what the models cost, side by side on random tokens.

    Prints one table a grid, how graph attention grows with the nodes, and a verdict on every
    efficiency claim that the measured models and grids decide. Models take turns, so ratios
    can be trusted on a busy machine; seconds cannot.
    """

    what: Positional[Literal["model"]] = "model"
    """What to measure."""
    grids: tuple[str, ...] = ("1x14x14", "8x14x14", "16x14x14")
    """Grids of the semantic tokens, frames x rows x columns or rows x columns; motion has 8 segments."""
    batch_sizes: tuple[int, ...] = (8, 2, 1)
    """Clips of a step, one number for each grid."""
    models: tuple[str, ...] = ()
    """Rows to measure, by name; all by default."""
    semantic_width: int = 768
    """Channels of the semantic tokens."""
    motion_width: int = 512
    """Channels of the motion tokens."""
    num_steps: int = 5
    """Timed steps of each model, after one that warms up."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic."""
    compile: bool = False
    """Compile the models first."""
    peak: bool = True
    """Measure the peak of a training step too, in a fresh process for each model."""
    growth: bool = True
    """Measure how graph attention grows with the nodes."""
    out: Path | None = None
    """Folder for table.md and costs.png."""
    json: Path | None = None
    """Write every figure there."""


def run(options: Options) -> int:
    """Measure, print, write."""
    import torch

    from gasm_cast.devices import resolve_device
    from gasm_cast.errors import InputError
    from gasm_cast.evaluation.claims import contenders, decide, decide_growth
    from gasm_cast.evaluation.efficiency import Settings, measure
    from gasm_cast.evaluation.efficiency_plot import plot_costs
    from gasm_cast.evaluation.efficiency_tables import cost_table, figures, growth_table, verdict_table
    from gasm_cast.evaluation.growth import measure_growth
    from gasm_cast.files import write_text
    from gasm_cast.geometry import Grid, StreamSpec
    from gasm_cast.store.layout import parse_grid

    grids = [parse_grid(text, option="--grids") for text in options.grids]
    if len(grids) != len(options.batch_sizes):
        raise InputError(f"{len(grids)} grids need as many --batch-sizes, got {len(options.batch_sizes)}")
    _require_positive(options)
    configs = contenders(options.semantic_width)
    unknown = sorted(set(options.models) - set(configs))
    if unknown:
        raise InputError(f"no row is called {unknown[0]!r}; there are: {'; '.join(configs)}")
    if options.models:
        configs = {name: configs[name] for name in options.models}
    settings = Settings(
        device="cuda" if resolve_device(options.device).type == "cuda" else "cpu",
        precision=options.precision,
        compile=options.compile,
        num_steps=options.num_steps,
        peak=options.peak,
    )
    print(
        f"{settings.describe()}, torch {torch.__version__}, {'compiled' if settings.compile else 'eager'}, "
        f"medians of {settings.num_steps} steps in turns",
        flush=True,
    )
    motion = StreamSpec(Grid(8, 1, 1), options.motion_width)
    measurements: list[Measurement] = []
    sections: list[str] = []

    def show(section: str) -> None:
        sections.append(section)
        print("\n" + section, flush=True)

    for grid, batch_size in zip(grids, options.batch_sizes, strict=True):
        rows = measure(configs, StreamSpec(grid, options.semantic_width), motion, batch_size, settings)
        measurements += rows
        show(cost_table(rows))
    verdicts = decide(measurements)
    growth = measure_growth(settings) if options.growth else None
    if growth is not None:
        show(growth_table(growth))
        verdicts += decide_growth(growth)
    if verdicts:
        show(verdict_table(verdicts))
    if options.out is not None:
        write_text(options.out / "table.md", "\n\n".join(sections) + "\n")
        plot_costs(measurements, growth, options.out / "costs.png")
    if options.json is not None:
        write_text(options.json, json_format.dumps(figures(measurements, verdicts), indent=2) + "\n")
    return 0


def _require_positive(options: Options) -> None:
    from gasm_cast.errors import InputError

    for flag in ("num_steps", "semantic_width", "motion_width", "batch_sizes"):
        value = getattr(options, flag)
        if min(value if isinstance(value, tuple) else (value,)) <= 0:
            raise InputError(f"--{flag.replace('_', '-')} must be positive, got {value}")
