"""Feature store: speed against memory and against seven peers, cold reads, memory, int8, import.

    python -m benchmarks.store --json store.json

Samples are half precision `[196, 768]` and `[8, 512]`, 309 kB each, read shuffled in batches of
64 by one process. Contenders take turns round by round, and what counts is the median over the
rounds of the ratio to another contender of the same round. Peers that are not installed are
reported as absent (`benchmarks/requirements.txt` lists them).

A cold cache is made by telling the kernel to forget the files (`posix_fadvise`). The features are
noise: how fast bytes move does not depend on what they say.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.store_peers import (
    BATCH,
    MOTION,
    PEERS,
    SEMANTIC,
    Read,
    Sample,
    batch_memory,
    open_mapped,
    split,
    write_npy,
)

from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.store import FeatureStore, StoredDtype, StoreDescription, StoreWriter, StreamDescription
from gasm_cast.store.completion import complete
from gasm_cast.store.importing import ImportedStream, import_features
from gasm_cast.store.layout import Layout
from gasm_cast.store.shards import Shard, read_shard
from gasm_cast.store.sources import open_source

NUM_SSV2 = 220_847
SEQUENTIAL_BYTES = 8 * 2**20
SEQUENTIAL_THREADS = 4
OUTLIERS = {5: 60.0, 77: 60.0}
"""Channels that are much larger than the others, and by how much, as a vision transformer has some."""


def description(dtype: StoredDtype = "float16") -> StoreDescription:
    return StoreDescription(
        StreamDescription(StreamSpec(Grid(1, 14, 14), SEMANTIC[1]), {"name": "noise"}),
        StreamDescription(StreamSpec(Grid(MOTION[0], 1, 1), MOTION[1]), {"name": "noise"}),
        dtype=dtype,
    )


def noise(num_samples: int) -> Iterator[Sample]:
    """Different samples without the time to draw them: windows of one array of noise."""
    pool = np.random.default_rng(0).standard_normal(4_000_000, dtype=np.float32).astype(np.float16)
    for number in range(num_samples):
        start = number * 7919 % (len(pool) - 200_000)
        semantic = pool[start : start + np.prod(SEMANTIC)].reshape(SEMANTIC)
        yield semantic, pool[start + 50 : start + 50 + np.prod(MOTION)].reshape(MOTION)


def write_store(path: Path, num_samples: int, dtype: StoredDtype = "float16") -> FeatureStore:
    with StoreWriter(path, description(dtype), asked=[str(n) for n in range(num_samples)]) as writer:
        for number, (semantic, motion) in enumerate(noise(num_samples)):
            writer.add(str(number), semantic.copy(), motion.copy())
    return FeatureStore.open(path)


# Rates


def gather(num_samples: int) -> Read:
    """The ceiling: copy the batch's rows from arrays in memory."""
    semantic, motion = (np.stack(stream) for stream in zip(*noise(num_samples), strict=True))
    out_semantic, out_motion = batch_memory()

    def in_order(order: np.ndarray) -> Iterator[Any]:
        for samples in split(order):
            np.take(semantic, samples, axis=0, out=out_semantic, mode="clip")
            np.take(motion, samples, axis=0, out=out_motion, mode="clip")
            yield out_semantic, out_motion

    return in_order


def from_store(store: FeatureStore, dtype: torch.dtype = torch.float16) -> Read:
    def in_order(order: np.ndarray) -> Iterator[Any]:
        for batch in store.batches(split(order), dtype=dtype):
            yield batch.features.semantic, batch.features.motion

    return in_order


def opened_anew(path: Path, dtype: torch.dtype = torch.float16) -> Read:
    """Opened for each pass: the kernel does not forget what an open store has mapped."""

    def in_order(order: np.ndarray) -> Iterator[Any]:
        yield from from_store(FeatureStore.open(path), dtype)(order)

    return in_order


def whole_files(path: Path) -> Read:
    """All that a disk can give: the shards from end to end, in large pieces, by several threads."""
    store = FeatureStore.open(path)

    def num_samples(number: int, file: Path) -> int:
        piece = bytearray(SEQUENTIAL_BYTES)
        with open(file, "rb", buffering=0) as shard:
            while shard.readinto(piece):
                pass
        return int((store.index.shard == number).sum())

    def in_order(order: np.ndarray) -> Iterator[Any]:
        with ThreadPoolExecutor(SEQUENTIAL_THREADS) as pool:
            for count in pool.map(num_samples, range(len(store.shard_paths)), store.shard_paths):
                yield range(count), None  # what is read is counted, not used

    return in_order


