import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.errors import InputError
from gasm_cast.store import FeatureStore, StoredDtype, StoreWriter
from gasm_cast.store.exporting import ExportForm, export
from gasm_cast.store.importing import ImportedStream, import_features
from gasm_cast.store.layout import Layout
from gasm_cast.store.sources import open_source

from .conftest import MOTION, SEMANTIC, contents, describe, write


def import_back(folder: Path, form: str, path: Path, *, views: bool = False) -> FeatureStore:
    def stream(name: str) -> ImportedStream:
        source = open_source(folder / (f"{name}.h5" if form == "h5" else name))
        grid = SEMANTIC.grid if name == "semantic" else MOTION.grid
        return ImportedStream(
            source, Layout(name, grid, ("views", "tokens", "channels") if views else None), name
        )

    import_features(path, stream("semantic"), stream("motion"))
    return FeatureStore.open(path)


@pytest.mark.parametrize("form", ["npy", "npz", "pt", "safetensors", "h5"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("num_views", [1, 2])
def test_out_and_in_again_is_bit_exact(
    tmp_path: Path, ids: list[str], form: ExportForm, dtype: StoredDtype, num_views: int
) -> None:
    write(tmp_path / "store", ids[:10], describe(dtype=dtype, num_views=num_views))
    store = FeatureStore.open(tmp_path / "store")
    export(store, tmp_path / "files", form)
    back = import_back(tmp_path / "files", form, tmp_path / "back", views=num_views > 1)
    assert back.description.dtype == dtype
    assert back.num_views == num_views
    for view in range(num_views):
        there, here = store.read(ids[:10], view), back.read(ids[:10], view)
        assert there.semantic.numpy().tobytes() == here.semantic.numpy().tobytes()
        assert there.motion.numpy().tobytes() == here.motion.numpy().tobytes()


def test_exporting_again_gives_the_same_files(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids)
    export(FeatureStore.open(tmp_path / "store"), tmp_path / "files", "npy")
    back = import_back(tmp_path / "files", "npy", tmp_path / "back")
    export(back, tmp_path / "again", "npy")
    assert contents(tmp_path / "again") == contents(tmp_path / "files")


@pytest.mark.parametrize(("form", "dtype"), [("pt", "bfloat16"), ("safetensors", "bfloat16")])
def test_bfloat16_stays_where_it_can(
    tmp_path: Path, ids: list[str], form: ExportForm, dtype: StoredDtype
) -> None:
    write(tmp_path / "store", ids[:3], describe(dtype=dtype))
    export(FeatureStore.open(tmp_path / "store"), tmp_path / "files", form)
    assert import_back(tmp_path / "files", form, tmp_path / "back").description.dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_what_numpy_has_not_becomes_float32(tmp_path: Path, ids: list[str], dtype: StoredDtype) -> None:
    write(tmp_path / "store", ids[:3], describe(dtype=dtype))
    store = FeatureStore.open(tmp_path / "store")
    export(store, tmp_path / "files", "npy")
    array = np.load(tmp_path / "files" / "motion" / f"{ids[0]}.npy")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, store.read(ids[:1]).motion[0].numpy())


def test_ids_with_folders_make_folders_but_never_leave_theirs(tmp_path: Path) -> None:
    write(tmp_path / "store", ["val/1", "val/2", "3"])
    export(FeatureStore.open(tmp_path / "store"), tmp_path / "files", "npy")
    assert (tmp_path / "files" / "motion" / "val" / "1.npy").exists()
    for odd in ("../1", "/etc/1", "a/../../1"):
        write(tmp_path / odd.replace("/", "_"), [odd])
        with pytest.raises(InputError, match="cannot be a file name"):
            export(FeatureStore.open(tmp_path / odd.replace("/", "_")), tmp_path / "odd", "npy")
    assert not (tmp_path / "odd").exists()


@pytest.mark.parametrize("form", ["npy", "npz", "pt", "safetensors"])
def test_a_full_disk_is_one_line(tmp_path: Path, ids: list[str], form: ExportForm, small_disk: Any) -> None:
    write(tmp_path / "store", ids[:3])
    with small_disk(300), pytest.raises(InputError, match="files: cannot write: File too large; free space"):
        export(FeatureStore.open(tmp_path / "store"), tmp_path / "files", form)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_disk_that_is_too_small_is_refused_at_once(
    tmp_path: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "store", ids[:3])
    store = FeatureStore.open(tmp_path / "store")
    needed = 3 * store.description.view_bytes
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=needed))
    export(store, tmp_path / "enough", "h5")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=needed - 1))
    with pytest.raises(InputError, match=r"little: 0\.0 GB are free, the export takes 0\.0 GB or more"):
        export(store, tmp_path / "little", "h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["enough", "store"]


@given(st.integers(0, 2**32 - 1))
def test_half_precision_keeps_every_bit_pattern(seed: int) -> None:
    """All finite half-precision numbers, subnormal ones too, pass through writer and reader."""
    bits = np.random.default_rng(seed).integers(0, 2**16, (2, 400)).astype(np.uint16)
    numbers = bits.view(np.float16)
    numbers[~np.isfinite(numbers)] = 0
    semantic = numbers[0, :240].reshape(12, 20)
    motion = numbers[1, :40].reshape(5, 8)
    with tempfile.TemporaryDirectory() as folder:
        with StoreWriter(Path(folder) / "store", describe(), asked=["a"]) as writer:
            writer.add("a", semantic, motion)
        read = FeatureStore.open(Path(folder) / "store").read(["a"], dtype=torch.float16)
    assert read.semantic.numpy().tobytes() == semantic.tobytes()
    assert read.motion.numpy().tobytes() == motion.tobytes()
