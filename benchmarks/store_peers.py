"""Other ways to keep features, each read as its users do, or better.

Every peer yields, for an order of sample numbers, batches of both streams as they are stored
(half precision). Those that read by sample copy into the same page-aligned, reused memory as
the feature store does; LitData and WebDataset, which cannot read single samples fast, shuffle in
their own ways.
"""

from __future__ import annotations

import io
import mmap
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from gasm_cast.store import FeatureStore
from gasm_cast.store.rows import aligned_empty
from gasm_cast.store.shards import read_shard

SEMANTIC, MOTION = (196, 768), (8, 512)
BATCH = 64

Sample = tuple[np.ndarray, np.ndarray]
Read = Callable[[np.ndarray], Iterator[Any]]
"""Batches in an order of sample numbers."""
ReadInto = Callable[[int, np.ndarray, np.ndarray], None]
"""One sample into the memory of both streams."""


@dataclass(frozen=True)
class Peer:
    """A way to keep samples in a folder."""

    package: str
    write: Callable[[Path, Iterable[Sample]], None]
    open: Callable[[Path], Read]


# One file a sample


def write_npy(folder: Path, samples: Iterable[Sample]) -> None:
    for stream in ("semantic", "motion"):
        (folder / stream).mkdir(parents=True)
    for number, (semantic, motion) in enumerate(samples):
        np.save(folder / "semantic" / f"{number}.npy", semantic)
        np.save(folder / "motion" / f"{number}.npy", motion)


def open_npy(folder: Path) -> Read:
    def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
        semantic[:] = np.load(folder / "semantic" / f"{sample}.npy")
        motion[:] = np.load(folder / "motion" / f"{sample}.npy")

    return by_sample(read)


def write_safetensors(folder: Path, samples: Iterable[Sample]) -> None:
    folder.mkdir(parents=True)
    for number, (semantic, motion) in enumerate(samples):
        save_file({"semantic": semantic, "motion": motion}, folder / f"{number}.safetensors")


def open_safetensors(folder: Path) -> Read:
    def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
        with safe_open(folder / f"{sample}.safetensors", "np") as file:
            semantic[:] = file.get_tensor("semantic")
            motion[:] = file.get_tensor("motion")

    return by_sample(read)


# One file for all samples


def write_hdf5(folder: Path, samples: Iterable[Sample]) -> None:
    """A chunk for each sample."""
    folder.mkdir(parents=True)
    shapes = {"semantic": SEMANTIC, "motion": MOTION}
    with h5py.File(folder / "features.h5", "w") as file:
        stored = {
            name: file.create_dataset(name, (0, *shape), "f2", maxshape=(None, *shape), chunks=(1, *shape))
            for name, shape in shapes.items()
        }
        for number, sample in enumerate(samples):
            for name, values in zip(shapes, sample, strict=True):
                stored[name].resize(number + 1, axis=0)
                stored[name][number] = values


def open_hdf5(folder: Path) -> Read:
    file = h5py.File(folder / "features.h5")
    stored_semantic, stored_motion = file["semantic"], file["motion"]

    def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
        stored_semantic.read_direct(semantic, np.s_[sample])
        stored_motion.read_direct(motion, np.s_[sample])

    return by_sample(read)


def write_lmdb(folder: Path, samples: Iterable[Sample]) -> None:
    import lmdb

    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=2**36) as environment:
        for group_number, group in enumerate(grouped(samples, 200)):
            with environment.begin(write=True) as transaction:
                for number, (semantic, motion) in enumerate(group, start=group_number * 200):
                    transaction.put(b"s%d" % number, semantic.tobytes())
                    transaction.put(b"m%d" % number, motion.tobytes())


def open_lmdb(folder: Path) -> Read:
    """Values are LMDB's own memory, not copies."""
    import lmdb

    transaction = lmdb.open(str(folder), readonly=True, lock=False, readahead=False).begin(buffers=True)

    def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
        semantic[:] = np.frombuffer(transaction.get(b"s%d" % sample), np.float16).reshape(SEMANTIC)
        motion[:] = np.frombuffer(transaction.get(b"m%d" % sample), np.float16).reshape(MOTION)

    return by_sample(read)


