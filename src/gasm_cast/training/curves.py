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
    "gain g, dashed: motion",
)

_LINES = ("-", (0, (1, 1)), (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)))


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
        for axes in grid.flat:
            axes.set_xlim(left=0)
        grid.flat[3].set_yscale("log")
        if len(runs) > 1:
            grid.flat[0].legend(fontsize=7)
        # Layers by the first run that has any; a run differs in its colour alone.
        lines, words = grid.flat[2].get_legend_handles_labels()
        named = dict(zip(reversed(words), reversed(lines), strict=True))
        if named:
            grid.flat[2].legend(reversed(named.values()), reversed(named), fontsize=7)
        style.save(figure, path)


def _draw(run: Run, axes: Sequence[Axes], color: str) -> None:
    loss, accuracy, layers, norm, rate, gain = axes
    epochs = list(run.events("epoch"))
    steps = list(run.events("step"))
    num_steps_of_epoch = epochs[0]["step"] / epochs[0]["epoch"] if epochs else 1
    at_epoch = [step["step"] / num_steps_of_epoch for step in steps]

    loss.plot(at_epoch, [step["loss"] for step in steps], color=color, linewidth=0.6, alpha=0.35)
    loss.plot(*_series(epochs, "train_loss"), color=color, label=_name(run))
    for key, line in (("held_out_top1", "-"), ("validation_top1", "--")):
        measured = _series(epochs, key, 100.0)
        # Some runs measure it after their last epoch only, and a line through one point is none.
        marker = "o" if len(measured[0]) == 1 else ""
        accuracy.plot(*measured, color=color, linestyle=line, marker=marker)
    norm.plot(at_epoch, [step["grad_norm"] for step in steps], color=color, linewidth=0.8)
    rate.plot(at_epoch, [step["learning_rate"] for step in steps], color=color)

    chosen_by = "held_out" if any("held_out_top1" in epoch for epoch in epochs) else "validation"
    of_layers = [(e["epoch"], e[f"{chosen_by}_layers"]) for e in epochs if f"{chosen_by}_layers" in e]
    coarse = run.recipe.model.head.coarse_layers
    for layer in range(len(of_layers[0][1]) if of_layers else 0):
        points = [100 * values[layer] for _, values in of_layers]
        layers.plot(
            [epoch for epoch, _ in of_layers],
            points,
            color=color,
            linestyle=_LINES[layer % len(_LINES)],
            marker="o" if len(points) == 1 else "",
            label=f"layer {layer + 1}, {'verb groups' if layer < coarse else 'classes'}",
        )
    for name in epochs[0]["gains"] if epochs else ():
        means = [sum(epoch["gains"][name]) / len(epoch["gains"][name]) for epoch in epochs]
        dashed = "--" if name.startswith("motion") else "-"
        gain.plot([epoch["epoch"] for epoch in epochs], means, color=color, linestyle=dashed)


def _name(run: Run) -> str:
    """Its folder; of a study's run, which lies in `VARIANT/seed-K`, the variant's as well."""
    seed = run.path.name
    return f"{run.path.parent.name}, {seed}" if seed.startswith("seed-") else seed


def _series(epochs: Sequence[dict[str, Any]], key: str, scale: float = 1.0) -> tuple[list[int], list[float]]:
    points = [(epoch["epoch"], scale * epoch[key]) for epoch in epochs if key in epoch]
    return [x for x, _ in points], [y for _, y in points]
