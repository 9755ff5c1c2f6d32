"""The curves behind the number of :mod:`faithfulness`."""

from __future__ import annotations

from matplotlib.figure import Figure

from gasm_cast.palette import ACCENT, INK, MUTED, SECOND
from gasm_cast.visualization.explaining import Explanation
from gasm_cast.visualization.faithfulness import Faithfulness
from gasm_cast.visualization.style import heading, look


def draw_faithfulness(faithfulness: Faithfulness, explanation: Explanation) -> Figure:
    """Probability of the predicted class as patches are deleted, in three orders."""
    best, _ = explanation.answer.top(1)[0]
    curves = [
        ("least attended first", faithfulness.least_attended_first, ACCENT, "-"),
        ("at random", faithfulness.random, MUTED, (0, (4, 2))),
        ("most attended first", faithfulness.most_attended_first, SECOND, "-"),
    ]
    with look():
        figure = Figure(figsize=(5.6, 3.9))
        caption = (
            f"Probability of “{best}” as patches are deleted. Area between blue and orange: "
            f"{faithfulness.faithfulness:+.3f} (0: attention says nothing about the answer)."
        )
        heading(figure, "Do the attended patches matter?", caption)
        axes = figure.add_axes((0.1, 0.13, 0.86, 0.55))
        axes.fill_between(
            faithfulness.shares,
            faithfulness.most_attended_first,
            faithfulness.least_attended_first,
            color=ACCENT,
            alpha=0.08,
            linewidth=0,
        )
        for name, values, colour, style in curves:
            axes.plot(faithfulness.shares, values, color=colour, linestyle=style, linewidth=1.8, label=name)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("share of patches deleted", color=INK)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3)
    return figure
