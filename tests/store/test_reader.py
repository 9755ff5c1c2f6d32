import gc
import json
import multiprocessing
import os
import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gasm_cast.errors import InputError
from gasm_cast.store import FeatureStore, StoredDtype, StoreWriter, difference, fingerprint, provenance
from gasm_cast.store.rows import CAN_READ_AHEAD, ShardFile
from gasm_cast.store.transfer import merge

from .conftest import MOTION, SEMANTIC, clip, describe, write


@pytest.fixture
def store(tmp_path: Path, ids: list[str]) -> FeatureStore:
    write(tmp_path / "store", ids, describe(num_views=2), failures=[ids[5]])
    return FeatureStore.open(tmp_path / "store")


def test_describes_itself(store: FeatureStore) -> None:
    assert store.streams == {"semantic": SEMANTIC, "motion": MOTION}
    assert store.num_views == 2
    assert len(store) == len(store.ids) == 29
    assert store.manifest["num_failures"] == 1
    assert [shard["num_samples"] for shard in store.manifest["shards"]] == [4, 3, 4, 4, 4, 4, 4, 2]


def test_missing_ids_are_named_with_their_reason(store: FeatureStore, ids: list[str]) -> None:
    with pytest.raises(InputError) as refusal:
        store.rows([ids[0], "nowhere", ids[5], "~", ""])
    assert "lacks 4 of 5 ids" in str(refusal.value)
    assert f"'nowhere', '{ids[5]}' (failed: cannot decode {ids[5]}), '~', ''" in str(refusal.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_reads_nothing(store: FeatureStore, dtype: torch.dtype) -> None:
    features = store.read([], dtype=dtype)
    assert features.semantic.shape == (0, SEMANTIC.grid.num_tokens, SEMANTIC.width)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_batches_give_what_was_asked_in_order(
    store: FeatureStore, dtype: torch.dtype, num_threads: int
) -> None:
    generator = np.random.default_rng(0)
    rows = [generator.integers(0, 29, size) for size in (5, 3, 5, 1, 4, 5, 5, 2)]
    views = [generator.integers(0, 2, len(batch)) for batch in rows]
    num_batches = 0
    for batch, of_rows, of_views in zip(
        store.batches(rows, views=views, dtype=dtype, num_threads=num_threads), rows, views, strict=True
    ):
        np.testing.assert_array_equal(batch.rows, of_rows)
        np.testing.assert_array_equal(batch.views, of_views)
        assert batch.features.semantic.dtype == dtype
        assert len(batch.features.motion) == len(of_rows)
        for place, (row, view) in enumerate(zip(of_rows, of_views, strict=True)):
            name = store.ids[row]
            expected = clip(name, "semantic", 2)[view], clip(name, "motion", 2)[view]
            np.testing.assert_array_equal(batch.features.semantic[place].float().numpy(), expected[0])
            np.testing.assert_array_equal(batch.features.motion[place].float().numpy(), expected[1])
        num_batches += 1
    assert num_batches == 8
    assert not list(store.batches([]))


def test_batches_may_be_left_early_and_errors_come_through(store: FeatureStore) -> None:
    rows = [np.arange(4)] * 20
    for batch in store.batches(rows):
        assert len(batch.rows) == 4
        break

    os.truncate(store.path / "shards" / "00001.safetensors", 4200)
    rows[7] = np.arange(8)
    with pytest.raises(InputError, match=r"00001\.safetensors: cut short"):
        list(store.batches(rows))


def slow_down(monkeypatch: pytest.MonkeyPatch, sec: float) -> None:
    """As on a slow disk: every row of each stream takes half of this time."""
    read = ShardFile.read

    def slow(self: ShardFile, name: str, row: int, out: memoryview) -> None:
        time.sleep(sec / 2)
        read(self, name, row, out)

    monkeypatch.setattr(ShardFile, "read", slow)


def test_waiting_is_measured(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [np.arange(4)] * 4
    quick = [batch.wait_sec for batch in store.batches(rows, num_threads=1)]
    slow_down(monkeypatch, 0.02)
    waits = [batch.wait_sec for batch in store.batches(rows, num_threads=1)]
    assert min(waits) > 0.05
    assert np.median(quick) < 0.05


def test_a_slow_consumer_does_not_wait(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, 0.004)
    waits = []
    for batch in store.batches([np.arange(4)] * 6):
        waits.append(batch.wait_sec)
        time.sleep(0.1)  # a training step that takes longer than the read
    assert max(waits[1:]) < 0.01


def test_few_files_stay_open_and_none_is_mapped(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gasm_cast.store.rows.MOST_OPEN_FILES", 2)
    store = FeatureStore.open(store.path)
    folder = store.path.resolve()

    def num_open() -> int:
        links = (os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        return sum(folder in Path(target).parents for target in links)

    for batch in store.batches([np.arange(start, 29, 7) for start in range(7)], num_threads=1):
        expected = clip(store.ids[batch.rows[-1]], "semantic", 2)[0]
        np.testing.assert_array_equal(batch.features.semantic[-1].numpy(), expected)
        assert folder.as_posix() not in Path("/proc/self/maps").read_text()
    assert num_open() == 2
    del store
    gc.collect()
    assert num_open() == 0


def test_a_shard_that_shrinks_while_it_is_open_is_named(store: FeatureStore) -> None:
    store.read_rows(np.arange(4))
    os.truncate(store.path / "shards" / "00000.safetensors", 4200)
    with pytest.raises(InputError, match=r"00000\.safetensors: cut short since the store was opened"):
        store.read_rows(np.arange(4))


def test_batches_of_several_blocks_decode_like_single_rows(
    tmp_path: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "store", ids, describe(dtype="int8"))
    store = FeatureStore.open(tmp_path / "store")
    single = torch.cat([store.read_rows(np.array([row])).semantic for row in range(30)])
    three_rows = 3 * SEMANTIC.grid.num_tokens * SEMANTIC.width * 4
    monkeypatch.setattr("gasm_cast.store.rows.BLOCK_BYTES", three_rows)
    rows = [np.arange(10), np.arange(10, 18), np.arange(0), np.arange(29, 19, -1)]  # cut blocks, and none
    for batch in store.batches(rows):
        assert torch.equal(batch.features.semantic, single[batch.rows])


@pytest.mark.skipif(not CAN_READ_AHEAD, reason="this system cannot be told what to read ahead")
@pytest.mark.parametrize("is_cached", [True, False])
def test_the_kernel_is_told_what_it_lacks(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, is_cached: bool
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(ShardFile, "is_cached", lambda self, row: is_cached)
    monkeypatch.setattr(os, "posix_fadvise", lambda file, start, length, advice: told.append((start, length)))
    rows = [np.array([0, 4, 9, 14, 28]), np.array([20]), np.array([3, 10])]
    assert len(list(store.batches(rows))) == 3
    assert len(told) == (0 if is_cached else 2 * 8)
    view_bytes = {2 * stream.grid.num_tokens * stream.width for stream in (SEMANTIC, MOTION)}
    assert {length for _, length in told} == (set() if is_cached else view_bytes)


@pytest.mark.parametrize("method", ["none", "fork", "spawn"])
def test_worker_processes_read_the_same(store: FeatureStore, method: str) -> None:
    store.read_rows(np.arange(3))  # files are open already when workers start
    dataset: Any = store
    context = None if method == "none" else multiprocessing.get_context(method)
    loader = DataLoader(
        dataset, batch_size=4, num_workers=0 if context is None else 2, multiprocessing_context=context
    )
    loaded = list(loader)
    semantic = torch.cat([batch[0] for batch in loaded])
    motion = torch.cat([batch[1] for batch in loaded])
    expected = store.read(store.ids)
    assert torch.equal(semantic, expected.semantic)
    assert torch.equal(motion, expected.motion)


def test_pickles_as_its_path(tmp_path: Path) -> None:
    names = [f"clip-{number:06d}" for number in range(2000)]
    write(tmp_path / "large", names, samples_per_shard=1000)
    large = FeatureStore.open(tmp_path / "large")
    pickled = pickle.dumps(large)
    assert len(pickled) < 500
    assert pickle.loads(pickled).ids.tolist() == names


def test_what_is_not_a_store_is_refused(tmp_path: Path, store: FeatureStore) -> None:
    with pytest.raises(InputError, match="is not a feature store; `gasm-cast extract` or `import` makes one"):
        FeatureStore.open(tmp_path / "nowhere")
    manifest = store.path / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text[:-30])
    with pytest.raises(InputError, match=r"manifest\.json: damaged"):
        FeatureStore.open(store.path)
    manifest.write_text(json.dumps({**json.loads(text), "format_version": 2}))
    with pytest.raises(InputError, match="not gasm-cast-features version 1, got 2"):
        FeatureStore.open(store.path)
    manifest.write_text(text)
    (store.path / "shards" / "00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"00002\.safetensors: missing, the manifest promises"):
        FeatureStore.open(store.path)


def test_the_fingerprint_is_of_what_made_the_features(tmp_path: Path, ids: list[str]) -> None:
    def opened(name: str, **changes: Any) -> FeatureStore:
        write(tmp_path / name, ids[:3], describe(**changes))
        return FeatureStore.open(tmp_path / name)

    one, half = opened("one"), opened("half", dtype="float32", num_views=2)
    other = opened("other", revision="v2")
    assert one.fingerprint == half.fingerprint != other.fingerprint
    assert difference(one.provenance, half.provenance) is None
    assert difference(one.provenance, other.provenance) == (
        "streams.semantic.backbone.revision: 'v1' against 'v2'"
    )
    assert fingerprint(provenance(one.manifest)) == one.fingerprint == one.manifest["fingerprint"]


def test_weights_count_by_their_content_not_by_their_name(tmp_path: Path, ids: list[str]) -> None:
    def opened(name: str, ids: list[str], **weights: str) -> FeatureStore:
        description = describe()
        made_by = {"name": "seer", "layer": "last", **weights}
        semantic = replace(description.semantic, backbone=made_by)
        write(tmp_path / name, ids, replace(description, semantic=semantic))
        return FeatureStore.open(tmp_path / name)

    hub = opened("hub", ids[:3], weights="somebody/seer", revision="v1", sha256="5d41")
    file = opened("file", ids[3:5], weights="seer.pt", sha256="5d41")
    other = opened("other", ids[5:7], weights="somebody/seer", revision="v1", sha256="7d79")
    assert hub.fingerprint == file.fingerprint != other.fingerprint
    assert difference(hub.provenance, file.provenance) is None
    assert difference(hub.provenance, other.provenance) == (
        "streams.semantic.backbone.sha256: '5d41' against '7d79'"
    )
    assert hub.provenance["streams"]["semantic"]["backbone"]["weights"] == "somebody/seer"
    merge([hub, file], tmp_path / "merged")
    assert FeatureStore.open(tmp_path / "merged").fingerprint == hub.fingerprint


def test_difference_names_the_first_place() -> None:
    a = {"streams": {"semantic": {"grid": [1, 14, 14]}}, "preprocessing": {}}
    assert difference(a, {**a, "streams": {"semantic": {"grid": [1, 16, 16]}}}) == (
        "streams.semantic.grid: [1, 14, 14] against [1, 16, 16]"
    )
    assert difference(a, {**a, "preprocessing": {"crop": "centre"}}) == (
        "preprocessing.crop: 'centre' in the second only"
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int8"])
def test_every_stored_dtype_reads_as_any_other(tmp_path: Path, ids: list[str], dtype: StoredDtype) -> None:
    write(tmp_path / "store", ids, describe(dtype=dtype))
    store = FeatureStore.open(tmp_path / "store")
    exact = clip(ids[9], "semantic")[0]
    step = {"float16": 0, "float32": 0, "bfloat16": 2**-8, "int8": 2**-5}[dtype]
    for wanted in (torch.float32, torch.float16, torch.bfloat16):
        read = store.read([ids[9]], dtype=wanted).semantic[0]
        assert read.dtype == wanted
        coarse = max(step, 2**-8 if wanted == torch.bfloat16 else 0)
        np.testing.assert_allclose(read.float().numpy(), exact, atol=4 * coarse, rtol=coarse)


def test_a_store_is_written_and_opened_by_a_path_as_text(tmp_path: Path) -> None:
    path = str(tmp_path / "text")
    with StoreWriter(path, describe(), asked=["a"]) as writer:
        writer.add("a", clip("a", "semantic"), clip("a", "motion"))
    assert FeatureStore.open(path).path == Path(path)
    with pytest.raises(InputError, match="nothing is not a feature store"):
        FeatureStore.open("nothing")


def test_an_id_that_is_no_list_is_refused(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids)
    with pytest.raises(InputError, match=rf"ids are a list, got the text '{ids[0]}'; for one clip \['"):
        FeatureStore.open(tmp_path / "store").read(ids[0])
