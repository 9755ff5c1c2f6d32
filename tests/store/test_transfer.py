from pathlib import Path

import numpy as np
import pytest

from gasm_cast.errors import InputError
from gasm_cast.store import FeatureStore, StoredDtype
from gasm_cast.store.transfer import merge, subset
from gasm_cast.store.verification import verify

from .conftest import contents, describe, write


def assert_equal_features(a: FeatureStore, b: FeatureStore, ids: list[str]) -> None:
    for view in range(a.num_views):
        first, second = a.read(ids, view), b.read(ids, view)
        np.testing.assert_array_equal(first.semantic.numpy(), second.semantic.numpy())
        np.testing.assert_array_equal(first.motion.numpy(), second.motion.numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_subset_and_merge_keep_every_bit(tmp_path: Path, ids: list[str], dtype: StoredDtype) -> None:
    write(tmp_path / "all", ids, describe(dtype=dtype, num_views=2), failures=[ids[8]])
    whole = FeatureStore.open(tmp_path / "all")
    some = [*ids[1:4], *ids[8:18], ids[29]]
    subset(whole, some, tmp_path / "some")
    subset(whole, [name for name in ids if name not in some], tmp_path / "rest")
    part, rest = FeatureStore.open(tmp_path / "some"), FeatureStore.open(tmp_path / "rest")
    kept = [name for name in some if name != ids[8]]
    assert part.ids.tolist() == kept
    assert part.failures == {ids[8]: f"cannot decode {ids[8]}"}
    assert part.fingerprint == whole.fingerprint
    assert_equal_features(part, whole, kept[::-1])

    merge([rest, part], tmp_path / "merged")
    merged = FeatureStore.open(tmp_path / "merged")
    assert merged.ids.tolist() == [*rest.ids, *part.ids]
    assert_equal_features(merged, whole, [name for name in ids if name != ids[8]])
    assert not [checked for checked in verify(tmp_path / "merged") if checked.problem]


def test_merging_two_halves_of_whole_shards_gives_the_whole(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "all", ids, failures=[ids[20]])
    write(tmp_path / "first", ids[:12])
    write(tmp_path / "second", ids[12:], failures=[ids[20]])
    merge([FeatureStore.open(tmp_path / name) for name in ("first", "second")], tmp_path / "merged")
    merged = contents(tmp_path / "merged")
    for name, data in contents(tmp_path / "all").items():
        # Shard 5 held the failure; a merged store lists those in failures.jsonl only.
        if name != "manifest.json" and "00005" not in name:
            assert merged[name] == data, name


def test_a_failure_that_another_store_has_is_none(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "first", ids, failures=ids[:2])
    write(tmp_path / "retried", ids[:2], failures=ids[1:2])
    merge([FeatureStore.open(tmp_path / name) for name in ("first", "retried")], tmp_path / "merged")
    merged = FeatureStore.open(tmp_path / "merged")
    assert list(merged.failures) == [ids[1]]
    assert len(merged) == 29


def test_stores_of_failures_alone(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "all", ids, failures=ids[:3])
    subset(FeatureStore.open(tmp_path / "all"), ids[:2], tmp_path / "subset")
    write(tmp_path / "other", ids[2:3], failures=ids[2:3])
    stores = [FeatureStore.open(tmp_path / name) for name in ("subset", "other")]
    merge(stores, tmp_path / "merged")
    merged = FeatureStore.open(tmp_path / "merged")
    assert (len(merged), list(merged.failures)) == (0, ids[:3])
    assert merged.description == stores[0].description
    assert not [checked for checked in verify(tmp_path / "merged") if checked.problem]


def test_what_cannot_be_merged_is_refused(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "a", ids[:9])
    write(tmp_path / "b", ids[8:])
    write(tmp_path / "c", ids[9:], describe(revision="v2"))
    a, b, c = (FeatureStore.open(tmp_path / name) for name in "abc")
    with pytest.raises(InputError, match=rf"1 ids are also in a store before it, '{ids[8]}' for one"):
        merge([a, b], tmp_path / "merged")
    with pytest.raises(InputError, match=r"hold different features: streams.*revision"):
        merge([a, c], tmp_path / "merged")
    with pytest.raises(InputError, match="exists and is not empty"):
        merge([a], tmp_path / "c")
    with pytest.raises(InputError, match="lacks 1 of 2 ids: 'nobody'"):
        subset(a, [ids[0], "nobody"], tmp_path / "merged")
    with pytest.raises(InputError, match="no ids are asked of"):
        subset(a, [], tmp_path / "merged")
    with pytest.raises(InputError, match="no stores to merge"):
        merge([], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_damage_is_not_copied(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids)
    file = tmp_path / "store" / "shards" / "00002.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(InputError, match=r"00002\.safetensors: the data is not what was written"):
        merge([FeatureStore.open(tmp_path / "store")], tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
