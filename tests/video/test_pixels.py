from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from PIL import Image
from tests.video.odd_files import encode

from gasm_cast.video import Crop, Sampling, sample_clip
from gasm_cast.video.pixels import PixelReader


def read(picture: np.ndarray, crop: Crop = "centre", size_px: int = 224) -> np.ndarray:
    return read_frame(av.VideoFrame.from_ndarray(picture, "rgb24"), crop, size_px)


def read_frame(frame: av.VideoFrame, crop: Crop = "centre", size_px: int = 224) -> np.ndarray:
    square = np.empty((size_px, size_px, 3), np.uint8)
    PixelReader(size_px).read(frame, [(crop, square)])
    return square


def flat_yuv(
    luma: int, *, pixel_format: str = "yuv420p", size: tuple[int, int] = (426, 240)
) -> av.VideoFrame:
    frame = av.VideoFrame(*size, pixel_format)
    for number, plane in enumerate(frame.planes):
        plane.update(bytes([128 if number else luma]) * plane.buffer_size)
    return frame


@pytest.mark.parametrize("size", [(426, 240), (427, 241), (64, 48), (33, 17), (224, 224)])
@pytest.mark.parametrize(("luma", "value"), [(16, 0), (126, 128), (235, 255), (0, 0), (255, 255)])
def test_black_and_white_are_exact(size: tuple[int, int], luma: int, value: int) -> None:
    square = read_frame(flat_yuv(luma, size=size))
    assert set(np.unique(square)) == {value}


@pytest.mark.parametrize(("luma", "value"), [(0, 0), (128, 128), (255, 255)])
def test_full_range_is_honoured(luma: int, value: int) -> None:
    tagged = flat_yuv(luma)
    tagged.color_range = ColorRange.JPEG
    for frame in (tagged, flat_yuv(luma, pixel_format="yuvj420p")):
        assert set(np.unique(read_frame(frame, size_px=64))) == {value}


@pytest.mark.parametrize(("value", "tolerance"), [(0, 0), (128, 2), (255, 0)])
def test_ten_bits_become_eight(value: int, tolerance: int, tmp_path: Path) -> None:
    path = encode(
        tmp_path / "a.mp4",
        [np.full((96, 128, 3), value, np.uint8)] * 4,
        codec="libx265",
        pixel_format="yuv420p10le",
    )
    frames = sample_clip(path, Sampling()).frames
    assert np.abs(frames.astype(int) - value).max() <= tolerance


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libx264"])
@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_videos_are_exact(codec: str, value: int, tmp_path: Path) -> None:
    suffix = ".webm" if codec == "libvpx-vp9" else ".mp4"
    path = encode(tmp_path / f"a{suffix}", [np.full((240, 426, 3), value, np.uint8)] * 5, codec=codec)
    assert set(np.unique(sample_clip(path, Sampling()).frames)) == {value}


@pytest.mark.parametrize(
    ("matrix", "yuv"),
    [(1, (63, 102, 240)), (6, (82, 90, 240)), (5, (82, 90, 240)), (2, (82, 90, 240)), (9, (74, 97, 240))],
    ids=["BT.709", "SMPTE 170M", "BT.601", "untagged", "BT.2020"],
)
def test_red_is_red_in_every_colour_matrix(matrix: int, yuv: tuple[int, int, int]) -> None:
    frame = flat_yuv(0)
    for plane, value in zip(frame.planes, yuv, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace = matrix
    square = read_frame(frame, size_px=64).astype(int)
    assert np.abs(square - [255, 0, 0]).max() <= 3


def test_a_fine_checkerboard_becomes_grey() -> None:
    picture = np.repeat((np.indices((480, 640)).sum(0) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    square = read(picture).astype(float)
    assert abs(square.mean() - 127.5) < 1
    assert np.abs(square - 127.5).max() < 10  # without antialiasing: a full black and white moiré


@pytest.mark.parametrize("size", [(480, 640), (240, 426), (1080, 1920), (120, 160)])
def test_resize_agrees_with_pillow(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC))
    expected = Image.fromarray(picture).resize((224, 224), Image.Resampling.BILINEAR)
    assert np.abs(read(picture, "squash").astype(int) - np.asarray(expected)).max() <= 2


def strips(height: int, width: int) -> np.ndarray:
    """Three strips across the long side: red, green, blue."""
    picture = np.zeros((height, width, 3), np.uint8)
    along = picture if height > width else picture.swapaxes(0, 1)
    for number, part in enumerate(np.array_split(along, 3)):
        part[..., number] = 255
    return picture


@pytest.mark.parametrize("size", [(100, 300), (300, 100)])
@pytest.mark.parametrize(("crop", "channel"), [("left", 0), ("centre", 1), ("right", 2)])
def test_crops_cut_along_the_long_side(size: tuple[int, int], crop: Crop, channel: int) -> None:
    square = read(strips(*size), crop)
    middle = square[12:-12, 12:-12]
    assert (middle[..., channel] > 250).all()
    assert (np.delete(middle, channel, axis=-1) < 5).all()


def test_squash_keeps_all_and_left_stays_left() -> None:
    square = read(strips(100, 300), "squash")
    assert [int(square[112, col].argmax()) for col in (20, 112, 200)] == [0, 1, 2]


QUARTERS = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}


@pytest.mark.parametrize(
    ("degrees", "mirrored", "expected"),
    [
        (90, False, "GWRB"),
        (180, False, "WBGR"),
        (270, False, "BRWG"),
        (-90, False, "BRWG"),
        (0, True, "GRWB"),
        (90, True, "WGBR"),
        (180, True, "BWRG"),
        (270, True, "RBGW"),
    ],
)
def test_pictures_stand_as_players_show_them(
    degrees: int, mirrored: bool, expected: str, tmp_path: Path
) -> None:
    """The expected quarters, row by row, are those of the ffmpeg program for the same files."""
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:48, :80], picture[:48, 80:], picture[48:, :80], picture[48:, 80:] = QUARTERS.values()
    path = encode(
        tmp_path / "a.mp4", [picture] * 3, codec="libx264", rotation_degrees=degrees, mirrored=mirrored
    )
    square = sample_clip(path, Sampling(crop="squash")).frames[0]
    for (row, col), letter in zip([(56, 56), (56, 168), (168, 56), (168, 168)], expected, strict=True):
        assert np.abs(square[row, col].astype(int) - QUARTERS[letter]).max() < 40


def test_a_turned_wide_video_is_cut_as_a_tall_one(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", [strips(96, 288)] * 3, codec="libx264", rotation_degrees=-90)
    square = sample_clip(path, Sampling(crop="left")).frames[0]  # clockwise: the left strip comes on top
    assert square[112, 112].argmax() == 0
    assert sample_clip(path, Sampling(crop="right")).frames[0][112, 112].argmax() == 2
