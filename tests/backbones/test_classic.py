import pickle
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.backbones import Backbone, SemanticFrames, load_backbone
from gasm_cast.backbones.classic_motion import CELLS as MOTION_CELLS
from gasm_cast.backbones.classic_motion import DESCRIPTORS, DIRECTIONS, ClassicMotion
from gasm_cast.backbones.classic_semantic import HUES, LEVELS, ClassicSemantic, describe_frame
from gasm_cast.backbones.contract import SEGMENTS
from gasm_cast.backbones.mirroring import mirrored_channels
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec

BACKBONES: tuple[Backbone, ...] = (ClassicSemantic(), ClassicSemantic(8), ClassicMotion())


def texture(seed: int = 0, size: int = 224) -> npt.NDArray[Any]:
    """A smooth random picture with enough detail for optical flow."""
    noise = np.random.default_rng(seed).integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
    picture: npt.NDArray[Any] = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return picture


def moving_clip(step: tuple[int, int], seed: int = 0) -> npt.NDArray[Any]:
    """A texture that moves by `step` = (right, down) px a frame."""
    margin = 64
    wide = texture(seed, 224 + 2 * margin)
    right, down = step
    return np.stack(
        [
            wide[margin - down * i : margin - down * i + 224, margin - right * i : margin - right * i + 224]
            for i in range(16)
        ]
    )


def mirrored(tokens: np.ndarray, grid: Grid, stream: str) -> npt.NDArray[Any]:
    """Tokens as they would be of the mirrored clip."""
    channels = mirrored_channels({"name": "classic", "definition": 1}, stream)
    turned: npt.NDArray[Any] = tokens.reshape(*grid.shape, -1)[:, :, ::-1, channels]
    return turned.reshape(tokens.shape)


def test_a_mirrored_frame_has_mirrored_semantic_tokens() -> None:
    clip = np.stack([texture(seed) for seed in range(16)])
    backbone = ClassicSemantic("middle")
    tokens, of_mirror = backbone.forward(np.stack([clip, clip[:, :, ::-1]]))
    np.testing.assert_allclose(mirrored(tokens, backbone.spec.grid, "semantic"), of_mirror, atol=2e-3)
    assert np.abs(tokens - of_mirror).max() > 0.5


def test_a_mirrored_clip_has_mirrored_motion_tokens() -> None:
    clip = moving_clip((3, 1))
    backbone = ClassicMotion()
    tokens, of_mirror = backbone.forward(np.stack([clip, clip[:, :, ::-1]]))
    error = np.abs(mirrored(tokens, backbone.spec.grid, "motion") - of_mirror).mean()
    assert error < 0.1 * np.abs(tokens - of_mirror).mean()  # DIS finds flow not quite alike in a mirror


def motion_histograms(clip: np.ndarray) -> npt.NDArray[Any]:
    """Motion tokens as [segments, rows, cols, descriptors, directions], square roots undone."""
    tokens = ClassicMotion().forward(clip[None])[0]
    shape = (SEGMENTS, MOTION_CELLS, MOTION_CELLS, len(DESCRIPTORS), DIRECTIONS)
    histograms: npt.NDArray[Any] = np.square(tokens).reshape(shape)
    return histograms


@pytest.mark.parametrize(
    ("frames", "grid"),
    [
        ("mean", Grid(1, 14, 14)),
        ("middle", Grid(1, 14, 14)),
        (8, Grid(8, 14, 14)),
        (16, Grid(16, 14, 14)),
    ],
)
def test_semantic_frames_decide_the_grid(frames: SemanticFrames, grid: Grid) -> None:
    backbone = load_backbone("classic", stream="semantic", semantic_frames=frames)
    clip = moving_clip((2, 0))
    tokens = backbone.forward(clip[None])
    assert backbone.spec == StreamSpec(grid, 768)
    assert tokens.shape == (1, grid.num_tokens, 768)
    maps = np.stack([describe_frame(frame) for frame in clip])
    expected = {
        "mean": maps.mean(0),
        "middle": maps[8],
        8: maps[1::2].reshape(-1, 768),
        16: maps.reshape(-1, 768),
    }[frames]
    np.testing.assert_allclose(tokens[0], expected, atol=1e-6)


def test_motion_is_eight_segments() -> None:
    backbone = load_backbone("classic", stream="motion")
    assert backbone.spec == StreamSpec(Grid(8, 1, 1), 512)
    assert backbone.forward(moving_clip((2, 0))[None]).shape == (1, 8, 512)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_same_bits_alone_in_a_batch_and_with_more_threads(backbone: Backbone) -> None:
    clips = np.stack([moving_clip((3, 1)), moving_clip((-2, 0), seed=1)])
    together = backbone.forward(clips)
    np.testing.assert_array_equal(together, np.concatenate([backbone.forward(clip[None]) for clip in clips]))
    before = cv2.getNumThreads()
    try:
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            np.testing.assert_array_equal(together, backbone.forward(clips))
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("level", [0, 127, 255])
def test_an_empty_clip_is_finite_and_the_same_everywhere(backbone: Backbone, level: int) -> None:
    tokens = backbone.forward(np.full((1, 16, 224, 224, 3), level, np.uint8))
    assert np.isfinite(tokens).all()
    assert np.abs(tokens - tokens[:, :1]).max() < 1e-6
    if backbone.stream == "motion":
        assert np.abs(tokens).max() == 0