def rates(
    contenders: dict[str, Read],
    num_samples: int,
    num_rounds: int,
    *,
    num_passes: int = 1,
    before: Callable[[str], None] = lambda name: None,
    step: Callable[[Any], None] = lambda batch: None,
) -> dict[str, list[float]]:
    """Samples a second of each contender in each round."""
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(num_rounds):
        order = np.concatenate(
            [np.random.default_rng((number, again)).permutation(num_samples) for again in range(num_passes)]
        )
        for name, read in contenders.items():
            before(name)
            start, count = time.perf_counter(), 0
            for batch in read(order):
                step(batch)
                count += len(batch[0])
            measured[name].append(count / (time.perf_counter() - start))
    return measured


def ratio(measured: dict[str, list[float]], a: str, b: str) -> float:
    return statistics.median(x / y for x, y in zip(measured[a], measured[b], strict=True))


def forget(folder: Path) -> None:
    """Make the kernel drop a folder's files from its cache; it keeps what a process has mapped."""
    gc.collect()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)  # what is not yet written cannot be dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


# What is measured


def warm(folder: Path, store: FeatureStore, num_rounds: int) -> list[dict[str, Any]]:
    """Everything in the kernel's cache: who reaches the speed of memory?"""
    num_samples = len(store)
    contenders: dict[str, Read] = {"ceiling": gather(num_samples), "ours": from_store(store)}
    for name, peer in PEERS.items():
        if find_spec(peer.package):
            path = folder / peer.package
            peer.write(path, noise(num_samples))
            contenders[name] = peer.open(path)
    measured = rates(contenders, num_samples, num_rounds, num_passes=4)
    share = ratio(measured, "ours", "ceiling")
    rows = [
        row("copy from memory (ceiling)", statistics.median(measured["ceiling"]), "samples/s"),
        row("feature store, warm", statistics.median(measured["ours"]), "samples/s"),
        row("share of the ceiling", share, "ratio", target=0.75, met=share >= 0.75, peer="ceiling"),
    ]
    for name in PEERS:
        target = 5.0 if name == "npy a sample" else 1.0
        if name not in contenders:
            rows.append(row(f"speed over {name}", None, "ratio", target=target, peer=name))
            continue
        rows.append(row(f"{name}, warm", statistics.median(measured[name]), "samples/s", peer=name))
        faster = ratio(measured, "ours", name)
        rows.append(
            row(f"speed over {name}", faster, "ratio", target=target, met=faster >= target, peer=name)
        )
    return rows


def cold(path: Path, num_samples: int, num_rounds: int) -> list[dict[str, Any]]:
    """Nothing in the cache: does reading ahead in the sampler's order pay?

    No reader of random rows can be faster than the disk gives whole files, so that is measured too.
    """

    def mapped(order: np.ndarray) -> Iterator[Any]:  # opened anew, since mapped pages are not forgotten
        yield from open_mapped(path)(order)

    contenders = {"ours": opened_anew(path), "mapped": mapped, "sequential": whole_files(path)}
    measured = rates(contenders, num_samples, num_rounds, before=lambda name: forget(path))
    faster, share = ratio(measured, "ours", "mapped"), ratio(measured, "ours", "sequential")
    megabytes = description().view_bytes / 1e6
    return [
        row("disk, cold sequential", statistics.median(measured["sequential"]) * megabytes, "MB/s"),
        row("cold, share of the disk's sequential rate", share, "ratio", peer="sequential"),
        row("feature store, cold", statistics.median(measured["ours"]) * megabytes, "MB/s"),
        row("mapped, cold", statistics.median(measured["mapped"]) * megabytes, "MB/s", peer="mapped"),
        row("cold, speed over mapped", faster, "ratio", target=3.0, met=faster >= 3, peer="mapped"),
    ]


