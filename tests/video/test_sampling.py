import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.video import Sampling, segment_indices, spread_views


@pytest.mark.parametrize("num_total", range(1, 301))
def test_indices_lie_inside_and_never_go_down(num_total: int) -> None:
    samplings = [
        Sampling(),
        Sampling(num_frames=8),
        Sampling(mode="random", seed=num_total),
        *spread_views(3),
    ]
    for sampling in samplings:
        indices = sampling.indices(num_total)
        assert len(indices) == sampling.num_frames
        assert indices[0] >= 0
        assert indices[-1] <= num_total - 1
        assert (np.diff(indices) >= 0).all()


def test_centre_rule_by_hand() -> None:
    assert segment_indices(48, 16).tolist() == list(range(1, 48, 3))
    assert segment_indices(40, 16).tolist() == [1, 3, 6, 8, 11, 13, 16, 18, 21, 23, 26, 28, 31, 33, 36, 38]
    assert segment_indices(16, 16).tolist() == list(range(16))


def test_short_videos_repeat_frames_and_never_loop() -> None:
    assert segment_indices(1, 16).tolist() == [0] * 16
    assert segment_indices(5, 16).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert set(segment_indices(9, 16).tolist()) == set(range(9))
    assert set(segment_indices(15, 16).tolist()) == set(range(15))


@given(num_total=st.integers(1, 2000), num_frames=st.integers(1, 64), seed=st.integers(0, 2**32))
def test_one_frame_from_each_segment(num_total: int, num_frames: int, seed: int) -> None:
    for mode in ("centre", "random"):
        indices = Sampling(num_frames=num_frames, mode=mode, seed=seed).indices(num_total)
        segment = np.arange(num_frames)
        assert (indices >= segment * num_total // num_frames).all()
        assert (indices * num_frames < (segment + 1) * num_total).all()


def test_a_mirrored_segment_rule_reads_the_video_backwards() -> None:
    for num_total in (16, 37, 48, 101):
        mirrored = num_total - 1 - segment_indices(num_total, 16)[::-1]
        assert np.abs(mirrored - segment_indices(num_total, 16)).max() <= 1


@pytest.mark.parametrize("num_views", [2, 3, 4])
def test_each_view_spans_the_whole_clip_and_views_differ(num_views: int) -> None:
    num_total = 16 * num_views + 5
    views = [sampling.indices(num_total) for sampling in spread_views(num_views)]
    for indices in views:
        assert indices[0] < num_total / 16
        assert indices[-1] >= num_total * 15 / 16
    assert len(set(np.concatenate(views).tolist())) == 16 * num_views


def test_random_views_follow_their_seed() -> None:
    first, again, other = (Sampling(mode="random", seed=seed).indices(200) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_views_and_crops_are_all_pairs() -> None:
    views = spread_views(2, ("left", "centre", "right"), num_frames=8, size_px=64)
    assert [(v.view, v.crop) for v in views] == [
        (view, crop) for view in (0, 1) for crop in ("left", "centre", "right")
    ]
    assert {(v.num_views, v.num_frames, v.size_px) for v in views} == {(2, 8, 64)}


def test_senseless_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"view must lie in \[0, 2\), got 2"):
        Sampling(view=2, num_views=2)
    with pytest.raises(ValueError, match="must be positive"):
        Sampling(num_frames=0)
    with pytest.raises(ValueError, match="num_total=0"):
        Sampling().indices(0)
    with pytest.raises(ValueError, match="num_total=0"):
        Sampling(mode="random").indices(0)
