"""Decoding: clips a second of our sampler against PyAV used plainly, OpenCV, decord2 and torchcodec.

    python -m benchmarks.decoding --json decoding.json

Every contender turns a file into the same thing, 16 RGB frames of 224x224 from the centres
of 16 equal segments, short side resized with antialiasing, centre crop, on one core. Peers
resize with the fastest antialiased resize at hand, torch's for uint8, all frames at once.
What counts is processor time of the whole process, so that threads a library starts are
charged to it and other programs on the machine are not. Contenders take turns; medians of
rounds are compared. Peers that are not installed are reported as absent
(`benchmarks/requirements.txt` lists them; torchcodec needs FFmpeg's libraries).

Memory is the growth of a fresh process that samples one long video, which shows who keeps
more than the frames asked for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from gasm_cast.video import Sampling, sample_clip, segment_indices

NUM_FRAMES = 16
SIZE_PX = 224

Contender = Callable[[Path], np.ndarray]


# Contenders


def ours(path: Path) -> np.ndarray:
    return sample_clip(path, Sampling(num_frames=NUM_FRAMES, size_px=SIZE_PX)).frames


def plain_pyav(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        frames = list(container.decode(stream))
    return squares([frames[i].to_ndarray(format="rgb24") for i in segment_indices(len(frames), NUM_FRAMES)])


def opencv(path: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    wanted = segment_indices(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), NUM_FRAMES).tolist()
    frames = []
    for place in range(wanted[-1] + 1):
        capture.grab()
        if place in wanted:
            frame = cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
            frames += [frame] * wanted.count(place)
    capture.release()
    return squares(frames)


def decord2(path: Path) -> np.ndarray:
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    return squares(reader.get_batch(segment_indices(len(reader), NUM_FRAMES).tolist()).asnumpy())


def torchcodec(path: Path) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(path), num_ffmpeg_threads=1, dimension_order="NHWC")
    wanted = segment_indices(decoder.metadata.num_frames, NUM_FRAMES).tolist()
    return squares(decoder.get_frames_at(wanted).data.numpy())


PEERS: dict[str, tuple[str, Contender]] = {
    "plain PyAV": ("av", plain_pyav),
    "OpenCV": ("cv2", opencv),
    "decord2": ("decord", decord2),
    "torchcodec": ("torchcodec", torchcodec),
}


def squares(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Centre squares of whole frames, resized with antialiasing in one call."""
    height, width = frames[0].shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = np.stack([frame[top : top + side, left : left + side] for frame in frames])
    batch = torch.from_numpy(cut).permute(0, 3, 1, 2)
    small = torch.nn.functional.interpolate(batch, size=(SIZE_PX, SIZE_PX), mode="bilinear", antialias=True)
    return small.permute(0, 2, 3, 1).contiguous().numpy()


# Videos


def write_videos(folder: Path) -> dict[str, list[Path]]:
    """Videos as in Something-Something V2 (VP9, 240 lines, 12 a second), and usual H.264 ones."""
    kinds = {
        "VP9 426x240": ("webm", "libvpx-vp9", (426, 240), 12, {"crf": "30", "b:v": "0", "cpu-used": "5"}),
        "H.264 640x360": ("mp4", "libx264", (640, 360), 30, {"crf": "23"}),
    }
    videos: dict[str, list[Path]] = {}
    for kind, (suffix, codec, size, rate, options) in kinds.items():
        videos[kind] = []
        for number, seconds in enumerate((2, 3, 4, 5, 6)):
            path = folder / f"{kind.split()[1]}-{number}.{suffix}"
            write_video(path, codec, size, rate, num_frames=seconds * rate, options=options, seed=number)
            videos[kind].append(path)
    return videos


def write_video(
    path: Path,
    codec: str,
    size: tuple[int, int],
    rate: int,
    *,
    num_frames: int,
    options: dict[str, str],
    seed: int,
) -> None:
    """A textured thing that crosses a textured table before a shaking camera, with sensor noise."""
    width, height = size
    rng = np.random.default_rng(seed)
    table = cv2.GaussianBlur(rng.integers(0, 256, (2 * height, 2 * width, 3), dtype=np.uint8), (0, 0), 3)
    table = cv2.normalize(table, None, 0, 255, cv2.NORM_MINMAX)
    side = height // 3
    thing = cv2.resize(
        rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (side, side), interpolation=cv2.INTER_CUBIC
    )
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(num_frames):
            x, y = int(width / 2 + 8 * np.sin(index / 5)), int(height / 2 + 5 * np.cos(index / 7))
            picture = table[y : y + height, x : x + width].copy()
            left, top = int((width - side) * index / num_frames), int(side + 20 * np.sin(index / 3))
            picture[top : top + side, left : left + side] = thing
            noisy = np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, "rgb24")))
        container.mux(stream.encode())


