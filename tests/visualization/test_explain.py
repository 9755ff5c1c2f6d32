"""Attention lands where it belongs: the right cell of the right frame, with rows that sum to 1."""

import copy
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tests.visualization.conftest import CLASSES, HOT, SEMANTIC, Hot, make_answer_hang_on

from gasm_cast.backbones import CLIP_FRAMES
from gasm_cast.backbones.contract import middle_frame
from gasm_cast.cli import main
from gasm_cast.visualization import writing
from gasm_cast.visualization.animation import animate
from gasm_cast.visualization.clip import SHOWN_PX, ShownClip
from gasm_cast.visualization.explaining import Explanation, explain, part_of_frame
from gasm_cast.visualization.faithfulness import measure
from gasm_cast.visualization.films import attention_frames
from gasm_cast.visualization.layers import heat_scale, map_at_frame
from gasm_cast.visualization.style import heat_over, quiet

FRAMES_OF_HOT = (10, 11)
"""Frames of the clip that frame 5 of 8 stands for."""


@pytest.fixture(scope="module")
def explanation(hot: Hot) -> Explanation:
    return explain(hot.model, hot.semantic, hot.motion, class_names=CLASSES, group_names=())


def lit_cell(before: np.ndarray, after: np.ndarray) -> tuple[int, int] | None:
    """Row and column of the cell of a picture that colour was laid on most; none if nothing was."""
    added = np.abs(after.astype(float) - before).sum(axis=2)
    if added.max() < 30:
        return None
    row, col = np.unravel_index(added.argmax(), added.shape)
    return int(row * SEMANTIC.grid.num_rows / SHOWN_PX), int(col * SEMANTIC.grid.num_cols / SHOWN_PX)


def test_a_hot_patch_lights_its_cell_in_its_frame_only(explanation: Explanation) -> None:
    clip = ShownClip.without_video("hot", None)
    high = heat_scale(explanation)
    for layer in range(3):
        for frame in range(CLIP_FRAMES):
            weights = map_at_frame(explanation, layer, part_of_frame(frame, 8), frame)
            assert weights is not None
            picture = heat_over(clip.frames[frame], weights, low=1.0, high=high)
            lit = lit_cell(quiet(clip.frames[frame]), picture)
            assert lit == (HOT[1:] if frame in FRAMES_OF_HOT else None)


def test_the_animation_shows_it_at_its_time(explanation: Explanation) -> None:
    pictures = animate(explanation, ShownClip.without_video("hot", None)).astype(int)
    red = (pictures[..., 0] - pictures[..., 2]).clip(0)[:, 60:-20]  # neither title nor track
    coloured = (red > 60).any(axis=(1, 2))
    assert [index for index in range(CLIP_FRAMES) if coloured[index]] == list(FRAMES_OF_HOT)


def test_rows_sum_to_one_and_the_hot_patch_is_followed(explanation: Explanation) -> None:
    assert explanation.largest_row_error < 1e-5
    assert explanation.most_read_token() == np.ravel_multi_index(HOT, SEMANTIC.grid.shape)
    for layer in range(3):
        for segment in range(8):
            tokens = explanation.segment_map(layer, segment)
            assert tokens is not None
            assert tokens.shape == SEMANTIC.grid.shape
            assert tokens.sum() == pytest.approx(SEMANTIC.grid.num_tokens, rel=1e-5)


def test_frames_stand_for_the_times_that_tokens_are_of() -> None:
    assert [middle_frame(part, 8) for part in range(8)] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert [middle_frame(part, 16) for part in range(16)] == list(range(16))
    assert middle_frame(0, 1) == 8
    for num_parts in (1, 4, 8, 16):
        parts = [part_of_frame(frame, num_parts) for frame in range(CLIP_FRAMES)]
        assert parts == sorted(parts)
        assert [part_of_frame(middle_frame(part, num_parts), num_parts) for part in range(num_parts)] == list(
            range(num_parts)
        )