@given(st.integers(0, 2**32 - 1))
def test_half_precision_holds_the_noisiest_frames(seed: int) -> None:
    frame = np.random.default_rng(seed).choice(np.array([0, 255], np.uint8), (224, 224, 3))
    tokens = describe_frame(frame)
    assert np.abs(tokens).max() <= 4
    assert np.abs(tokens - tokens.astype(np.float16)).max() < 2e-3


def test_motion_of_noise_is_finite_in_half_precision() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (1, 16, 224, 224, 3), dtype=np.uint8)
    assert np.isfinite(ClassicMotion().forward(clip).astype(np.float16)).all()


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("scale", [1, 255])
def test_floating_point_frames_are_refused(backbone: Backbone, scale: int) -> None:
    clip = (np.ones((1, 16, 224, 224, 3)) * scale).astype(np.float32)
    with pytest.raises(InputError, match=r"must be uint8 RGB in 0..255, got float32"):
        backbone.forward(clip)


@pytest.mark.parametrize("shape", [(1, 16, 196, 196, 3), (1, 8, 224, 224, 3)])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_clips_of_another_shape_are_refused(backbone: Backbone, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"must be of shape \(16, 224, 224, 3\)"):
        backbone.forward(np.zeros(shape, np.uint8))


def test_colour_stays_in_its_cell() -> None:
    """Pure colours fall into the right hue bin of the right cell, at the scale of the cell."""
    frame = np.zeros((224, 224, 3), np.uint8)
    frame[:112, :112] = (255, 0, 0)
    frame[:112, 112:] = (0, 255, 0)
    frame[112:, :112] = (0, 0, 255)
    hues = np.square(describe_frame(frame).reshape(14, 14, 768)[..., 3 * LEVELS : 3 * LEVELS + HUES])
    centres = (np.arange(HUES) + 0.5) * 360 / HUES
    for (row, col), hue in {(2, 2): 0, (2, 11): 120, (11, 2): 240}.items():
        share = np.maximum(0, 1 - np.abs((centres - hue + 180) % 360 - 180) / (360 / HUES))
        np.testing.assert_allclose(hues[row, col], share, atol=1e-6)
    assert hues[11, 11].max() == 0  # black has no hue


def test_a_wider_scale_sees_the_cells_around() -> None:
    """A lone white cell changes the 3 x 3 statistics of its neighbours, not their own."""
    frame = np.zeros((224, 224, 3), np.uint8)
    frame[7 * 16 + 4 : 7 * 16 + 12, 7 * 16 + 4 : 7 * 16 + 12] = 255
    changed = np.abs(describe_frame(frame) - describe_frame(np.zeros_like(frame))).reshape(14, 14, 768)
    own, around = changed[..., : 3 * LEVELS].max(-1), changed[..., 104 : 104 + 3 * LEVELS].max(-1)
    assert own[7, 7] > 0.1
    assert own[7, 8] == 0
    assert around[7, 8] > 0.1
    assert around[7, 9] < 1e-6


@pytest.mark.parametrize(
    ("step", "direction"), [((3, 0), 0), ((0, 3), 2), ((-3, 0), 4), ((0, -3), 6), ((2, 2), 1), ((-2, -2), 5)]
)
def test_flow_points_where_things_move(step: tuple[int, int], direction: int) -> None:
    """HOF of a moving texture lies in the bin of its direction and sums to its speed in px a frame."""
    flow = motion_histograms(moving_clip(step))[:, 1:3, 1:3, DESCRIPTORS.index("hof")]
    assert (flow.argmax(-1) == direction).all()
    np.testing.assert_allclose(flow.sum(-1).mean(), np.hypot(*step), rtol=0.1)


def test_a_uniform_motion_has_weak_boundaries() -> None:
    """MBH cancels what moves as a whole, as a moving camera does; a moving object leaves its outline."""
    boundaries = [DESCRIPTORS.index("mbhx"), DESCRIPTORS.index("mbhy")]
    camera = motion_histograms(moving_clip((3, 0)))
    clip = np.repeat(texture(5)[None], 16, axis=0)
    for i, frame in enumerate(clip):
        frame[84:140, 60 + 3 * i : 116 + 3 * i] = texture(6, 56)
    moving_object = motion_histograms(clip)
    ratio = [
        x[:, 1:3, 1:3, boundaries].sum() / x[:, 1:3, 1:3, DESCRIPTORS.index("hof")].sum()
        for x in (camera, moving_object)
    ]
    assert ratio[1] > 3 * ratio[0]


def test_segments_are_in_order_of_time() -> None:
    """A texture that rests for half of the clip and then moves."""
    moving = moving_clip((3, 0))
    clip = np.concatenate([np.repeat(moving[:1], 8, axis=0), moving[:8]])
    speed = motion_histograms(clip)[..., DESCRIPTORS.index("hof"), :].sum((1, 2, 3))
    assert (speed[:4] < 0.2 * speed[4:].mean()).all()


def test_descriptions_tell_modes_apart_and_are_plain() -> None:
    texts = {repr(sorted(ClassicSemantic(mode).describe().items())) for mode in ("mean", "middle", 8, 16)}
    assert len(texts) == 4
    assert ClassicMotion().describe()["flow"] == "DIS, preset fast"


@pytest.mark.parametrize("backbone", BACKBONES)
def test_workers_can_receive_it(backbone: Backbone) -> None:
    assert backbone.in_worker
    assert pickle.loads(pickle.dumps(backbone)) == backbone


def test_importing_loads_no_torch() -> None:
    code = (
        "import sys, gasm_cast.backbones as b;"
        "b.load_backbone('classic', stream='semantic'); b.load_backbone('classic', stream='motion');"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
