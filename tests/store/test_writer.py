import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from gasm_cast.errors import InputError
from gasm_cast.geometry import adjacency
from gasm_cast.store import FeatureStore, StoredDtype, StoreWriter

from .conftest import MOTION, SEMANTIC, clip, contents, describe, write


def test_stores_what_it_was_given_in_the_order_asked(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids, failures=ids[3:5])
    store = FeatureStore.open(tmp_path / "store")

    kept = ids[:3] + ids[5:]
    assert store.ids.tolist() == kept
    assert len(store) == 28
    assert store.failures == {ids[3]: f"cannot decode {ids[3]}", ids[4]: f"cannot decode {ids[4]}"}
    asked = kept[::-3]
    features = store.read(asked)
    assert features.semantic.dtype == torch.float32
    for place, name in enumerate(asked):
        np.testing.assert_array_equal(features.semantic[place].numpy(), clip(name, "semantic")[0])
        np.testing.assert_array_equal(features.motion[place].numpy(), clip(name, "motion")[0])


def test_each_view_is_its_own(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids, describe(num_views=3))
    store = FeatureStore.open(tmp_path / "store")
    for view in range(3):
        features = store.read(ids[:7], view)
        np.testing.assert_array_equal(features.motion[6].numpy(), clip(ids[6], "motion", 3)[view])
    with pytest.raises(InputError, match="holds 3 views a clip, got view 3"):
        store.read(ids[:1], view=3)


def test_a_shard_without_any_features_is_still_done(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids, failures=ids[4:8])
    assert len(FeatureStore.open(tmp_path / "store")) == 26


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_a_store_of_failures_only_opens(tmp_path: Path, ids: list[str], dtype: StoredDtype) -> None:
    write(tmp_path / "store", ids, describe(dtype=dtype), failures=ids)
    store = FeatureStore.open(tmp_path / "store")
    assert len(store) == 0
    with pytest.raises(InputError, match=rf"lacks 1 of 1 ids: '{ids[0]}' \(failed: cannot decode"):
        store.read(ids[:1])


@pytest.mark.parametrize("stop_after", [0, 3, 4, 17, 29])
def test_resumed_equals_uninterrupted(tmp_path: Path, ids: list[str], stop_after: int) -> None:
    write(tmp_path / "whole", ids, failures=ids[9:11])
    first = write(tmp_path / "parts", ids, failures=ids[9:11], stop_after=stop_after)
    assert not first.is_complete
    with pytest.raises(InputError, match=r"not a feature store|not complete"):
        FeatureStore.open(tmp_path / "parts")

    second = write(tmp_path / "parts", ids, failures=ids[9:11])
    assert second.is_complete
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_two_processes_equal_one(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "one", ids, failures=ids[9:11])
    writers = [write(tmp_path / "two", ids, failures=ids[9:11], rank=r, world_size=2) for r in (1, 0)]
    assert not writers[0].todo
    assert writers[1].is_complete
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_clips_may_come_in_any_order(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "ordered", ids)
    with StoreWriter(tmp_path / "mixed", describe(), asked=ids, samples_per_shard=4) as writer:
        for name in sorted(writer.todo):
            writer.add(name, clip(name, "semantic")[0], torch.from_numpy(clip(name, "motion")[0]))
    assert contents(tmp_path / "mixed") == contents(tmp_path / "ordered")


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from store.conftest import clip, describe
from gasm_cast.store import StoreWriter
ids = sys.argv[3].split()
with StoreWriter(Path(sys.argv[2]), describe(), asked=ids, samples_per_shard=4) as writer:
    for name in writer.todo:
        writer.add(name, clip(name, "semantic"), clip(name, "motion"))
        time.sleep(0.01)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_any_time_it_goes_on_to_the_same_store(
    tmp_path: Path, ids: list[str], how: signal.Signals
) -> None:
    write(tmp_path / "whole", ids)
    path = tmp_path / "killed"
    arguments = [sys.executable, "-c", KILLED, str(Path(__file__).parents[1]), str(path), " ".join(ids)]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        while not (path / "shards" / "00002.safetensors").exists():
            time.sleep(0.005)
        process.send_signal(how)
    assert process.returncode != 0
    (path / "shards" / ".00009.1.partial.safetensors").write_bytes(b"of a killed writer")
    with pytest.raises(InputError, match="not complete: the writing was interrupted; run the same command"):
        FeatureStore.open(path)

    write(path, ids)
    assert contents(path) == contents(tmp_path / "whole")