def test_deleting_the_hot_patch_is_felt_and_deleting_the_others_is_not(hot: Hot) -> None:
    model, token = copy.deepcopy(hot.model), int(np.ravel_multi_index(HOT, SEMANTIC.grid.shape))
    make_answer_hang_on(model, hot.semantic, hot.motion, token)
    told = explain(model, hot.semantic, hot.motion, class_names=CLASSES, group_names=())
    assert told.most_read_token() == token
    faithfulness = measure(model, hot.semantic, hot.motion, told)
    assert faithfulness is not None
    first, last = faithfulness.most_attended_first, faithfulness.least_attended_first
    assert first[0] == last[0] == pytest.approx(told.answer.probabilities.max(), abs=1e-5)
    assert first[-1] == pytest.approx(last[-1], abs=1e-6)
    # Lost with the very first patches; kept until the very last; in between if the order is random.
    assert faithfulness.random_area - faithfulness.deletion > 0.15
    assert faithfulness.insertion - faithfulness.random_area > 0.15
    assert first[1:].max() < 0.1
    assert last[:-1].min() > 0.5
    assert faithfulness.deletion == pytest.approx(np.trapezoid(first, faithfulness.shares))
    assert faithfulness.faithfulness == pytest.approx(faithfulness.insertion - faithfulness.deletion)


def test_explain_writes_pictures_arrays_and_words(hot: Hot, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # the second replaces the first
        assert main(["explain", str(hot.run.path), "hot/clip", "--patch", "5,3,10"]) == 0
    assert "grey frames" in capsys.readouterr().err
    folder = hot.run.path / "explanations" / "hot__clip"
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["id"] == "hot/clip"
    assert meta["patch"] == "row 3, column 10 of frame 5"
    assert meta["prediction"] in CLASSES
    assert {picture["file"] for picture in meta["pictures"]} == {
        "layers.png",
        "layers.gif",
        "graph.png",
        "clusters.png",
        "segments.png",
        "faithfulness.png",
    }
    for picture in meta["pictures"]:
        with Image.open(folder / picture["file"]) as image:
            assert min(image.size) > 200
    with av.open(str(folder / "layers.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == CLIP_FRAMES + 1
    with np.load(folder / "arrays.npz") as arrays:
        weights = arrays["layer2_motion_from_semantic"]
        assert weights.shape == (4, 8, SEMANTIC.grid.num_tokens)
        assert weights.mean(axis=(0, 1)).argmax() == np.ravel_multi_index(HOT, SEMANTIC.grid.shape)
        np.testing.assert_allclose(arrays["graph1_weights"].sum(axis=-1), 1, atol=1e-5)
    with Image.open(folder / "frames.webp") as plain, Image.open(folder / "attention.webp") as attention:
        assert plain.size == attention.size == (CLIP_FRAMES * plain.height, plain.height)
    assert not list(folder.parent.glob(".*"))


def test_an_explanation_replaces_an_older_one_whatever_a_killed_process_left(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path, *_: object, token: int) -> None:
        (folder / "meta.json").write_text(str(token))

    monkeypatch.setattr(writing, "write_explanation", write)
    folder, clip = tmp_path / "hot", ShownClip.without_video("hot", None)
    for left in (tmp_path / ".hot.new", tmp_path / ".hot.0123abcd.partial", folder):
        left.mkdir()
        (left / "meta.json").write_text("old")
    (folder / "arrays.npz").touch()
    writing.replace_explanation(folder, explanation, clip, None, token=7)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"meta.json": "7"}


def test_the_overlay_lights_the_hot_patch_at_its_time(explanation: Explanation) -> None:
    clip = ShownClip.without_video("hot", None)
    pictures = attention_frames(explanation, clip)
    assert pictures is not None
    for index, (frame, picture) in enumerate(zip(clip.frames, pictures, strict=True)):
        assert lit_cell(quiet(frame), picture) == (HOT[1:] if index in FRAMES_OF_HOT else None)


def test_wrong_requests_are_one_line(hot: Hot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(hot.run.path)
    (tmp_path / "thesis.txt").write_text("years of work")
    for arguments, words in (
        (["hot/clip", "--patch", "9,3,10"], "no patch at row 3, column 10 of frame 9"),
        (["hot/clip", "--patch", "left"], "--patch takes ROW,COL"),
        (["hot/clip", "--view", "1"], "--view must be 0 to 0"),
        (["cold"], "cold"),
        (["hot/clip", "--out", str(tmp_path)], "other files than an explanation"),
    ):
        assert main(["explain", run, *arguments]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("gasm-cast explain: ")
        assert words in error
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("num_bytes", [100, 30_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    hot: Hot, tmp_path: Path, capsys: pytest.CaptureFixture[str], small_disk: Any, num_bytes: int
) -> None:
    out = tmp_path / "out"
    with small_disk(num_bytes):
        assert main(["explain", str(hot.run.path), "hot/clip", "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"gasm-cast explain: {out}: cannot write: File too large; free space")
    assert list(tmp_path.iterdir()) == []