# Measuring


def clips_per_second(
    contenders: dict[str, Contender], paths: list[Path], num_rounds: int
) -> dict[str, list[float]]:
    """Rate of each contender in each round; within a round they take turns file by file."""
    for contender in contenders.values():
        contender(paths[0])
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(num_rounds):
        spent = dict.fromkeys(contenders, 0.0)
        for path in paths:
            for name, contender in contenders.items():
                start = time.process_time()
                contender(path)
                spent[name] += time.process_time() - start
        for name in contenders:
            rates[name].append(len(paths) / spent[name])
    return rates


def memory_growth_mib(name: str, path: Path) -> float:
    """Growth of the largest resident size of a fresh process by sampling `path`."""
    code = f"from benchmarks.decoding import print_growth; print_growth({name!r}, {str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def print_growth(name: str, path: str) -> None:
    """The child of :func:`memory_growth_mib`: one short video to load libraries, then the long one."""
    contender = ours if name == "ours" else PEERS[name][1]
    contender(Path(path).with_name("short.mp4"))
    before = peak_mib()
    contender(Path(path))
    print(peak_mib() - before)


def peak_mib() -> float:
    """Largest resident size so far; getrusage would count the parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(num_rounds: int) -> list[dict[str, Any]]:
    """All rows of the benchmark."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    present = {name: contender for name, (module, contender) in PEERS.items() if find_spec(module)}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, paths in write_videos(folder).items():
            rates = clips_per_second({"ours": ours, **present}, paths, num_rounds)
            rows.append(row(f"clips/s, {kind}", statistics.median(rates["ours"]), "clips/s"))
            for peer in PEERS:
                if peer not in present:
                    rows.append(row(f"speed over {peer}, {kind}", None, "ratio", target=">= 1", peer=peer))
                    continue
                ratios = [a / b for a, b in zip(rates["ours"], rates[peer], strict=True)]
                rows.append(
                    row(f"clips/s of {peer}, {kind}", statistics.median(rates[peer]), "clips/s", peer=peer)
                )
                ratio = statistics.median(ratios)
                rows.append(
                    row(
                        f"speed over {peer}, {kind}", ratio, "ratio", target=">= 1", met=ratio >= 1, peer=peer
                    )
                )
        write_video(
            folder / "short.mp4", "libx264", (1280, 720), 30, num_frames=16, options={"crf": "30"}, seed=0
        )
        write_video(
            folder / "long.mp4", "libx264", (1280, 720), 30, num_frames=300, options={"crf": "30"}, seed=0
        )
        for contender in ("ours", *present):
            growth = memory_growth_mib(contender, folder / "long.mp4")
            is_ours = contender == "ours"
            rows.append(
                row(
                    f"memory growth of {contender}, 300 frames of 1280x720",
                    growth,
                    "MiB",
                    target="<= 50" if is_ours else None,
                    met=growth <= 50 if is_ours else None,
                    peer=None if is_ours else contender,
                )
            )
    return rows


def row(
    name: str,
    value: float | None,
    unit: str,
    *,
    target: str | None = None,
    met: bool | None = None,
    peer: str | None = None,
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met, "peer": peer}


def main(json_path: Path | None = None, num_rounds: int = 9) -> None:
    """Measure, print, and write the rows as JSON."""
    rows = measure(num_rounds)
    for line in rows:
        value = "absent" if line["value"] is None else f"{line['value']:.3g} {line['unit']}"
        verdict = "" if line["met"] is None else "  met" if line["met"] else "  not met"
        print(f"{line['name']:<60} {value:>16}{verdict}")
    if json_path is not None:
        json_path.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--rounds", type=int, default=9, help="rounds whose median counts")
    options = parser.parse_args()
    main(options.json, options.rounds)