def write_arrow(folder: Path, samples: Iterable[Sample]) -> None:
    folder.mkdir(parents=True)
    types = [pa.binary(int(np.prod(shape)) * 2) for shape in (SEMANTIC, MOTION)]
    schema = pa.schema(list(zip(("semantic", "motion"), types, strict=True)))
    with pa.OSFile(str(folder / "features.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for group in grouped(samples, 200):
            columns = [
                pa.array([values.tobytes() for values in column], kind)
                for column, kind in zip(zip(*group, strict=True), types, strict=True)
            ]
            writer.write(pa.record_batch(columns, schema=schema))


def open_arrow(folder: Path) -> Read:
    """Rows are views of the mapped file."""
    table = pa.ipc.open_file(pa.memory_map(str(folder / "features.arrow"))).read_all()
    starts = np.cumsum([0, *(len(chunk) for chunk in table["semantic"].chunks)])
    semantic_chunks, motion_chunks = (
        [
            np.frombuffer(chunk.buffers()[1], np.float16, len(chunk) * int(np.prod(shape))).reshape(
                -1, *shape
            )
            for chunk in table[name].chunks
        ]
        for name, shape in (("semantic", SEMANTIC), ("motion", MOTION))
    )

    def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
        chunk = int(np.searchsorted(starts, sample, side="right")) - 1
        semantic[:] = semantic_chunks[chunk][sample - starts[chunk]]
        motion[:] = motion_chunks[chunk][sample - starts[chunk]]

    return by_sample(read)


def open_mapped(folder: Path) -> Read:
    """A feature store's shards, plainly mapped: what reading ahead is compared with."""
    store = FeatureStore.open(folder)
    columns = []
    for path in store.shard_paths:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        tensors = read_shard(path).tensors
        columns.append(
            [
                np.frombuffer(mapped, np.float16, int(np.prod(stored.shape)), stored.start).reshape(
                    stored.shape
                )
                for stored in (tensors["semantic"], tensors["motion"])
            ]
        )

    def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
        shard, row = store.index.shard[sample], store.index.row[sample]
        semantic[:] = columns[shard][0][row]
        motion[:] = columns[shard][1][row]

    return by_sample(read)


# Streams of shards, with their own ways to shuffle


def write_webdataset(folder: Path, samples: Iterable[Sample]) -> None:
    import webdataset

    folder.mkdir(parents=True)
    with webdataset.ShardWriter(str(folder / "%05d.tar"), maxcount=200, verbose=0) as writer:
        for number, (semantic, motion) in enumerate(samples):
            values = {"semantic.npy": as_npy(semantic), "motion.npy": as_npy(motion)}
            writer.write({"__key__": str(number), **values})


def open_webdataset(folder: Path) -> Read:
    """Shards in random order, then a shuffle buffer of a thousand samples."""
    import webdataset

    urls = [str(path) for path in sorted(folder.glob("*.tar"))]

    def in_order(order: np.ndarray) -> Iterator[Any]:
        dataset = webdataset.WebDataset(urls, shardshuffle=len(urls), seed=int(order[0]), empty_check=False)
        dataset = dataset.shuffle(1000).decode().to_tuple("semantic.npy", "motion.npy").batched(BATCH)
        for semantic, motion in dataset:
            yield torch.from_numpy(semantic), torch.from_numpy(motion)

    return in_order


def write_litdata(folder: Path, samples: Iterable[Sample]) -> None:
    import litdata

    pending = folder.with_name(f"{folder.name}-pending")
    write_npy(pending, samples)
    paths = [str(path) for path in sorted((pending / "semantic").iterdir())]
    litdata.optimize(load_pair, paths, str(folder), chunk_bytes="64MB", num_workers=1, verbose=False)
    shutil.rmtree(pending)


def load_pair(path: str) -> dict[str, Any]:
    """What LitData's writing process stores of one sample."""
    return {"semantic": np.load(path), "motion": np.load(path.replace("/semantic/", "/motion/"))}


def open_litdata(folder: Path) -> Read:
    import litdata

    def in_order(order: np.ndarray) -> Iterator[Any]:
        dataset = litdata.StreamingDataset(str(folder), shuffle=True, seed=int(order[0]))
        for batch in litdata.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=0):
            yield batch["semantic"], batch["motion"]

    return in_order


PEERS: dict[str, Peer] = {
    "LMDB": Peer("lmdb", write_lmdb, open_lmdb),
    "Arrow": Peer("pyarrow", write_arrow, open_arrow),
    "LitData": Peer("litdata", write_litdata, open_litdata),
    "WebDataset": Peer("webdataset", write_webdataset, open_webdataset),
    "HDF5": Peer("h5py", write_hdf5, open_hdf5),
    "safetensors a sample": Peer("safetensors", write_safetensors, open_safetensors),
    "npy a sample": Peer("numpy", write_npy, open_npy),
}


def by_sample(read: ReadInto) -> Read:
    """Batches from a peer that reads one sample at a time."""
    semantic, motion = batch_memory()

    def in_order(order: np.ndarray) -> Iterator[Any]:
        for samples in split(order):
            for place, sample in enumerate(samples.tolist()):
                read(sample, semantic[place], motion[place])
            yield semantic, motion

    return in_order


def batch_memory() -> Sample:
    """Page-aligned memory for a batch of both streams."""
    semantic, motion = (aligned_empty((BATCH, *shape), torch.float16).numpy() for shape in (SEMANTIC, MOTION))
    semantic[:], motion[:] = 0, 0  # touch every page before the clock runs
    return semantic, motion


def split(order: np.ndarray) -> list[np.ndarray]:
    """Full batches of an order."""
    return [order[start : start + BATCH] for start in range(0, len(order) - BATCH + 1, BATCH)]


def grouped(samples: Iterable[Sample], size: int) -> Iterator[Sequence[Sample]]:
    """Lists of `size` samples, the last one shorter."""
    group: list[Sample] = []
    for sample in samples:
        group.append(sample)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def as_npy(array: np.ndarray) -> bytes:
    raw = io.BytesIO()
    np.save(raw, array)
    return raw.getvalue()
