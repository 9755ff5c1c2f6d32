"""Pictures can be read as they are labelled: every colour in its legend, one way of counting."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tests.visualization.conftest import CLASSES, HOT, SEMANTIC, Hot

from gasm_cast.geometry import Grid
from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.clusters import draw_clusters
from gasm_cast.visualization.explaining import Explanation, LayerArrays, explain
from gasm_cast.visualization.graph import draw_graph
from gasm_cast.visualization.layers import draw_layers
from gasm_cast.visualization.segments import draw_segments
from gasm_cast.visualization.style import ONE_MAP

CLIP = ShownClip.without_video("hot", None)
TOKEN = int(np.ravel_multi_index(HOT, SEMANTIC.grid.shape))


@pytest.fixture(scope="module")
def explanation(hot: Hot) -> Explanation:
    return explain(hot.model, hot.semantic, hot.motion, class_names=CLASSES, group_names=())


def titled(figure: Figure, title: str) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_title().startswith(title)]


def words(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


def test_early_and_late_readers_have_the_colours_of_the_ends_of_the_scale(explanation: Explanation) -> None:
    """Rows 0 to 2 read the first of eight segments, the others the last; one patch all of them."""
    tokens = np.arange(SEMANTIC.grid.num_tokens)
    row = np.unravel_index(tokens, SEMANTIC.grid.shape)[1]
    weights = np.zeros((1, len(tokens), 8))
    weights[0, tokens, np.where(row < 3, 0, 7)] = 1
    weights[0, TOKEN] = 1 / 8
    figure = draw_segments(replace(explanation, layers=(LayerArrays(None, weights),)), CLIP, TOKEN)
    assert figure is not None
    (axes,) = titled(figure, "when each patch reads")
    picture = np.asarray(axes.images[0].get_array())
    cell = np.array(picture.shape[:2]) // (SEMANTIC.grid.num_rows, SEMANTIC.grid.num_cols)
    early, late, even = (
        picture[tuple(cell * place + cell // 2)] for place in (np.array([0, 0]), np.array([5, 0]), HOT[1:])
    )
    scale = figure.axes[-1]
    assert [tick.get_text() for tick in scale.get_xticklabels()] == ["−3.5", "0", "+3.5"]
    (mesh,) = (collection for collection in scale.collections if collection.get_array() is not None)
    ends = 255 * mesh.get_cmap()([0.0, 1.0, 0.5])[:, :3]
    np.testing.assert_allclose([early, late, even], ends, atol=2)


def test_frames_and_segments_are_counted_from_0_alike(explanation: Explanation) -> None:
    segments = draw_segments(explanation, CLIP, TOKEN)
    assert segments is not None
    for figure in (segments, draw_layers(explanation, CLIP)):
        counted = [axes.get_title().split(" · ")[0] for axes in titled(figure, "segment")]
        assert counted == [f"segment {segment}" for segment in range(8)]
        assert "counted from 0" in words(figure)


def test_one_map_of_a_whole_clip_is_not_shown_as_a_frame_s(explanation: Explanation) -> None:
    frames, rows, cols = SEMANTIC.grid.shape
    one_map = replace(explanation, semantic_grid=Grid(1, frames * rows, cols))
    assert ONE_MAP in words(draw_graph(one_map, CLIP, TOKEN))
    assert ONE_MAP in words(draw_clusters(one_map, CLIP))
    assert ONE_MAP not in words(draw_graph(explanation, CLIP, TOKEN))
    assert ONE_MAP not in words(draw_clusters(explanation, CLIP))
