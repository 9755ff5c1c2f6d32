"""Other ways to keep features, each read as its users do, or better.

Every contender yields, for an order of sample numbers, batches of both streams as they are stored
(half precision). Those that read by sample copy into the same page-aligned, reused memory as
the feature store does; LitData and WebDataset, which cannot read by sample fast, shuffle in
their own ways.
"""

from __future__ import annotations

import io
import mmap
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import pyarrow as pa
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from gasm_cast.store.rows import aligned_empty

SEMANTIC, MOTION = (196, 768), (8, 512)
BATCH = 64

Sample = tuple[np.ndarray, np.ndarray]
ReadInto = Callable[[int, np.ndarray, np.ndarray], None]


class Peer(Protocol):
    """A way to keep samples in a folder."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        """Store samples, numbered from 0."""

    def batches(self, folder: Path) -> Callable[[np.ndarray], Iterator[Any]]:
        """Open the folder; the result reads batches in an order."""


class BySample:
    """Batches from a peer that reads one sample at a time."""

    def open(self, folder: Path) -> ReadInto:
        raise NotImplementedError

    def batches(self, folder: Path) -> Callable[[np.ndarray], Iterator[Any]]:
        read = self.open(folder)
        semantic, motion = batch_memory()

        def in_order(order: np.ndarray) -> Iterator[Any]:
            for samples in split(order):
                for place, sample in enumerate(samples.tolist()):
                    read(sample, semantic[place], motion[place])
                yield semantic[: len(samples)], motion[: len(samples)]

        return in_order


class Npy(BySample):
    """One `.npy` for each sample and stream."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        for stream in ("semantic", "motion"):
            (folder / stream).mkdir(parents=True)
        for number, (semantic, motion) in enumerate(samples):
            np.save(folder / "semantic" / f"{number}.npy", semantic)
            np.save(folder / "motion" / f"{number}.npy", motion)

    def open(self, folder: Path) -> ReadInto:
        def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
            semantic[:] = np.load(folder / "semantic" / f"{sample}.npy")
            motion[:] = np.load(folder / "motion" / f"{sample}.npy")

        return read


class Safetensors(BySample):
    """One safetensors file for each sample."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        folder.mkdir(parents=True)
        for number, (semantic, motion) in enumerate(samples):
            save_file({"semantic": semantic, "motion": motion}, folder / f"{number}.safetensors")

    def open(self, folder: Path) -> ReadInto:
        def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
            with safe_open(folder / f"{sample}.safetensors", "np") as file:
                semantic[:] = file.get_tensor("semantic")
                motion[:] = file.get_tensor("motion")

        return read


class Hdf5(BySample):
    """One HDF5 file, a chunk for each sample."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        folder.mkdir(parents=True)
        with h5py.File(folder / "features.h5", "w") as file:
            stored = {
                name: file.create_dataset(
                    name, (0, *shape), "f2", maxshape=(None, *shape), chunks=(1, *shape)
                )
                for name, shape in (("semantic", SEMANTIC), ("motion", MOTION))
            }
            for number, (semantic, motion) in enumerate(samples):
                for name, values in (("semantic", semantic), ("motion", motion)):
                    stored[name].resize(number + 1, axis=0)
                    stored[name][number] = values

    def open(self, folder: Path) -> ReadInto:
        file = h5py.File(folder / "features.h5")
        stored_semantic, stored_motion = file["semantic"], file["motion"]

        def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
            stored_semantic.read_direct(semantic, np.s_[sample])
            stored_motion.read_direct(motion, np.s_[sample])

        return read


class Lmdb(BySample):
    """LMDB, read through its own memory without a copy of a value."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        import lmdb

        folder.mkdir(parents=True)
        with lmdb.open(str(folder), map_size=2**36) as environment:
            for number, (semantic, motion) in enumerate(samples):
                with environment.begin(write=True) as transaction:
                    transaction.put(b"s%d" % number, semantic.tobytes())
                    transaction.put(b"m%d" % number, motion.tobytes())

    def open(self, folder: Path) -> ReadInto:
        import lmdb

        environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False)
        transaction = environment.begin(buffers=True)

        def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
            semantic[:] = np.frombuffer(transaction.get(b"s%d" % sample), np.float16).reshape(SEMANTIC)
            motion[:] = np.frombuffer(transaction.get(b"m%d" % sample), np.float16).reshape(MOTION)

        return read


class Arrow(BySample):
    """Arrow IPC file, memory-mapped; rows are views of it."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
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

    def open(self, folder: Path) -> ReadInto:
        table = pa.ipc.open_file(pa.memory_map(str(folder / "features.arrow"))).read_all()
        starts = np.cumsum([0, *(len(chunk) for chunk in table["semantic"].chunks)])
        columns = [
            [
                np.frombuffer(chunk.buffers()[1], np.float16, len(chunk) * int(np.prod(shape))).reshape(
                    -1, *shape
                )
                for chunk in table[name].chunks
            ]
            for name, shape in (("semantic", SEMANTIC), ("motion", MOTION))
        ]

        def read(sample: int, semantic: np.ndarray, motion: np.ndarray) -> None:
            chunk = int(np.searchsorted(starts, sample, side="right")) - 1
            semantic[:] = columns[0][chunk][sample - starts[chunk]]
            motion[:] = columns[1][chunk][sample - starts[chunk]]

        return read