def test_an_exception_leaves_no_complete_store(tmp_path: Path, ids: list[str]) -> None:
    def interrupted() -> None:
        with StoreWriter(tmp_path / "store", describe(), asked=ids, samples_per_shard=4) as writer:
            for name in writer.todo:
                writer.add(name, clip(name, "semantic"), clip(name, "motion"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert not (tmp_path / "store" / "manifest.json").exists()
    assert not (tmp_path / "store" / "index.safetensors").exists()


def test_a_shard_that_was_cut_short_is_written_again(tmp_path: Path, ids: list[str]) -> None:
    path = tmp_path / "store"
    write(path, ids)
    whole = contents(path)
    os.truncate(path / "shards" / "00001.safetensors", 5000)
    with pytest.raises(InputError, match=r"00001\.safetensors: 5000 bytes, the manifest promises"):
        FeatureStore.open(path)
    with StoreWriter(path, describe(), asked=ids, samples_per_shard=4) as writer:
        assert writer.todo == tuple(ids[4:8])
        for name in writer.todo:
            writer.add(name, clip(name, "semantic"), clip(name, "motion"))
    assert contents(path) == whole


def test_other_features_are_refused_by_name(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids)
    with pytest.raises(InputError, match=r"streams\.semantic\.backbone\.revision: 'v1' against 'v2'"):
        write(tmp_path / "store", ids, describe(revision="v2"))
    with pytest.raises(InputError, match="dtype: 'float16' against 'int8'"):
        write(tmp_path / "store", ids, describe(dtype="int8"))
    before = contents(tmp_path / "store")
    with pytest.raises(InputError, match=rf"holds 26 clips that are not asked for now, '{ids[4]}' for one"):
        write(tmp_path / "store", ids[:4])
    assert contents(tmp_path / "store") == before


@pytest.mark.parametrize("dtype", ["float16", "int8"])
@pytest.mark.parametrize("stop_after", [2, 6])
def test_what_was_kept_of_a_shard_is_taken_up(
    tmp_path: Path, ids: list[str], stop_after: int, dtype: StoredDtype
) -> None:
    description = describe(num_views=2, dtype=dtype)
    path = tmp_path / "parts"

    def interrupted() -> None:
        with StoreWriter(path, description, asked=ids, samples_per_shard=4) as writer:
            for number, name in enumerate(writer.todo):
                if number == 1:
                    writer.fail(name, f"cannot decode {name}")
                else:
                    writer.add(name, clip(name, "semantic", 2), clip(name, "motion", 2))
                if number + 1 == stop_after:
                    writer.keep()
                elif number == stop_after:  # of a batch that was not whole
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    writer = StoreWriter(path, description, asked=ids, samples_per_shard=4)
    assert writer.num_kept == stop_after
    assert writer.todo == tuple(ids[stop_after:])
    write(path, ids, description, failures=ids[1:2])
    write(tmp_path / "whole", ids, description, failures=ids[1:2])
    assert contents(path) == contents(tmp_path / "whole")


def test_what_was_kept_is_taken_up_among_other_ids(tmp_path: Path, ids: list[str]) -> None:
    with StoreWriter(tmp_path / "store", describe(), asked=ids[:8], samples_per_shard=8) as writer:
        for name in ids[1:5]:
            writer.add(name, clip(name, "semantic"), clip(name, "motion"))
        writer.keep()
    asked = [*ids[1:3], ids[20], *ids[3:5]]  # one is new, and some are asked for no more
    with StoreWriter(tmp_path / "store", describe(), asked=asked, samples_per_shard=3) as writer:
        assert writer.todo == (ids[20],)  # the second shard is full already
        writer.add(ids[20], clip(ids[20], "semantic"), clip(ids[20], "motion"))
    write(tmp_path / "whole", asked, samples_per_shard=3)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_a_slow_shard_is_saved_meanwhile_for_a_process_that_is_killed(
    tmp_path: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    killed = StoreWriter(path, describe(), asked=ids, samples_per_shard=4)
    for name in ids[:3]:
        killed.add(name, clip(name, "semantic"), clip(name, "motion"))
        killed.keep()
    assert not contents(path)
    monkeypatch.setattr("gasm_cast.store.writer.SAVE_SEC", 0)
    killed.keep()
    (begun,) = (path / "shards").iterdir()
    assert StoreWriter(path, describe(), asked=ids, samples_per_shard=4).todo == tuple(ids[3:])

    raw = bytearray(begun.read_bytes())
    raw[-1] ^= 1
    begun.write_bytes(raw)
    assert StoreWriter(path, describe(), asked=ids, samples_per_shard=4).todo == tuple(ids)
    write(path, ids)
    write(tmp_path / "whole", ids)
    assert contents(path) == contents(tmp_path / "whole")


def test_ids_are_added_in_shards_of_their_own(tmp_path: Path, ids: list[str]) -> None:
    path = tmp_path / "store"
    write(path, ids[::2], failures=ids[4:5])  # fifteen clips: the last shard is not full
    before = {name: raw for name, raw in contents(path).items() if name.startswith("shards/")}
    writer = write(path, ids, stop_after=5)
    assert not writer.is_complete
    writers = [write(path, ids, rank=rank, world_size=2) for rank in (1, 0)]
    assert writers[1].is_complete
    after = contents(path)
    assert before.items() <= after.items()
    store = FeatureStore.open(path)
    assert store.ids.tolist() == [name for name in ids[::2] if name != ids[4]] + ids[1::2]
    assert store.failures == {ids[4]: f"cannot decode {ids[4]}"}
    for name in ids[1], ids[2], ids[29]:
        np.testing.assert_array_equal(store.read([name]).motion[0].numpy(), clip(name, "motion")[0])
    write(path, ids)  # nothing left to do
    assert contents(path) == after


def test_a_folder_of_something_else_is_refused(tmp_path: Path, ids: list[str]) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="exists and is not a feature store"):
        write(tmp_path, ids)
    assert list(contents(tmp_path)) == ["thesis.tex"]


def test_a_store_that_lost_its_shards_is_told_from_something_else(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids)
    shutil.rmtree(tmp_path / "store" / "shards")
    with pytest.raises(InputError, match="is a feature store without its folder `shards`; put that back"):
        write(tmp_path / "store", ids)


def test_asked_ids_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="id 'b' is asked for twice"):
        write(tmp_path / "store", ["a", "b", "c", "b"])
    with pytest.raises(InputError, match="no ids are asked for"):
        write(tmp_path / "store", [])
    with StoreWriter(tmp_path / "store", describe(), asked=["a", "b"]) as writer:
        writer.fail("a", "broken")
        with pytest.raises(InputError, match="'a' is already there"):
            writer.fail("a", "broken")
        with pytest.raises(InputError, match="'z' was not asked for"):
            writer.fail("z", "broken")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(tmp_path: Path, bad: float) -> None:
    semantic, motion = clip("a", "semantic"), clip("a", "motion")
    motion[0, 2, 3] = bad
    with StoreWriter(tmp_path / "store", describe(), asked=["a", "b"]) as writer:
        with pytest.raises(InputError, match="id 'a': the motion stream holds NaN or infinity") as refusal:
            writer.add("a", semantic, motion)
        writer.fail("a", str(refusal.value))
        writer.add("b", clip("b", "semantic"), clip("b", "motion"))
    store = FeatureStore.open(tmp_path / "store")
    assert store.ids.tolist() == ["b"]
    assert "NaN" in store.failures["a"]


def test_what_half_precision_does_not_hold_is_refused(tmp_path: Path) -> None:
    semantic, motion = clip("a", "semantic"), clip("a", "motion")
    semantic[0, 0, 0] = -70_000
    with (
        StoreWriter(tmp_path / "half", describe(), asked=["a"]) as writer,
        pytest.raises(InputError, match=r"reaches 70000, more than float16 holds .*; store as bfloat16"),
    ):
        writer.add("a", semantic, motion)
    for dtype in ("bfloat16", "float32"):
        with StoreWriter(tmp_path / dtype, describe(dtype=dtype), asked=["a"]) as writer:
            writer.add("a", semantic, motion)
        assert FeatureStore.open(tmp_path / dtype).read(["a"]).semantic.min() <= -69_888


def test_shapes_and_dtypes_are_checked(tmp_path: Path) -> None:
    semantic, motion = clip("a", "semantic"), clip("a", "motion")
    with StoreWriter(tmp_path / "store", describe(), asked=["a"]) as writer:
        with pytest.raises(InputError, match=r"semantic stream has the shape \[1, 20, 12\], the store needs"):
            writer.add("a", semantic.swapaxes(1, 2), motion)
        with pytest.raises(InputError, match=r"motion stream is torch\.int64, not floating point"):
            writer.add("a", semantic, motion.astype(np.int64))


def test_a_full_disk_is_one_line(tmp_path: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"00000\.safetensors: cannot write: No space left on device"):
        write(tmp_path / "store", ids)
    assert not contents(tmp_path / "store")


def test_geometry_lies_beside_the_features(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids)
    arrays = load_file(tmp_path / "store" / "geometry.safetensors")
    assert arrays["semantic_positions"].shape == (SEMANTIC.grid.num_tokens, 3)
    np.testing.assert_allclose(arrays["semantic_positions"][-1], [0.5, 2.5 / 3, 3.5 / 4])
    assert arrays["motion_positions"].shape == (MOTION.grid.num_tokens, 3)
    np.testing.assert_allclose(arrays["motion_positions"][0], [0.1, 0.5, 0.5])
    for stream, spec in (("semantic", SEMANTIC), ("motion", MOTION)):
        pairs = arrays[f"{stream}_adjacency"]
        touching = np.zeros((spec.grid.num_tokens,) * 2, dtype=bool)
        touching[tuple(pairs.T)] = True
        np.testing.assert_array_equal(touching, adjacency(spec.grid))
