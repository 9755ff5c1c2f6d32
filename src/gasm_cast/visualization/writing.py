"""All of one explanation in one folder.

::

    layers.png           which patches each motion segment reads, layer by layer
    layers.gif, .mp4     the same over the frames of the clip, in its own time
    frames.webp          the frames side by side, for the report's player
    attention.webp       the same frames under what the last layer reads
    graph.png            the graph of one patch over its frame
    clusters.png         the learned similarity of patches as colour
    segments.png         which segments the patches read
    faithfulness.png     what happens to the answer when attended patches are deleted
    arrays.npz           every number of these, for each head
    meta.json            the answer, the faithfulness, and what each picture shows
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_folder
from gasm_cast.palette import lettering
from gasm_cast.visualization.animation import animate, write_gif, write_mp4
from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.clusters import draw_clusters
from gasm_cast.visualization.explaining import Explanation
from gasm_cast.visualization.faithfulness import Faithfulness
from gasm_cast.visualization.faithfulness_figure import draw_faithfulness
from gasm_cast.visualization.films import attention_frames, write_strip
from gasm_cast.visualization.graph import draw_graph
from gasm_cast.visualization.layers import draw_layers, layer_name
from gasm_cast.visualization.patches import patch_name
from gasm_cast.visualization.segments import draw_segments
from gasm_cast.visualization.style import DPI


@dataclass(frozen=True)
class Picture:
    """One file of an explanation, with its words."""

    file: str
    title: str
    alt: str


def require_own_folder(folder: Path) -> None:
    """Refuse a folder that an explanation must not replace.

    Raises:
        InputError: if it holds other things.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "meta.json").exists():
        raise InputError(f"{folder} holds other files than an explanation; choose another --out")


def replace_explanation(
    folder: Path, explanation: Explanation, clip: ShownClip, faithfulness: Faithfulness | None, *, token: int
) -> None:
    """Write an explanation, in place of an older one of the same name once it is whole.

    Raises:
        InputError: if the folder holds other things, or cannot be written.
    """
    require_own_folder(folder)
    with atomic_folder(folder, replace=True) as temporary:
        write_explanation(temporary, explanation, clip, faithfulness, token=token)


def write_explanation(
    folder: Path, explanation: Explanation, clip: ShownClip, faithfulness: Faithfulness | None, *, token: int
) -> list[Picture]:
    """Draw and write everything that the model has to show.

    Args:
        folder: An existing folder.
        explanation: What the model attends to.
        clip: The frames to draw on.
        faithfulness: Whether that matters, if it was measured.
        token: The patch whose graph and reading are drawn.
    """
    pictures: list[Picture] = []
    attended = attention_frames(explanation, clip)
    if attended is not None:
        write_strip(folder / "frames.webp", clip.frames)
        write_strip(folder / "attention.webp", attended)

    def save(picture: Picture, draw: Callable[[], Figure | None]) -> None:
        figure = draw()
        if figure is not None:
            with lettering():
                figure.savefig(folder / picture.file, dpi=DPI)
            pictures.append(picture)

    patch = patch_name(explanation.semantic_grid, token)
    best, probability = explanation.answer.top(1)[0]
    if attended is not None:
        alt = f"Frames of the clip with heat maps, one row a layer; the model says {best}, {probability:.0%}."
        save(Picture("layers.png", "What each layer reads", alt), lambda: draw_layers(explanation, clip))
        frames = animate(explanation, clip)
        write_gif(folder / "layers.gif", frames, clip)
        write_mp4(folder / "layers.mp4", frames, clip)
        alt = f"The clip playing, beside it the same heat maps of {len(explanation.layers)} layers."
        pictures.append(Picture("layers.gif", "The same over time", alt))
    if explanation.graphs:
        alt = f"A frame with lines from the patch at {patch} to the patches it is joined to."
        save(Picture("graph.png", "Graph of a patch", alt), lambda: draw_graph(explanation, clip, token))
        alt = "Patches of a frame, coloured such that similar ones have similar colours."
        save(Picture("clusters.png", "Learned similarity", alt), lambda: draw_clusters(explanation, clip))
    alt = f"Attention of the patch at {patch} over the motion segments, one row a layer."
    save(Picture("segments.png", "What patches read", alt), lambda: draw_segments(explanation, clip, token))
    if faithfulness is not None:
        alt = f"Probability of {best} against the share of deleted patches, for three orders of deletion."
        save(
            Picture("faithfulness.png", "Do these patches matter?", alt),
            lambda: draw_faithfulness(faithfulness, explanation),
        )
    np.savez_compressed(folder / "arrays.npz", allow_pickle=False, **arrays(explanation, clip, faithfulness))
    meta = describe(explanation, clip, faithfulness, token=token, pictures=pictures)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return pictures


def arrays(
    explanation: Explanation, clip: ShownClip, faithfulness: Faithfulness | None
) -> dict[str, np.ndarray]:
    """Every number behind the pictures, by name; layers are counted from 1."""
    found: dict[str, np.ndarray] = {
        "probabilities": explanation.answer.probabilities,
        "semantic_grid": np.array(explanation.semantic_grid.shape),
        "motion_grid": np.array(explanation.motion_grid.shape),
        "frame_times_sec": clip.times_sec,
    }
    for number, answer in enumerate(explanation.layer_answers, start=1):
        found[f"layer{number}_probabilities"] = answer.probabilities
    for number, layer in enumerate(explanation.layers, start=1):
        for name in ("motion_from_semantic", "semantic_from_motion"):
            weights = getattr(layer, name)
            if weights is not None:
                found[f"layer{number}_{name}"] = weights
    for number, graph in enumerate(explanation.graphs, start=1):
        for name, values in vars(graph).items():
            found[f"graph{number}_{name}"] = values
    if faithfulness is not None:
        found |= {f"faithfulness_{name}": values for name, values in vars(faithfulness).items()}
    return found


def describe(
    explanation: Explanation,
    clip: ShownClip,
    faithfulness: Faithfulness | None,
    *,
    token: int,
    pictures: list[Picture],
) -> dict[str, Any]:
    """What meta.json holds."""
    best, probability = explanation.answer.top(1)[0]
    num_layers = len(explanation.layers)
    return {
        "id": clip.name,
        "label": clip.label,
        "flaws": list(clip.flaws),
        "prediction": best,
        "probability": probability,
        "top": [{"class": name, "probability": value} for name, value in explanation.answer.top(5)],
        "layers": [
            {
                "layer": layer_name(number, num_layers),
                "prediction": answer.top(1)[0][0],
                "probability": answer.top(1)[0][1],
            }
            for number, answer in enumerate([*explanation.layer_answers, explanation.answer])
        ],
        "semantic_grid": list(explanation.semantic_grid.shape),
        "motion_grid": list(explanation.motion_grid.shape),
        "patch": patch_name(explanation.semantic_grid, token),
        "largest_row_error": explanation.largest_row_error,
        "faithfulness": None if faithfulness is None else faithfulness.to_json(),
        "pictures": [vars(picture) for picture in pictures],
    }
