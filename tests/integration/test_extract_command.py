"""What a person sees of `gasm-cast extract`."""

import json
from pathlib import Path

import pytest
from tests.extraction.conftest import write_clip

from gasm_cast.cli import main
from gasm_cast.store import FeatureStore


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for index in range(3):
        write_clip(folder / f"{index}.webm", index)
    return folder


def extract(videos: Path, store: Path, *arguments: str) -> int:
    return main(["extract", str(videos), "--out", str(store), "--semantic-frames", "middle", *arguments])


def test_a_dry_run_tells_and_writes_nothing(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(videos, tmp_path / "store", "--dry-run", "--crops", "three", "--views", "2") == 0
    told = capsys.readouterr().out
    assert "clips   3, 0 of them without a file; 6 view(s) each" in told
    assert "semantic [196, 768], motion [8, 512]" in told
    assert f"store   {3 * 6 * 2 * (196 * 768 + 8 * 512) / 1e6:.1f} MB" in told
    assert "time    about 0:0" in told
    assert not (tmp_path / "store").exists()


def test_counts_add_up_and_limits_hold(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, counts = tmp_path / "store", tmp_path / "counts.json"
    assert extract(videos, store, "--limit", "2", "--crops", "squash", "--json", str(counts)) == 0
    assert "asked 2 = stored 2 + failed 0" in capsys.readouterr().out
    content = json.loads(counts.read_text())
    assert (content["asked"], content["stored"], content["failed"]) == (2, 2, 0)
    assert sum(content["shares"].values()) == pytest.approx(1)
    made_by = FeatureStore.open(store).manifest
    assert made_by["preprocessing"]["crops"] == "squash"
    assert made_by["streams"]["semantic"]["backbone"]["semantic_frames"] == "middle"
    assert extract(videos, store, "--limit", "2", "--crops", "squash") == 0  # nothing left to do


def test_a_limit_below_0_is_refused(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        extract(videos, tmp_path / "store", "--limit", "-1")
    assert not (tmp_path / "store").exists()


def test_a_store_of_other_features_is_left_alone(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(videos, tmp_path / "store", "--limit", "1") == 0
    before = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert extract(videos, tmp_path / "store", "--limit", "1", "--crops", "squash") == 2
    error = capsys.readouterr().err
    assert "preprocessing.crops" in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in before} == before