def int8(folder: Path, path: Path, num_samples: int, num_rounds: int) -> list[dict[str, Any]]:
    """Half the bytes, into the step of a small classifier in single precision."""
    paths = {"fp16": path, "int8": folder / "int8"}
    write_store(paths["int8"], num_samples, "int8")
    head = torch.nn.Linear(SEMANTIC[1] + MOTION[1], 174)
    optimizer = torch.optim.SGD(head.parameters(), lr=1e-3)

    def step(batch: Any) -> None:
        pooled = torch.cat([tokens.mean(dim=1) for tokens in batch], dim=1)
        optimizer.zero_grad()
        head(pooled).square().mean().backward()
        optimizer.step()

    contenders = {
        "fp16": opened_anew(path, torch.float32),
        "int8": opened_anew(paths["int8"], torch.float32),
    }
    is_warm = rates(contenders, num_samples, num_rounds, num_passes=2, step=step)
    is_cold = rates(contenders, num_samples, num_rounds, step=step, before=lambda name: forget(paths[name]))
    plain, outliers = (
        int8_error(folder / name, large) for name, large in (("plain", {}), ("outliers", OUTLIERS))
    )
    warm_ratio, cold_ratio = ratio(is_warm, "int8", "fp16"), ratio(is_cold, "int8", "fp16")
    return [
        row("fp16 into a training step, warm", statistics.median(is_warm["fp16"]), "samples/s"),
        row("int8 over fp16, warm", warm_ratio, "ratio", target=0.9, met=warm_ratio >= 0.9),
        row("fp16 into a training step, cold", statistics.median(is_cold["fp16"]), "samples/s"),
        row("int8 over fp16, cold", cold_ratio, "ratio", target=1.5, met=cold_ratio >= 1.5),
        row("int8, relative error, noise", plain, "ratio", target=0.01, met=plain <= 0.01),
        row("int8, relative error, outlier channels", outliers, "ratio", target=0.01, met=outliers <= 0.01),
    ]


def int8_error(path: Path, outliers: dict[int, float]) -> float:
    """Relative error of what a store gives back, over all channels without outliers.

    Over all channels the outliers alone would count: it is the others that they spoil.
    """
    large = np.ones(SEMANTIC[1], np.float32)
    large[list(outliers)] = list(outliers.values())
    exact = {str(number): semantic * large for number, (semantic, _) in enumerate(noise(64))}
    ids = list(exact)
    with StoreWriter(path, description("int8"), asked=ids) as writer:
        for name, semantic in exact.items():
            writer.add(name, semantic, np.ones(MOTION, np.float32))
    read = FeatureStore.open(path).read(ids).semantic.numpy()
    others = np.setdiff1d(np.arange(SEMANTIC[1]), list(outliers))
    wanted = np.stack(list(exact.values()))[..., others]
    return float(np.linalg.norm(read[..., others] - wanted) / np.linalg.norm(wanted))


def importing(folder: Path, num_samples: int, num_rounds: int) -> list[dict[str, Any]]:
    """Import of one `.npy` a sample and stream, against copying the files."""
    source = folder / "npy"
    write_npy(source, noise(num_samples))

    def seconds(work: Callable[[Path], None]) -> float:
        target = folder / "out"
        start = time.perf_counter()
        work(target)
        spent = time.perf_counter() - start
        shutil.rmtree(target)
        return spent

    def copy(target: Path) -> None:
        shutil.copytree(source, target)

    def import_all(target: Path) -> None:
        grids = {"semantic": Grid(1, 14, 14), "motion": Grid(MOTION[0], 1, 1)}
        streams = (
            ImportedStream(open_source(source / name), Layout(name, grid), "noise")
            for name, grid in grids.items()
        )
        import_features(target, *streams)

    pairs = [(seconds(copy), seconds(import_all)) for _ in range(num_rounds)]
    share = statistics.median(copied / imported for copied, imported in pairs)
    return [
        row("copying 2 files a sample", num_samples / statistics.median(c for c, _ in pairs), "samples/s"),
        row("import", num_samples / statistics.median(i for _, i in pairs), "samples/s"),
        row("import over copying", share, "ratio", target=0.5, met=share >= 0.5, peer="copying"),
    ]


