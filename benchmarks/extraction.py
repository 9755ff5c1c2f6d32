"""Extraction end to end with `classic`, against the sum of its parts, and two processes against one.

    python -m benchmarks.extraction --json extraction.json

The parts are measured in this process, on one thread: decoding with sampling, and the two
classic backbones, clip by clip. End to end is the pipeline that `gasm-cast extract` runs,
from video files into a store, with one and with two decoding processes; starting the
processes is not counted, since it does not grow with the number of clips. Parts and whole
are compared by processor time, over all processes, so that other programs on the machine
do not count; one and two processes by wall time. They take turns; medians of rounds are
compared.

Memory is the growth of this process and its workers from the second to the last third of a
longer run: flat means that nothing is kept. In the first third the workers' allocators reach the
size they need, which depends on the videos: about 50 MiB each, within some 250 clips.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.decoding import write_videos

from gasm_cast.backbones.classic_motion import ClassicMotion
from gasm_cast.backbones.classic_semantic import ClassicSemantic
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.pipeline import Pipeline, VideoFeatures
from gasm_cast.extraction.reading import Source
from gasm_cast.store import StoreWriter
from gasm_cast.video import sample_views

EXTRACTOR = Extractor(ClassicSemantic(), ClassicMotion())


def parts_cpu_sec(sources: list[Source]) -> tuple[float, float]:
    """Processor seconds of a clip for decoding alone and for both backbones alone."""
    samplings = EXTRACTOR.reader().samplings
    decode, compute = 0.0, 0.0
    for source in sources:
        assert source.path is not None
        start = time.process_time()
        frames = np.stack([clip.frames for clip in sample_views(source.path, samplings)])
        decoded = time.process_time()
        EXTRACTOR.semantic.forward(frames)
        EXTRACTOR.motion.forward(frames)
        decode += decoded - start
        compute += time.process_time() - decoded
    return decode / len(sources), compute / len(sources)


def end_to_end_sec(sources: list[Source], store: Path, workers: int) -> tuple[float, float]:
    """Wall and processor seconds of a clip from files into a store, once all workers are under way."""
    pipeline = Pipeline(EXTRACTOR, PipelineOptions(workers=workers))
    stamps = []
    with StoreWriter(store, EXTRACTOR.description(), asked=[source.name for source in sources]) as writer:
        for source, features in pipeline.run([sources]):
            assert isinstance(features, VideoFeatures), features
            writer.add(source.name, features.semantic, features.motion)
            stamps.append((time.perf_counter(), of_all_processes(CPU_TICKS) / os.sysconf("SC_CLK_TCK")))
    first, last = stamps[2 * workers], stamps[-1]
    counted = len(stamps) - 1 - 2 * workers
    return (last[0] - first[0]) / counted, (last[1] - first[1]) / counted


RESIDENT_PAGES = (21,)
CPU_TICKS = (11, 12)
"""Places in /proc/PID/stat, after the name."""


def of_all_processes(places: tuple[int, ...]) -> int:
    """Sum of numbers of /proc/PID/stat over this process and its children."""
    own = str(os.getpid())
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if own in (folder.name, fields[1]):
            total += sum(int(fields[place]) for place in places)
    return total


def memory_growth_bytes(sources: list[Source]) -> int:
    """Growth of the largest memory from the second third of a run to the last."""
    sizes = []
    for number, _ in enumerate(Pipeline(EXTRACTOR, PipelineOptions(workers=2)).run([sources])):
        if number % 8 == 0:
            sizes.append(of_all_processes(RESIDENT_PAGES) * os.sysconf("SC_PAGE_SIZE"))
    third = len(sizes) // 3
    return max(sizes[2 * third :]) - max(sizes[third : 2 * third])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = write_videos(folder)["VP9 426x240"]
        sources = [Source(f"{number}", videos[number % len(videos)]) for number in range(options.clips)]
        rounds: list[dict[str, float]] = []
        for _ in range(options.rounds):
            taken = dict(zip(("decode", "compute"), parts_cpu_sec(sources[: len(videos) * 2]), strict=True))
            for workers in (1, 2):
                wall, cpu = end_to_end_sec(sources, folder / "store", workers)
                taken |= {f"wall {workers}": wall, f"cpu {workers}": cpu}
                shutil.rmtree(folder / "store")
            rounds.append(taken)
        many = [Source(f"{number}", videos[number % len(videos)]) for number in range(12 * options.clips)]
        growth = memory_growth_bytes(many)
    median = {key: statistics.median(taken[key] for taken in rounds) for key in rounds[0]}
    overhead = statistics.median(taken["cpu 1"] / (taken["decode"] + taken["compute"]) for taken in rounds)
    speedup = statistics.median(taken["wall 1"] / taken["wall 2"] for taken in rounds)
    results: list[dict[str, Any]] = [
        row("decode alone, processor time", 1000 * median["decode"], "ms/clip", peer="-"),
        row("classic alone, processor time", 1000 * median["compute"], "ms/clip", peer="-"),
        row("end to end, processor time", 1000 * median["cpu 1"], "ms/clip", peer="-"),
        row("end to end over its parts", overhead, "x", target=1.1, met=overhead <= 1.1, peer="sum of parts"),
        row("end to end, 1 process", 1 / median["wall 1"], "clips/s", peer="-"),
        row("end to end, 2 processes", 1 / median["wall 2"], "clips/s", peer="-"),
        row("2 processes over 1", speedup, "x", target=1.7, met=speedup >= 1.7, peer="1 process"),
        row(
            "memory growth over a third of a run",
            growth / 2**20,
            "MiB",
            target=16,
            met=growth <= 16 * 2**20,
            peer="the third before",
        ),
    ]
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    for result in results:
        print(f"{result['name']:36} {result['value']:8.2f} {result['unit']:8} {result['met']}")


def row(
    name: str, value: float, unit: str, *, peer: str, target: float | None = None, met: bool | None = None
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met, "peer": peer}


if __name__ == "__main__":
    main()
