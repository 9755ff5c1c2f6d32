"""Tiny real videos, and an extractor that shows how files go wrong."""

from pathlib import Path

import av
import numpy as np
import pytest

SIZE = (48, 64)
NUM_FRAMES = 20


def pictures(seed: int, num_frames: int = NUM_FRAMES) -> list[np.ndarray]:
    """A bright square that moves over a textured ground; both depend on the seed."""
    random = np.random.default_rng(seed)
    ground = random.integers(0, 120, (*SIZE, 3), dtype=np.uint8)
    row, step = int(random.integers(0, SIZE[0] - 16)), int(random.choice([-2, 2]))
    made = []
    for index in range(num_frames):
        picture = ground.copy()
        column = 24 + step * index % (SIZE[1] - 40)
        picture[row : row + 16, column : column + 16] = (250, 220, 40)
        made.append(picture)
    return made


def write_clip(path: Path, seed: int) -> Path:
    """A clip of one scene."""
    return encode(path, pictures(seed))


def write_long_clip(path: Path, seeds: tuple[int, ...], num_frames: int) -> Path:
    """Scenes of `num_frames` each, one after the other."""
    return encode(path, [picture for seed in seeds for picture in pictures(seed, num_frames)])


def write_plain(path: Path, colour: tuple[int, int, int]) -> Path:
    """A clip of one colour throughout."""
    return encode(path, [np.full((*SIZE, 3), colour, np.uint8)] * NUM_FRAMES)


def encode(path: Path, frames: list[np.ndarray]) -> Path:
    """Encode as VP9, 12 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=12)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"cpu-used": "8", "deadline": "realtime"}
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six clips, 0.webm to 5.webm."""
    folder = tmp_path_factory.mktemp("clips")
    for index in range(6):
        write_clip(folder / f"{index}.webm", index)
    return folder


@pytest.fixture(autouse=True)
def workers_import_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned workers import the functions of these tests by their module's name."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
