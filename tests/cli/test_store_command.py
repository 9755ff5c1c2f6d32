import json
from pathlib import Path

import numpy as np
import pytest

from gasm_cast.cli import main
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.store import FeatureStore, StoreDescription, StoreWriter, StreamDescription

IDS = [f"clip-{number}" for number in range(9)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    description = StoreDescription(
        StreamDescription(StreamSpec(Grid(1, 2, 2), 6), {"name": "seer"}),
        StreamDescription(StreamSpec(Grid(3, 1, 1), 4), {"name": "mover"}),
    )
    generator = np.random.default_rng(0)
    with StoreWriter(tmp_path / "store", description, asked=IDS, samples_per_shard=4) as writer:
        writer.fail(IDS[0], "no frames")
        for name in writer.todo:
            writer.add(name, generator.standard_normal((4, 6)), generator.standard_normal((3, 4)))
    return tmp_path / "store"


def test_info_tells_what_is_there(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "info", str(store), "--json", str(store.parent / "info.json")]) == 0
    text = capsys.readouterr().out
    assert "8 stored, 1 failed" in text
    assert "4 tokens (1x2x2) x 6; name seer" in text
    assert "clip-0: no frames" in text
    summary = json.loads((store.parent / "info.json").read_text())
    assert summary["num_samples"] == 8
    assert summary["streams"]["motion"]["grid"] == "3x1x1"
    assert 0 < summary["int8"]["relative_error"]["semantic"] < 0.01


def test_json_on_standard_output_has_no_other_lines(
    store: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    assert main(["store", "info", str(store), "--json", "-"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["num_samples"] == 8
    assert "8 stored, 1 failed" in printed.err
    assert list(store.parent.iterdir()) == [store]


def test_verify_names_what_is_damaged(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "verify", str(store)]) == 0
    shard = store / "shards" / "00001.safetensors"
    raw = bytearray(shard.read_bytes())
    raw[-5] ^= 16
    shard.write_bytes(raw)
    assert main(["store", "verify", str(store), "--json", str(store.parent / "found.json")]) == 1
    assert "shards/00001.safetensors: " in capsys.readouterr().out
    assert list(json.loads((store.parent / "found.json").read_text())["problems"]) == [
        "shards/00001.safetensors"
    ]


def test_export_import_and_merge_lead_back(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = store.parent
    assert main(["store", "export", str(store), "--out", str(folder / "files"), "--form", "h5"]) == 0
    files = [str(folder / "files" / f"{stream}.h5") for stream in ("semantic", "motion")]
    assert ", ".join(files) in capsys.readouterr().out
    options = ["--semantic-grid", "2x2", "--motion-grid", "3"]
    assert main(["import", *files, "--out", str(folder / "back"), *options]) == 0
    assert "8 ids: 8 stored, 0 refused" in capsys.readouterr().out

    (folder / "some.txt").write_text("clip-3\nclip-0\n\nclip-8\n", encoding="utf-8-sig")
    (folder / "others.txt").write_text("".join(f"clip-{number}\n" for number in (1, 2, 4, 5, 6, 7)))
    for name in ("some", "others"):
        arguments = ["--ids", str(folder / f"{name}.txt"), "--out", str(folder / name)]
        assert main(["store", "subset", str(store), *arguments]) == 0
    merged = str(folder / "merged")
    assert main(["store", "merge", str(folder / "some"), str(folder / "others"), "--out", merged]) == 0
    a, b = FeatureStore.open(store), FeatureStore.open(Path(merged))
    assert sorted(b.ids) == sorted(a.ids)
    assert b.failures == a.failures
    c = FeatureStore.open(folder / "back")
    for ids in (a.ids,):
        np.testing.assert_array_equal(a.read(ids).semantic.numpy(), b.read(ids).semantic.numpy())
        np.testing.assert_array_equal(a.read(ids).motion.numpy(), c.read(ids).motion.numpy())


def test_bad_input_is_one_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["info", str(store.parent)],
        ["verify", str(store.parent)],
        ["export", str(store), "--out", str(store)],
        ["subset", str(store), "--ids", str(store.parent / "nowhere.txt"), "--out", str(store.parent / "x")],
    ):
        assert main(["store", *arguments]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
