"""Studies: variants of a recipe over several seeds, and what each component is worth."""

from typing import TYPE_CHECKING

from gasm_cast.lazy import offer

if TYPE_CHECKING:
    from gasm_cast.ablation.results import Row, collect
    from gasm_cast.ablation.running import Outcome, finished_runs, run_study
    from gasm_cast.ablation.study import Study, Variant, read_study
else:
    __getattr__, __dir__ = offer(
        __name__,
        {
            "gasm_cast.ablation.results": "Row collect",
            "gasm_cast.ablation.running": "Outcome finished_runs run_study",
            "gasm_cast.ablation.study": "Study Variant read_study",
        },
    )

__all__ = [
    "Outcome",
    "Row",
    "Study",
    "Variant",
    "collect",
    "finished_runs",
    "read_study",
    "run_study",
]
