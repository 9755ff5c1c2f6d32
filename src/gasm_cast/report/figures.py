"""Figures of a report and of a paper; each takes plain records and returns a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gasm_cast.report import style


def layer_accuracy(models: Mapping[str, Sequence[Mapping[str, Any]]], key: str) -> Figure:
    """Accuracy after each layer, one line a model, with 95% intervals.

    Args:
        models: `layers` of metrics.json by model name.
        key: `top1` for classes or `group_top1` for verb groups.
    """
    with style.drawing(4.6, 2.7) as figure:
        axes = figure.add_subplot()
        num_layers = max(len(layers) for layers in models.values())
        for index, (name, layers) in enumerate(models.items()):
            measured = [(x, layer[key]) for x, layer in enumerate(layers) if layer[key] is not None]
            xs = [x + 0.06 * (index - (len(models) - 1) / 2) for x, _ in measured]
            values = [100 * score["value"] for _, score in measured]
            low = [100 * score["interval"][0] for _, score in measured]
            high = [100 * score["interval"][1] for _, score in measured]
            look = style.series_style(index)
            axes.vlines(xs, low, high, color=look["color"], linewidth=1.2)
            axes.plot(xs, values, **look, label=name)
            for x, value in zip(xs, values, strict=True):
                if len(models) == 1:
                    axes.annotate(
                        f"{value:.1f}",
                        (x, value),
                        (7, 4),
                        textcoords="offset points",
                        fontsize=8,
                    )
        longest = max(models.values(), key=len)
        axes.set_xticks(range(num_layers), [layer["name"] for layer in longest])
        axes.set_xlim(-0.4, num_layers - 0.4)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("accuracy (%)")
        if len(models) > 1:
            axes.legend(loc="best", fontsize=8)
    return figure


def confusion(
    matrix: Int[np.ndarray, "classes classes"],
    names: Sequence[str] | None,
    order: Int[np.ndarray, " classes"],
) -> Figure:
    """Confusion matrix in the given order of classes, one cell a pair, rows true classes.

    Rows carry the name of their class, columns its index; the square root of the share of
    the row is shown, so that rare confusions can be seen beside a full diagonal, and the number of
    clips where it fits into the cell.

    Args:
        matrix: Clips of each true class (row) given each class (column).
        names: Name of each class; None for a matrix of the size of a page without any.
        order: Classes from the top and from the left.
    """
    size = len(matrix)
    cell_inch, font_size = (0.2, 7.5) if size <= 60 else (0.125, 5.5)
    if names is None:
        cell_inch, font_size = 5.6 / size, 9
        labels, label_inch = [], 0.3
    else:
        labels = [f"{names[c]}  {c}" for c in order]
        longest = sorted(labels, key=len)[-5:]
        widths = [TextPath((0, 0), text, size=font_size).get_extents().width for text in longest]
        label_inch = max(widths) / 72 + 0.1
    side = max(1.6, size * cell_inch)
    width, height = side + label_inch + 0.1, side + 0.55
    with style.drawing(width, height) as figure:
        # Placed by hand: the layout engine measures every label several times over.
        figure.set_layout_engine("none")
        axes = figure.add_axes((label_inch / width, 0.05 / height, side / width, side / height))
        ordered = matrix[np.ix_(order, order)]
        share = ordered / np.maximum(ordered.sum(axis=1, keepdims=True), 1)
        accent = to_rgb(style.PALETTE["accent"])
        fade = LinearSegmentedColormap.from_list("fade", [(*accent, 0.0), (*accent, 1.0)])
        shade = np.sqrt(share)
        axes.imshow(shade, cmap=fade, vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        letters = side * 72 / size / (0.65 * font_size)  # that fit into a cell
        if len(str(ordered.max())) <= letters:
            for row, column in zip(*np.nonzero(ordered), strict=True):
                # The cells are a picture, whose blue is the same on a dark page.
                color = "white" if shade[row, column] > 0.6 else style.PALETTE["ink"]
                text = str(ordered[row, column])
                axes.text(column, row, text, color=color, fontsize=font_size, ha="center", va="center")
        axes.set_xlabel("predicted class")
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        if names is None:
            axes.set(xticks=[], yticks=[], ylabel="true class")
            axes.spines[:].set(visible=True, color=style.PALETTE["rule"])
            return figure
        borders = np.arange(size + 1) - 0.5
        axes.hlines(borders, -0.5, size - 0.5, color=style.PALETTE["rule"], linewidth=0.3)
        axes.vlines(borders, -0.5, size - 0.5, color=style.PALETTE["rule"], linewidth=0.3)
        axes.set_yticks(range(size), labels, fontsize=font_size)
        axes.set_xticks(range(size), [str(c) for c in order], fontsize=font_size, rotation=90)
        axes.spines[:].set_visible(False)
    return figure


def reliability(bins: Mapping[str, Any], name: str) -> Figure:
    """Reliability diagram: accuracy over confidence, with how many clips each bin holds."""
    with style.drawing(4.0, 3.3) as figure:
        diagram, histogram = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (4, 1), "hspace": 0.05}
        )
        filled = [b for b, count in enumerate(bins["count"]) if count]
        confidence = [100 * bins["confidence"][b] for b in filled]
        accuracy = [100 * bins["accuracy"][b] for b in filled]
        diagram.plot([0, 100], [0, 100], color=style.PALETTE["muted"], linewidth=1, linestyle=(0, (4, 3)))
        # Clips that are all right or all wrong lie on the frame, which would cut their marks in half.
        diagram.plot(confidence, accuracy, **style.series_style(0), label=name, clip_on=False, zorder=3)
        diagram.set(ylabel="accuracy (%)", xlim=(0, 100), ylim=(0, 100))
        edges = 100 * np.array(bins["edges"])
        histogram.bar(
            edges[:-1], bins["count"], width=np.diff(edges) * 0.86, align="edge", color=style.PALETTE["rule"]
        )
        histogram.set(xlabel="confidence (%)", ylabel="clips")
        histogram.grid(visible=False)
        histogram.locator_params(axis="y", nbins=2)
    return figure


def training_curves(
    models: Mapping[str, Sequence[Sequence[tuple[int, float]]]], label: str, *, shares: bool
) -> Figure:
    """One logged value over epochs, one line a run, those of a model alike.

    Args:
        models: Epochs and values of each run, by model name.
        label: Name of the axis.
        shares: Whether the values are shares, written as percentages.
    """
    with style.drawing(4.6, 2.7) as figure:
        axes = figure.add_subplot()
        for index, (name, runs) in enumerate(models.items()):
            look = style.series_style(index)
            for number, points in enumerate(runs):
                axes.plot(
                    [x for x, _ in points],
                    [y for _, y in points],
                    color=look["color"],
                    marker=look["marker"] if len(points) == 1 else "",  # a line through one point is none
                    linewidth=1.6 if len(runs) == 1 else 1.0,
                    label=name if number == 0 else None,
                )
        axes.set(xlabel="epoch", ylabel=label)
        if shares:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="best", fontsize=8)
    return figure


def forest(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    label: str,
    *,
    groups: Sequence[str] = (),
    reference: float | None = None,
) -> Figure:
    """Values with their intervals, one a row, first on top.

    Args:
        names: Name of each row.
        values: Its value.
        intervals: Its interval.
        label: Name of the axis.
        groups: Group of each row; rows of a group stand together and under its name.
        reference: Where to draw a line, such as zero for differences. A row more than twice as far from it
            as the next would squeeze all others: it is an arrow at the edge with its value.
    """
    lines = _forest_lines(names, groups)
    outlier = None if reference is None else _outlier([value - reference for value in values])
    shown = [index for index in range(len(names)) if index != outlier]
    with style.drawing(5.6, 0.7 + 0.2 * len(lines)) as figure:
        axes = figure.add_subplot()
        places = {name: -line for line, (name, _) in enumerate(lines)}
        rows = [places[name] for name in names]
        if reference is not None:
            axes.axvline(reference, color=style.PALETTE["muted"], linewidth=1)
        certain = [reference is None or not low <= reference <= high for low, high in intervals]
        colors = [style.PALETTE["accent" if sure else "muted"] for sure in certain]
        for index in shown:
            axes.hlines(rows[index], *intervals[index], colors=colors[index])
            axes.scatter(values[index], rows[index], color=colors[index], s=22, zorder=3)
        if outlier is not None and reference is not None:
            is_below = values[outlier] < reference
            axes.annotate(
                f"{'←' if is_below else '→'} {values[outlier]:.1f}".replace("-", "−"),
                (0.01 if is_below else 0.99, rows[outlier]),
                xycoords=axes.get_yaxis_transform(),
                ha="left" if is_below else "right",
                va="center",
                color=colors[outlier],
            )
        axes.set_yticks([-line for line in range(len(lines))], [name for name, _ in lines])
        for tick, (_, is_heading) in zip(axes.get_yticklabels(), lines, strict=True):
            if is_heading:
                tick.set_fontweight("bold")
        axes.set_ylim(-len(lines) + 0.4, 0.6)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(label)
    return figure


def _outlier(differences: Sequence[float]) -> int | None:
    """Index of the one difference that is more than twice as large as any other."""
    sizes = np.abs(np.array(differences))
    if len(sizes) < 3:
        return None
    first, second = np.argsort(sizes)[::-1][:2]
    return int(first) if sizes[first] > 2 * sizes[second] else None


def _forest_lines(names: Sequence[str], groups: Sequence[str]) -> list[tuple[str, bool]]:
    """Text of each line from the top, and whether it is the heading of a group."""
    if not groups:
        return [(name, False) for name in names]
    lines: list[tuple[str, bool]] = []
    for group in dict.fromkeys(groups):
        if group:
            lines.append((group, True))
        lines += [(name, False) for name, of in zip(names, groups, strict=True) if of == group]
    return lines
