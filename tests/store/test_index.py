import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gasm_cast.errors import InputError
from gasm_cast.store.index import Index, check_ids

NUM_SSV2 = 220_847


def test_an_index_of_something_something_is_small(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).permutation(NUM_SSV2).astype(str)
    Index(ids, shard=np.arange(NUM_SSV2) // 217, row=np.arange(NUM_SSV2) % 217).save(tmp_path / "index")
    tracemalloc.start()
    try:
        index = Index.load(tmp_path / "index")
        found = index.positions(ids[::-3], failures={}, where="store")
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(found, np.arange(NUM_SSV2)[::-3])
    assert kept < 12e6
    assert most < 60e6


def test_ids_may_be_any_text(tmp_path: Path) -> None:
    ids = ["-", "a b", "ünï/ço∂é", "x" * 400, "x" * 399 + "y", "10", "2", "a\tb", "\U0001f3ac"]
    Index(ids, shard=np.zeros(9, int), row=np.arange(9)).save(tmp_path / "index")
    index = Index.load(tmp_path / "index")
    assert index.ids.tolist() == ids
    for place, name in enumerate(ids):
        assert index.positions([name], failures={}, where="store").tolist() == [place]
    for absent in ("", "0", "11", "a", "zzz", " ", "~", "x" * 399, "x" * 401, "\U0001f3ad"):
        with pytest.raises(InputError, match="store lacks 1 of 1 ids"):
            index.positions([absent], failures={}, where="store")


def test_a_disk_without_room_is_one_clear_line(tmp_path: Path, small_disk: Any) -> None:
    index = Index(
        [f"clip-{number}" for number in range(5000)], shard=np.zeros(5000, int), row=np.arange(5000)
    )
    with small_disk(10_000), pytest.raises(InputError, match="index: cannot write: File too large"):
        index.save(tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.safetensors"
    with pytest.raises(InputError, match="missing or damaged index"):
        Index.load(path)
    path.write_bytes(b"\x00" * 40)
    with pytest.raises(InputError, match="missing or damaged index"):
        Index.load(path)


@pytest.mark.parametrize("odd", ["", "a\0", "x" * 513, "ü" * 300])
def test_ids_that_a_store_cannot_hold_are_refused(odd: str) -> None:
    with pytest.raises(InputError, match="is empty, longer than 512 bytes, or holds a zero byte"):
        check_ids(["a", odd], where="store")