class Mapped(BySample):
    """The feature store's own shards, plainly memory-mapped: what reading ahead is compared with."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        raise NotImplementedError("reads what the feature store wrote")

    def open(self, folder: Path) -> ReadInto:
        from gasm_cast.store import FeatureStore
        from gasm_cast.store.shards import read_shard

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

        return read


class WebDataset:
    """Tar files, read in a row, with a shuffle buffer of a thousand samples."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        import webdataset

        folder.mkdir(parents=True)
        with webdataset.ShardWriter(str(folder / "%05d.tar"), maxcount=200, verbose=0) as writer:
            for number, (semantic, motion) in enumerate(samples):
                values = {"semantic.npy": as_npy(semantic), "motion.npy": as_npy(motion)}
                writer.write({"__key__": str(number), **values})

    def batches(self, folder: Path) -> Callable[[np.ndarray], Iterator[Any]]:
        import webdataset

        urls = [str(path) for path in sorted(folder.glob("*.tar"))]

        def in_order(order: np.ndarray) -> Iterator[Any]:
            dataset = webdataset.WebDataset(
                urls, shardshuffle=len(urls), seed=int(order[0]), empty_check=False
            )
            dataset = dataset.shuffle(1000).decode().to_tuple("semantic.npy", "motion.npy").batched(BATCH)
            for semantic, motion in dataset:
                yield torch.from_numpy(semantic), torch.from_numpy(motion)

        return in_order


class LitData:
    """LitData's streaming data set from local chunks, in its own shuffled order."""

    def write(self, folder: Path, samples: Iterable[Sample]) -> None:
        import litdata

        pending = folder.with_name(f"{folder.name}-npy")
        Npy().write(pending, samples)
        paths = [str(path) for path in sorted((pending / "semantic").iterdir())]
        litdata.optimize(load_pair, paths, str(folder), chunk_bytes="64MB", num_workers=1, verbose=False)
        shutil.rmtree(pending)

    def batches(self, folder: Path) -> Callable[[np.ndarray], Iterator[Any]]:
        import litdata

        def in_order(order: np.ndarray) -> Iterator[Any]:
            dataset = litdata.StreamingDataset(str(folder), shuffle=True, seed=int(order[0]))
            yield from litdata.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=0)

        return in_order


PEERS: dict[str, tuple[str, type[Peer]]] = {
    "LMDB": ("lmdb", Lmdb),
    "Arrow": ("pyarrow", Arrow),
    "LitData": ("litdata", LitData),
    "WebDataset": ("webdataset", WebDataset),
    "HDF5": ("h5py", Hdf5),
    "safetensors a sample": ("safetensors", Safetensors),
    "npy a sample": ("numpy", Npy),
}
"""By name: the package that must be there, and the peer."""


def load_pair(path: str) -> dict[str, Any]:
    """What LitData's writing process stores of one sample."""
    semantic = np.load(path)
    return {"semantic": semantic, "motion": np.load(path.replace("/semantic/", "/motion/"))}


def batch_memory() -> Sample:
    """Page-aligned memory for a batch of both streams."""
    pair = (aligned_empty((BATCH, *shape), torch.float16).numpy() for shape in (SEMANTIC, MOTION))
    semantic, motion = pair
    semantic[:], motion[:] = 0, 0  # touch every page before the clock runs
    return semantic, motion


def split(order: np.ndarray) -> list[np.ndarray]:
    """Full batches of an order."""
    return [order[start : start + BATCH] for start in range(0, len(order) - BATCH + 1, BATCH)]


def grouped(samples: Iterable[Sample], size: int) -> Iterator[Sequence[Sample]]:
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
