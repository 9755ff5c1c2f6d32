import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from gasm_cast.errors import InputError
from gasm_cast.store import FeatureStore, StoreWriter
from gasm_cast.store.shards import read_shard, write_shard
from gasm_cast.store.verification import verify

from .conftest import clip, describe, write


@pytest.fixture
def path(tmp_path: Path, ids: list[str]) -> Path:
    write(tmp_path / "store", ids, failures=ids[:1])
    return tmp_path / "store"


def problems(path: Path) -> dict[str, str]:
    return {checked.file: checked.problem for checked in verify(path) if checked.problem is not None}


def test_a_whole_store_has_no_problem(path: Path) -> None:
    assert [checked.file for checked in verify(path)] == [
        "manifest.json",
        "index.safetensors",
        "geometry.safetensors",
        "failures.jsonl",
        *(f"shards/{number:05d}.safetensors" for number in range(8)),
    ]
    assert not problems(path)


def test_any_flipped_byte_is_found_and_named(path: Path) -> None:
    generator = np.random.default_rng(0)
    for file in sorted(path.rglob("*.*")):
        if file.is_dir() or file.name == "manifest.json":
            continue
        raw = file.read_bytes()
        places = {0, 5, len(raw) - 1, *generator.integers(0, len(raw), 12).tolist()} if raw else set()
        for place in places:
            damaged = bytearray(raw)
            damaged[place] ^= 1 << int(generator.integers(8))
            file.write_bytes(damaged)
            assert file.relative_to(path).as_posix() in problems(path), place
        file.write_bytes(raw)
    assert not problems(path)


def test_a_store_of_the_time_when_names_of_weights_counted_is_whole(tmp_path: Path, ids: list[str]) -> None:
    description = describe()
    made_by = {"name": "seer", "weights": "seer.pt", "revision": None, "sha256": "5d41"}
    semantic = replace(description.semantic, backbone=made_by)
    write(tmp_path / "store", ids[:3], replace(description, semantic=semantic))
    values = json.loads((tmp_path / "store" / "manifest.json").read_text())
    assert values["fingerprint"] == "4ca7b11fc78e8b7e"
    (tmp_path / "store" / "manifest.json").write_text(
        json.dumps({**values, "fingerprint": "07d5122ce3089f5e"})
    )
    assert not problems(tmp_path / "store")
    assert FeatureStore.open(tmp_path / "store").fingerprint == "4ca7b11fc78e8b7e"


def test_a_changed_description_is_found(path: Path) -> None:
    text = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(text.replace("seer", "seen"))
    assert "fingerprint" in problems(path)["manifest.json"]
    (path / "manifest.json").write_text(text.replace('"num_samples": 29', '"num_samples": 28'))
    assert problems(path)["manifest.json"] == "the shards hold 29 clips, 28 are promised"


def test_a_shard_cut_short_lost_or_put_in_is_found(path: Path) -> None:
    os.truncate(path / "shards" / "00003.safetensors", 6000)
    (path / "shards" / "00005.safetensors").unlink()
    (path / "shards" / "copy.safetensors").touch()
    found = problems(path)
    assert sorted(found) == [f"shards/{name}.safetensors" for name in ("00003", "00005", "copy")]
    assert "cut short: 6000 bytes" in found["shards/00003.safetensors"]
    assert "No such file" in found["shards/00005.safetensors"]
    with pytest.raises(InputError, match=r"00003\.safetensors: 6000 bytes, the manifest promises"):
        FeatureStore.open(path)


def test_shards_that_changed_places_are_found(path: Path) -> None:
    a, b = path / "shards" / "00002.safetensors", path / "shards" / "00003.safetensors"
    a.rename(path / "other")
    b.rename(a)
    (path / "other").rename(b)
    assert sorted(problems(path)) == ["shards/00002.safetensors", "shards/00003.safetensors"]


def test_an_interrupted_store_is_checked_as_far_as_it_goes(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids, stop_after=9)
    assert "interrupted; run the same command again" in problems(tmp_path / "store")["manifest.json"]
    damaged = tmp_path / "store" / "shards" / "00001.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert "checksum" in problems(tmp_path / "store")["shards/00001.safetensors"]
    with pytest.raises(InputError, match="not a feature store: it has no shards"):
        list(verify(tmp_path))


def test_what_is_not_finite_is_found_even_with_a_right_checksum(path: Path) -> None:
    """Such a shard cannot come from the writer; somebody else's program might make one."""
    file = path / "shards" / "00007.safetensors"
    shard = read_shard(file)
    with safe_open(file, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in shard.tensors}
    tensors["motion"][0, 0, 0] = torch.inf
    write_shard(file, tensors, description=shard.description, asked=shard.asked, failed={}, relative_error={})
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["shards"][7]["header_sha256"] = read_shard(file).header_sha256
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert problems(path) == {"shards/00007.safetensors": "motion holds NaN or infinity"}


def test_a_flipped_byte_of_int8_is_found(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", describe(dtype="int8"), asked=["a"]) as writer:
        writer.add("a", clip("a", "semantic"), clip("a", "motion"))
    file = tmp_path / "store" / "shards" / "00000.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-3] ^= 4
    file.write_bytes(raw)
    assert "checksum" in problems(tmp_path / "store")["shards/00000.safetensors"]
