import math
import random
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from tests.video.odd_files import (
    BAD,
    GOOD,
    RATE,
    Bad,
    Good,
    cut,
    encode,
    flip_bytes,
    numbered_pictures,
    read_number,
    textured_pictures,
)

from gasm_cast.video import (
    Clip,
    Sampling,
    VideoError,
    count_frames,
    sample_clip,
    sample_views,
    spread_views,
    survey,
)

SQUASHED = Sampling(crop="squash")


def numbers(clip: Clip) -> list[int]:
    return [read_number(frame) for frame in clip.frames]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("plain") / "plain.webm", numbered_pictures(40))


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.name)
def test_the_right_frames_of_every_odd_kind(kind: Good, tmp_path: Path) -> None:
    path = kind.make(tmp_path / kind.name)
    clip = sample_clip(path, SQUASHED)
    assert clip.num_total == count_frames(path) == len(kind.shown)
    assert clip.indices.tolist() == SQUASHED.indices(len(kind.shown)).tolist()
    assert numbers(clip) == [kind.shown[index] for index in clip.indices]
    assert clip.frames.shape == (16, 224, 224, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.flaws == ()
    assert clip.times_sec[0] >= 0
    assert (np.diff(clip.times_sec) >= 0).all()


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.name)
def test_the_reason_of_every_bad_kind(kind: Bad, tmp_path: Path) -> None:
    path = kind.make(tmp_path / kind.name)
    for call in (count_frames, lambda path: sample_clip(path, Sampling())):
        with pytest.raises(VideoError) as error:
            call(path)
        assert error.value.reason == kind.reason
        assert str(error.value) == f"{path}: {kind.reason}"


def test_pictures_that_cannot_be_converted(tmp_path: Path) -> None:
    """A sliver would be resized to 224 x 896,000 pixels."""
    sliver = np.zeros((16000, 4, 3), np.uint8)
    path = encode(tmp_path / "a.mkv", [sliver] * 2, codec="ffv1")
    with pytest.raises(VideoError, match="yuv420p picture of 4x16000 cannot be converted"):
        sample_clip(path, Sampling())
    assert sample_clip(path, SQUASHED).num_total == 2


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no such file"):
        sample_clip(tmp_path / "gone.webm", Sampling())
    with pytest.raises(VideoError, match="not a file"):
        sample_clip(tmp_path, Sampling())


