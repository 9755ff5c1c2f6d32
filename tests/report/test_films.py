"""Strips hold the clip's frames in order, and are absent where there is nothing to show."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from gasm_cast.errors import InputError
from gasm_cast.report.films import FRAME_PX, FilmStrip, film_strips

from .conftest import write_strips, write_videos


def decoded(data_uri: str) -> np.ndarray:
    kind, _, encoded = data_uri.partition(";base64,")
    assert kind in ("data:image/webp", "data:image/jpeg")
    content = base64.b64decode(encoded)
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels)


def test_frames_lie_in_order_from_left_to_right(tmp_path: Path) -> None:
    write_videos(tmp_path / "annotations", ["a"])
    strip = film_strips(tmp_path / "annotations", "validation", ["a"])["a"]
    picture = decoded(strip.data_uri)
    assert picture.shape == (FRAME_PX, 16 * FRAME_PX, 3)
    # Of 32 frames the centres of 16 segments are 1, 3, 5 ...
    levels = picture.reshape(FRAME_PX, 16, FRAME_PX, 3).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(levels, [6 * number + 30 for number in range(1, 32, 2)], atol=5)


def test_paper_shows_the_middles_of_the_four_quarters(tmp_path: Path) -> None:
    write_videos(tmp_path / "annotations", ["a"])
    still = decoded(film_strips(tmp_path / "annotations", "validation", ["a"])["a"].still_uri)
    size = len(still) // 2
    levels = still.reshape(2, size, 2, size, 3).mean(axis=(1, 3, 4)).reshape(4)
    # Frames 2, 6, 10 and 14 of the 16 that are taken are 5, 13, 21 and 29 of the video.
    np.testing.assert_allclose(levels, [6 * number + 30 for number in (5, 13, 21, 29)], atol=5)


def test_a_clip_of_one_frame_has_a_still_too() -> None:
    strip = FilmStrip.of_frames(np.full((1, 20, 30, 3), 77, dtype=np.uint8))
    np.testing.assert_allclose(decoded(strip.still_uri), 77, atol=3)


@pytest.mark.parametrize("which", ["data_uri", "still_uri"])
def test_colours_are_not_swapped(which: str) -> None:
    red = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    red[..., 0] = 200
    picture = decoded(getattr(FilmStrip.of_frames(red), which))
    blue_green_red = picture.mean(axis=(0, 1))
    assert blue_green_red[2] > 180
    assert blue_green_red[0] < 20


def test_what_is_not_at_hand_has_no_strip(tmp_path: Path) -> None:
    assert film_strips(tmp_path / "nowhere", "validation", ["a"]) == {}
    write_videos(tmp_path / "annotations", ["a", "damaged", "gone"])
    (tmp_path / "annotations" / "damaged.mp4").write_bytes(b"not a video")
    (tmp_path / "annotations" / "gone.mp4").unlink()
    ids = ["a", "damaged", "gone", "unknown"]
    assert list(film_strips(tmp_path / "annotations", "validation", ids)) == ["a"]


def test_a_strip_that_would_be_too_long_is_made_smaller() -> None:
    strip = FilmStrip.of_frames(np.zeros((20, 60, 1200, 3), dtype=np.uint8))
    assert decoded(strip.data_uri).shape == (strip.height_px, 20 * strip.width_px, 3)
    assert (strip.width_px, strip.height_px) == (819, 41)


def test_an_explanation_gives_plain_frames_and_an_overlay_of_the_same_shape(tmp_path: Path) -> None:
    assert FilmStrip.of_explanation(tmp_path) is None
    write_strips(tmp_path / "clip", "000001")
    strip = FilmStrip.of_explanation(tmp_path / "clip")
    assert strip is not None
    assert (strip.num_frames, strip.width_px, strip.height_px) == (4, 32, 32)
    assert strip.overlay_uri is not None
    plain, overlay = decoded(strip.data_uri), decoded(strip.overlay_uri)
    assert plain.shape == overlay.shape == (32, 128, 3)
    assert overlay[..., 2].mean() > 150  # red, in OpenCV's order
    assert overlay[..., 0].mean() < 60
    assert plain.std() < 5
    above, below = np.split(decoded(strip.still_uri), 2)
    assert above.std() < 5
    assert below[..., 2].mean() > 150
    (tmp_path / "clip" / "frames.webp").write_bytes(b"damaged")
    with pytest.raises(InputError, match="explain the clip again"):
        FilmStrip.of_explanation(tmp_path / "clip")
