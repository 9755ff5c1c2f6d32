import json
from pathlib import Path

import numpy as np
import pytest

from gasm_cast.cli import main
from gasm_cast.store import FeatureStore


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    generator = np.random.default_rng(0)
    for stream, shape in (("semantic", (197, 16)), ("motion", (8, 12))):
        (tmp_path / stream).mkdir()
        for name in generator.permutation(7):
            array = generator.standard_normal(shape).astype(np.float16)
            np.save(tmp_path / stream / f"{name}.npy", array)
    return ["import", str(tmp_path / "semantic"), str(tmp_path / "motion"), "--out", str(tmp_path / "store")]


def test_a_plain_import(tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--semantic-backbone", "dinov2-base", "--motion-backbone", "i3d"]
    assert main([*arguments, "--semantic-drop-tokens", "cls", *named]) == 0
    text = capsys.readouterr().out
    assert "7 ids: 7 stored, 0 refused, 0 without motion, 0 without semantic features" in text
    assert "note:" not in text
    store = FeatureStore.open(tmp_path / "store")
    assert store.manifest["streams"]["semantic"]["backbone"] == {"name": "dinov2-base", "origin": "imported"}
    expected = np.load(tmp_path / "semantic" / "3.npy")[1:].astype(np.float32)
    np.testing.assert_array_equal(store.read(["3"]).semantic[0].numpy(), expected)


def test_special_tokens_are_never_dropped_unasked(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert error.strip().endswith("leave them out with --semantic-drop-tokens cls")
    assert not (tmp_path / "store").exists()


def test_counts_add_up_and_failures_are_listed(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "motion" / "1.npy").unlink()
    (tmp_path / "semantic" / "2.npy").unlink()
    (tmp_path / "semantic" / "notes.txt").touch()
    np.save(tmp_path / "motion" / "4.npy", np.full((8, 12), np.inf, np.float16))
    options = ["--semantic-drop-tokens", "cls", "--json", str(tmp_path / "counts.json")]
    assert main([*arguments, *options]) == 1
    captured = capsys.readouterr()
    assert "refused 4: motion/4.npy: holds NaN or infinity" in captured.err
    counts = json.loads((tmp_path / "counts.json").read_text())
    parts = ("stored", "refused", "without_motion", "without_semantic")
    assert {name: counts[name] for name in ("asked", *parts, "passed_over")} == {
        "asked": 7,
        "stored": 4,
        "refused": 1,
        "without_motion": 1,
        "without_semantic": 1,
        "passed_over": 1,
    }
    assert sorted(counts["failures"]) == ["1", "2", "4"]
    assert dict(FeatureStore.open(tmp_path / "store").failures) == counts["failures"]


def test_strict_writes_nothing(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "motion" / "1.npy").unlink()
    assert main([*arguments, "--semantic-drop-tokens", "cls", "--strict"]) == 2
    assert "--strict: 1 ids are refused, the first '1': no motion features" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["motion", "semantic"]
    np.save(tmp_path / "motion" / "1.npy", np.zeros((8, 12), np.float16))
    assert main([*arguments, "--semantic-drop-tokens", "cls", "--strict"]) == 0
    assert len(FeatureStore.open(tmp_path / "store")) == 7


def test_ids_that_were_refused_are_done_again_where_that_is_asked_for(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments += ["--semantic-drop-tokens", "cls", "--json", str(tmp_path / "counts.json")]
    np.save(tmp_path / "motion" / "4.npy", np.full((8, 12), np.nan, np.float16))
    assert main(arguments) == 1
    assert "the same call with --retry-failed does them again" in capsys.readouterr().err
    np.save(tmp_path / "motion" / "4.npy", np.ones((8, 12), np.float16))
    assert main(arguments) == 1
    assert "7 ids were there before and were not read again" in capsys.readouterr().out
    assert main([*arguments, "--retry-failed"]) == 0
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["asked"], counts["earlier"], counts["stored"]) == (7, 0, 7)


def test_what_failed_may_be_taken_away(tmp_path: Path, arguments: list[str]) -> None:
    arguments += ["--semantic-drop-tokens", "cls", "--json", str(tmp_path / "counts.json")]
    (tmp_path / "motion" / "4.npy").unlink()
    assert main(arguments) == 1
    (tmp_path / "semantic" / "4.npy").unlink()
    assert main(arguments) == 0
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["asked"], counts["stored"], counts["failures"]) == (6, 6, {})


def test_ids_that_came_later_are_added(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments += ["--semantic-drop-tokens", "cls"]
    assert main(arguments) == 0
    np.save(tmp_path / "semantic" / "0a.npy", np.ones((197, 16), np.float16))
    np.save(tmp_path / "motion" / "0a.npy", np.ones((8, 12), np.float16))
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "8 ids: 8 stored" in text
    assert "7 ids were there before" in text
    assert FeatureStore.open(tmp_path / "store").ids.tolist() == ["0", "1", "2", "3", "4", "5", "6", "0a"]