def test_flipped_bytes_cost_frames_but_not_the_clip(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", textured_pictures(), codec="libx264", options={"preset": "medium"})
    sound = sample_clip(path, SQUASHED)
    flip_bytes(path)
    with av.open(path) as container, pytest.raises(av.error.InvalidDataError):
        list(container.decode(video=0))  # what a plain loop makes of it
    damaged = sample_clip(path, SQUASHED)
    assert damaged.num_total == count_frames(path) >= 30
    assert damaged.num_damaged > 0
    assert damaged.flaws[0].startswith(f"damaged: {damaged.num_damaged} packets or frames")
    assert (damaged.frames[:3] == sample_frames(path, damaged.indices[:3])).all()
    assert damaged.indices.tolist() == SQUASHED.indices(damaged.num_total).tolist()
    assert np.abs(damaged.frames[0].astype(int) - sound.frames[0]).max() == 0


def sample_frames(path: Path, indices: np.ndarray) -> np.ndarray:
    """Every frame that can be decoded, kept in memory, then chosen from."""
    from gasm_cast.video.decoding import open_video
    from gasm_cast.video.pixels import PixelReader

    reader = PixelReader(224)
    with open_video(path) as video:
        shown = []
        for frame in video.frames(video.packets()):
            shown.append(np.empty((224, 224, 3), np.uint8))
            reader.read(frame, [("squash", shown[-1])])
    return np.stack([shown[index] for index in indices])


@pytest.mark.parametrize("name", ["a.webm", "a.mp4"])
def test_pixels_are_those_of_counting_and_choosing(name: str, tmp_path: Path) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    for count in (1, 7, 16, 33):
        path = encode(tmp_path / name, textured_pictures(count), codec=codec)
        clip = sample_clip(path, SQUASHED)
        assert (clip.frames == sample_frames(path, clip.indices)).all()


def test_a_download_cut_off_is_told(tmp_path: Path) -> None:
    path = cut(encode(tmp_path / "a.webm", textured_pictures()), 0.6)
    clip = sample_clip(path, SQUASHED)
    assert 16 <= clip.num_total < 35
    assert clip.missing_sec == pytest.approx((40 - clip.num_total) / RATE, abs=0.02)
    assert clip.flaws == (f"truncated: frames end {clip.missing_sec:.1f} s early",)


def test_a_file_too_large_to_read_ahead_gives_the_same(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sample_clip(plain, SQUASHED)
    monkeypatch.setattr(survey, "READ_AHEAD_BYTES", 100)
    again = sample_clip(plain, SQUASHED)
    assert (again.frames == expected.frames).all()
    assert (again.indices == expected.indices).all()


def test_a_large_damaged_file_is_counted_by_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.mp4", textured_pictures(), codec="libx264", options={"preset": "medium"})
    flip_bytes(path)
    expected = sample_clip(path, SQUASHED)
    assert expected.num_total < 40
    monkeypatch.setattr(survey, "READ_AHEAD_BYTES", 100)
    assert (sample_clip(path, SQUASHED).frames == expected.frames).all()


def test_views_from_one_pass_are_those_of_many(plain: Path) -> None:
    samplings = [
        *spread_views(2, ("left", "centre", "right")),
        SQUASHED,
        Sampling(num_frames=8, size_px=112),
        Sampling(mode="random", seed=3),
    ]
    for sampling, clip in zip(samplings, sample_views(plain, samplings), strict=True):
        alone = sample_clip(plain, sampling)
        assert (clip.frames == alone.frames).all()
        assert (clip.indices == alone.indices).all()


def test_a_span_is_sampled_like_a_video_of_its_own(plain: Path) -> None:
    clip = sample_clip(plain, SQUASHED, (1.0, 3.0))
    assert clip.num_total == 2 * RATE
    assert numbers(clip) == [RATE + index for index in SQUASHED.indices(2 * RATE)]
    assert clip.times_sec == pytest.approx([number / RATE for number in numbers(clip)], abs=1e-3)
    assert numbers(sample_clip(plain, SQUASHED, (3.0, math.inf)))[-1] == 39
    with pytest.raises(VideoError, match="no frame from 9 to 12 s"):
        sample_clip(plain, SQUASHED, (9.0, 12.0))


def test_times_follow_a_variable_rate(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.webm", numbered_pictures(20), stamp=lambda index: index * index + 3)
    clip = sample_clip(path, SQUASHED)
    assert clip.times_sec == pytest.approx([number**2 / RATE for number in numbers(clip)], abs=1e-3)


def test_time_starts_with_the_first_picture_shown(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered_pictures(40), codec="libx264", stamp=lambda index: index - 13)
    clip = sample_clip(path, SQUASHED)  # 13 pictures before time 0 are decoded, never shown
    assert clip.times_sec == pytest.approx(clip.indices / RATE, abs=1e-3)
    assert set(numbers(sample_clip(path, SQUASHED, (0.0, 1.0)))) == set(range(13, 13 + RATE))


def test_a_span_of_a_stream_without_stamps_goes_by_its_rate(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.h264", numbered_pictures(40), codec="libx264")
    clip = sample_clip(path, SQUASHED, (0.4, 0.8))  # raw streams are taken as 25 frames a second
    assert (min(numbers(clip)), max(numbers(clip))) == (10, 19)


def test_errors_cross_process_boundaries(tmp_path: Path) -> None:
    import pickle

    error = pickle.loads(pickle.dumps(VideoError(tmp_path / "a.webm", "empty file")))
    assert (error.path, error.reason) == (tmp_path / "a.webm", "empty file")


MEMORY = """
import resource, sys
from pathlib import Path
import av
from gasm_cast.video import Sampling, sample_clip
path = Path(sys.argv[1])
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 300 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(sample_clip(path, Sampling()).num_total)
try:
    with av.open(path) as container:
        frames = list(container.decode(video=0))
except (MemoryError, av.error.FFmpegError):
    print("all frames do not fit")
"""


def test_memory_is_bounded_by_the_frames_kept(tmp_path: Path) -> None:
    flat = np.full((720 * 3 // 2, 1280), 128, np.uint8)
    path = encode(tmp_path / "long.mp4", [flat] * 600, codec="libx264", source_format="yuv420p")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines() == ["600", "all frames do not fit"], done.stderr


THREADS = """
import os, sys
from pathlib import Path
from gasm_cast.video import Sampling, pixels, sample_clip
counts = []
read = pixels.PixelReader.read
def counting(self, frame, squares):
    read(self, frame, squares)
    counts.append(len(os.listdir("/proc/self/task")))
pixels.PixelReader.read = counting
before = len(os.listdir("/proc/self/task"))
sample_clip(Path(sys.argv[1]), Sampling())
print(before == max(counts) == len(os.listdir("/proc/self/task")))
"""


@pytest.mark.parametrize("name", ["a.webm", "a.mp4"])
def test_decoding_starts_no_threads(name: str, tmp_path: Path) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    pictures = np.zeros((20, 360, 640, 3), np.uint8)  # large enough for the decoders to want threads
    path = encode(tmp_path / name, pictures, codec=codec)
    done = subprocess.run(
        [sys.executable, "-c", THREADS, path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.webm", "libvpx-vp9"), ("a.mp4", "libx264"), ("a.avi", "libx264"), ("a.h264", "libx264")],
)
def test_whatever_happens_to_a_file_it_gives_a_clip_or_a_reason(
    name: str, codec: str, tmp_path: Path
) -> None:
    path = encode(tmp_path / name, textured_pictures(20), codec=codec)
    sound = path.read_bytes()
    outcomes = set()
    for seed in range(25):
        path.write_bytes(mutated(sound, random.Random(seed)))
        try:
            clip = sample_clip(path, Sampling(size_px=32))
        except VideoError as error:
            outcomes.add("reason" if error.reason and "\n" not in error.reason else "a bad reason")
        else:
            assert clip.indices.tolist() == Sampling().indices(clip.num_total).tolist()
            outcomes.add("flawed" if clip.flaws else "clip")
    assert outcomes >= {"flawed", "clip"}
    assert outcomes <= {"flawed", "clip", "reason"}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """`content` with bytes overwritten, zeroed, lost at the end, or repeated."""
    changed = bytearray(content)
    place = rng.randrange(len(changed))
    match rng.choice(["overwrite", "header", "zero", "cut", "repeat"]):
        case "overwrite":
            for _ in range(rng.choice([1, 10, 100, 1000])):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case "header":
            for _ in range(rng.choice([1, 3, 10])):
                changed[rng.randrange(min(900, len(changed)))] = rng.randrange(256)
        case "zero":
            changed[place : place + 1000] = bytes(1000)
        case "cut":
            del changed[max(1, place) :]
        case _:
            changed[place:place] = changed[place // 2 : place // 2 + 3000]
    return bytes(changed)
