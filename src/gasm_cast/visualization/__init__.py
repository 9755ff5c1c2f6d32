"""Pictures of what a model attends to, over the frames of the clip it saw.

An explanation is drawn from the model's own numbers: the attention weights of the
explicit path, before dropout. `explaining` collects them, each figure has a module, and
`writing` puts all of it into one folder.
"""

from typing import TYPE_CHECKING

from gasm_cast.lazy import offer

if TYPE_CHECKING:
    from gasm_cast.visualization.clip import ShownClip
    from gasm_cast.visualization.explaining import Explanation, explain
    from gasm_cast.visualization.writing import replace_explanation, write_explanation
else:
    __getattr__, __dir__ = offer(
        __name__,
        {
            "gasm_cast.visualization.clip": "ShownClip",
            "gasm_cast.visualization.explaining": "Explanation explain",
            "gasm_cast.visualization.writing": "replace_explanation write_explanation",
        },
    )

__all__ = [
    "Explanation",
    "ShownClip",
    "explain",
    "replace_explanation",
    "write_explanation",
]
