"""Windows cut in one pass are the clips of those spans."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.extraction.conftest import write_long_clip
from tests.video.odd_files import cut, encode, flip_bytes, textured_pictures

from gasm_cast.errors import InputError
from gasm_cast.extraction.windows import cut_windows
from gasm_cast.video import Sampling, VideoError, sample_views, spread_views

VIEWS = (*spread_views(2, ("centre", "left"), size_px=32), Sampling(num_frames=8, size_px=48))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds at 12 frames a second."""
    return write_long_clip(tmp_path_factory.mktemp("long") / "long.webm", seeds=(1, 2, 3), num_frames=40)


@pytest.mark.parametrize(
    ("window_sec", "stride_sec", "spans"),
    [
        (4.0, 3.0, [(0, 4), (3, 7), (6, 10)]),
        (4.0, 4.0, [(0, 4), (4, 8), (6, 10)]),  # the last one ends with the video
        (2.5, 2.5, [(0, 2.5), (2.5, 5), (5, 7.5), (7.5, 10)]),
        (30.0, 10.0, [(0, 10)]),
    ],
)
def test_windows_are_the_clips_of_their_spans(
    long: Path, window_sec: float, stride_sec: float, spans: list[tuple[float, float]]
) -> None:
    windows = list(cut_windows(long, VIEWS, window_sec=window_sec, stride_sec=stride_sec))
    found = [(window.start_sec, window.end_sec) for window in windows]
    np.testing.assert_allclose(found, spans, atol=2e-3)  # stamps are whole milliseconds
    for window in windows:
        clips = sample_views(long, VIEWS, (window.start_sec, window.end_sec))
        for sampling, clip in zip(VIEWS, clips, strict=True):
            np.testing.assert_array_equal(window.frames[sampling], clip.frames)


def test_windows_say_what_was_lost_of_them(tmp_path: Path) -> None:
    options = {"preset": "medium", "g": "24"}

    def flaws(name: str, *, spoil: Callable[[Path], object] = lambda path: None) -> list[str]:
        path = encode(tmp_path / name, textured_pictures(120), codec="libx264", options=options)
        spoil(path)
        windows = cut_windows(path, VIEWS, window_sec=2.5, stride_sec=2.5)
        return ["; ".join(window.flaws) for window in windows]

    assert not any(flaws("whole.mkv"))
    first, *middle, last = flaws("flipped.mkv", spoil=flip_bytes)
    assert any("could not be decoded properly" in flaw for flaw in middle)
    assert (first, last) == ("", "")
    first, *_, last = flaws("cut.mkv", spoil=partial(cut, fraction=0.6))
    assert first == ""
    assert "truncated: frames end" in last


def test_a_part_without_frames_is_one_window_that_says_so(tmp_path: Path) -> None:
    path = encode(tmp_path / "gap.mkv", textured_pictures(48), stamp=lambda index: index + 36 * (index >= 24))
    windows = list(cut_windows(path, VIEWS, window_sec=1.0, stride_sec=0.5))
    spans = [(window.start_sec, window.end_sec) for window in windows]
    shown = [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5)], [(4.5, 5.5), (5, 6), (5.5, 6.5), (6, 7)]
    np.testing.assert_allclose(spans, [*shown[0], (2, 5), *shown[1]], atol=2e-3)
    (gap,) = (window for window in windows if not window.frames)
    assert gap is windows[4]
    assert gap.flaws == ("no frame in this part of the file",)


def test_strides_that_would_skip_frames_are_refused(long: Path) -> None:
    for window_sec, stride_sec in ((4.0, 5.0), (4.0, 0.0), (-1.0, -1.0)):
        with pytest.raises(InputError, match="stride"):
            next(cut_windows(long, VIEWS, window_sec=window_sec, stride_sec=stride_sec))


def test_a_file_without_frames_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.webm").write_text("no video")
    with pytest.raises(VideoError):
        next(cut_windows(tmp_path / "text.webm", VIEWS, window_sec=4.0, stride_sec=2.0))