def memory(folder: Path, store: FeatureStore) -> list[dict[str, Any]]:
    """Resident memory of a process of its own, for stores of 2,000, 20,000 and 220,847 clips."""
    rows, growth = [], {}
    for num_samples in (2_000, 20_000, NUM_SSV2):
        path = folder / f"sparse-{num_samples}"
        sparse_store(path, store, num_samples)
        found = in_process(f"print_memory({str(path)!r})")
        growth[num_samples] = found["reading_mb"]
        name = f"{num_samples} clips"
        if num_samples == NUM_SSV2:
            rows.append(
                row(f"opening, {name}", found["open_sec"], "s", target=1.0, met=found["open_sec"] < 1)
            )
            opened = found["open_mb"]
            rows.append(
                row(f"memory to open and look up, {name}", opened, "MB", target=100.0, met=opened < 100)
            )
        rows.append(row(f"memory to read 200 batches, {name}", found["reading_mb"], "MB"))
    grows = growth[NUM_SSV2] / growth[2_000]
    rows.append(row("memory to read, 220847 over 2000 clips", grows, "ratio", target=1.1, met=grows <= 1.1))
    return rows


def print_memory(path: str) -> None:
    """The child of :func:`memory`."""
    torch.empty(1).add_(1)
    before = resident_mb()
    start = time.perf_counter()
    store = FeatureStore.open(Path(path))
    open_sec = time.perf_counter() - start
    store.rows(store.ids[::-1])
    opened = resident_mb()
    order = np.random.default_rng(0).integers(0, len(store), 200 * BATCH)
    for _ in store.batches(split(order), dtype=torch.float16):
        pass
    values = {"open_sec": open_sec, "open_mb": opened - before, "reading_mb": peak_mb() - opened}
    print(json.dumps(values))


def sparse_store(path: Path, model: FeatureStore, num_samples: int) -> None:
    """A store of zeros that takes no disk: every shard is the header of a real one and a hole."""
    real = read_shard(model.shard_paths[0])
    header = real.path.read_bytes()[: min(stored.start for stored in real.tensors.values())]
    (path / "shards").mkdir(parents=True)
    shards: list[Shard] = []
    for start in range(0, num_samples, len(real.ids)):
        file = path / "shards" / f"{len(shards):05d}.safetensors"
        with open(file, "wb") as shard:
            shard.write(header)
            shard.truncate(real.num_bytes)
        ids = tuple(str(n) for n in range(start, min(start + len(real.ids), num_samples)))
        shards.append(dataclasses.replace(real, path=file, asked=ids, failed={}))
    complete(path, model.description, shards, failures={})


def in_process(call: str) -> dict[str, float]:
    code = f"from benchmarks.store import print_memory; {call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    values: dict[str, float] = json.loads(done.stdout)
    return values


def resident_mb() -> float:
    return status_mb("VmRSS")


def peak_mb() -> float:
    return status_mb("VmHWM")


def status_mb(key: str) -> float:
    return int(Path("/proc/self/status").read_text().split(f"{key}:")[1].split()[0]) * 1024 / 1e6


def row(
    name: str,
    value: float | None,
    unit: str,
    *,
    target: float | None = None,
    met: bool | None = None,
    peer: str | None = None,
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met, "peer": peer}


def main(json_path: Path | None = None, *, num_rounds: int = 9, num_samples: int = 2_000) -> None:
    """Measure, print, and write the rows as JSON."""
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="gasm-cast-store-") as name:
        folder = Path(name)
        path = folder / "store"
        rows += warm(folder, write_store(path, num_samples), num_rounds)
        rows += cold(path, num_samples, max(3, num_rounds // 2))
        rows += int8(folder, path, num_samples, max(3, num_rounds // 2))
        rows += importing(folder, num_samples, max(3, num_rounds // 2))
        rows += memory(folder, FeatureStore.open(path))
    for line in rows:
        value = "absent" if line["value"] is None else f"{line['value']:.3g} {line['unit']}"
        verdict = "" if line["met"] is None else "  met" if line["met"] else "  not met"
        print(f"{line['name']:<52} {value:>18}{verdict}")
    if json_path is not None:
        json_path.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--rounds", type=int, default=9, help="rounds whose median counts")
    options = parser.parse_args()
    main(options.json, num_rounds=options.rounds)
