"""Evaluation: scores of clips, metrics with intervals, and comparison of runs."""

from typing import TYPE_CHECKING

from gasm_cast.lazy import offer

if TYPE_CHECKING:
    from gasm_cast.evaluation.comparison import Comparison, Side, compare
    from gasm_cast.evaluation.protocol import Evaluation, Settings, evaluate, write
    from gasm_cast.evaluation.scoring import Scores, score, score_early
    from gasm_cast.evaluation.summary import Classes, summarize
else:
    __getattr__, __dir__ = offer(
        __name__,
        {
            "gasm_cast.evaluation.comparison": "Comparison Side compare",
            "gasm_cast.evaluation.protocol": "Evaluation Settings evaluate write",
            "gasm_cast.evaluation.scoring": "Scores score score_early",
            "gasm_cast.evaluation.summary": "Classes summarize",
        },
    )

__all__ = [
    "Classes",
    "Comparison",
    "Evaluation",
    "Scores",
    "Settings",
    "Side",
    "compare",
    "evaluate",
    "score",
    "score_early",
    "summarize",
    "write",
]
