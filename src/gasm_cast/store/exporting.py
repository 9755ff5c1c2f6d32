"""Out of a store again, into files that any program reads."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import h5py
import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_folder
from gasm_cast.store.manifest import STREAMS, TORCH_DTYPES
from gasm_cast.store.reader import FeatureStore

ExportForm = Literal["npy", "npz", "pt", "safetensors", "h5"]


def export(store: FeatureStore, path: Path, form: ExportForm) -> None:
    """Write `path/semantic/ID.npy` and `path/motion/ID.npy`, or the same in another form.

    Arrays are `[tokens, width]`, with `[views, ...]` before it if the store has several; in the
    store's dtype, but int8 as float32, and bfloat16 as float32 where numpy is to read it. HDF5
    has one file a stream, with a data set for each id.

    Raises:
        InputError: if `path` is not empty, an id cannot be a file name, or the disk is too small.
    """
    if form != "h5":
        for name in store.ids:
            _check_file_name(name)
    with atomic_folder(path) as folder:
        _require_space(store, path)
        if form == "h5":
            with (
                h5py.File(folder / "semantic.h5", "w") as semantic,
                h5py.File(folder / "motion.h5", "w") as motion,
            ):
                files = {"semantic": semantic, "motion": motion}
                for name, stream, tokens in _clips(store, numpy_reads=True):
                    files[stream].create_dataset(name, data=tokens.numpy())
            return
        for name, stream, tokens in _clips(store, numpy_reads=form in ("npy", "npz")):
            file = folder / stream / f"{name}.{form}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_encoded(tokens, form))


def _clips(store: FeatureStore, *, numpy_reads: bool) -> Iterator[tuple[str, str, Tensor]]:
    """Id, stream and tokens of every clip; the memory is used again for the next one."""
    stored = store.description.dtype
    wide = stored == "int8" or (stored == "bfloat16" and numpy_reads)
    dtype = torch.float32 if wide else TORCH_DTYPES[stored]
    views = np.arange(store.num_views)
    batches = [np.full(len(views), row) for row in range(len(store))]
    for name, batch in zip(
        store.ids, store.batches(batches, views=[views] * len(store), dtype=dtype), strict=True
    ):
        for stream in STREAMS:
            tokens: Tensor = getattr(batch.features, stream)
            yield str(name), stream, tokens if store.num_views > 1 else tokens[0]


def _encoded(tokens: Tensor, form: Literal["npy", "npz", "pt", "safetensors"]) -> bytes:
    """A file's content; in memory, since writers of files hide what a full disk says."""
    buffer = io.BytesIO()
    match form:
        case "safetensors":
            buffer.write(save({"features": tokens.clone()}))
        case "npy":
            np.save(buffer, tokens.numpy())
        case "npz":
            np.savez(buffer, features=tokens.numpy())
        case "pt":
            torch.save(tokens.clone(), buffer)
    return buffer.getvalue()


def _require_space(store: FeatureStore, path: Path) -> None:
    """Refuse at once what the disk cannot hold: nothing written is smaller than what is stored."""
    needed = len(store) * store.num_views * store.description.view_bytes
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise InputError(
            f"{path}: {free / 1e9:.1f} GB are free, the export takes {needed / 1e9:.1f} GB or more; "
            "free space or choose another folder"
        )


def _check_file_name(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise InputError(
            f"id {name!r} cannot be a file name; export to h5, or leave it out with `store subset`"
        )
