"""Learning curves of runs as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gasm_cast.report import style
from gasm_cast.runs import Run

TITLES = (
    "training loss",
    "accuracy (%), dashed: validation",
    "accuracy by layer (%)",
    "gradient norm",
    "learning rate",
    "gain of similarity, dashed: motion",
)


def draw_curves(runs: Sequence[Run], path: Path) -> None:
    """Draw loss, accuracy, layer-wise accuracy, gradient norm and gains over the epochs.

    Several runs share each diagram, a colour a run. Accuracy by layer is that of the
    held-out clips, where there are any.

    Args:
        runs: Runs that have trained for an epoch or more.
        path: Picture to write; its suffix says the format.
    """
    with style.drawing(9.6, 5.2) as figure:
        grid = figure.subplots(2, 3)
        for axes, title in zip(grid.flat, TITLES, strict=True):
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for index, run in enumerate(runs):
            _draw(run, list(grid.flat), style.series_style(index)["color"])
        grid.flat[3].set_yscale("log")
        if len(runs) > 1:
            grid.flat[0].legend(fontsize=7)
        style.save(figure, path)


def _draw(run: Run, axes: Sequence[Axes], color: str) -> None:
    loss, accuracy, layers, norm, rate, gain = axes
    epochs = list(run.events("epoch"))
    steps = list(run.events("step"))
    num_steps_of_epoch = epochs[0]["step"] / epochs[0]["epoch"] if epochs else 1
    at_epoch = [step["step"] / num_steps_of_epoch for step in steps]

    loss.plot(at_epoch, [step["loss"] for step in steps], color=color, linewidth=0.6, alpha=0.35)
    loss.plot(*_series(epochs, "train_loss"), color=color, label=run.path.name)
    accuracy.plot(*_series(epochs, "held_out_top1", 100.0), color=color)
    accuracy.plot(*_series(epochs, "validation_top1", 100.0), color=color, linestyle="--")
    norm.plot(at_epoch, [step["grad_norm"] for step in steps], color=color, linewidth=0.8)
    rate.plot(at_epoch, [step["learning_rate"] for step in steps], color=color)

    chosen_by = "held_out" if any("held_out_top1" in epoch for epoch in epochs) else "validation"
    of_layers = [(e["epoch"], e[f"{chosen_by}_layers"]) for e in epochs if f"{chosen_by}_layers" in e]
    for layer in range(len(of_layers[0][1]) if of_layers else 0):
        points = [100 * values[layer] for _, values in of_layers]
        layers.plot([epoch for epoch, _ in of_layers], points, color=color, alpha=0.4 + 0.2 * layer)
        layers.annotate(f" {layer + 1}", (of_layers[-1][0], points[-1]), color=color, fontsize=7)
    for name in epochs[0]["gains"] if epochs else ():
        means = [sum(epoch["gains"][name]) / len(epoch["gains"][name]) for epoch in epochs]
        dashed = "--" if name.startswith("motion") else "-"
        gain.plot([epoch["epoch"] for epoch in epochs], means, color=color, linestyle=dashed)


def _series(epochs: Sequence[dict[str, Any]], key: str, scale: float = 1.0) -> tuple[list[int], list[float]]:
    points = [(epoch["epoch"], scale * epoch[key]) for epoch in epochs if key in epoch]
    return [x for x, _ in points], [y for _, y in points]
