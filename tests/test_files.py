import errno
from pathlib import Path

import pytest

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_folder, atomic_path, write_text


def test_success_leaves_only_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "grüße")
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "grüße"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"a\.txt: cannot write: No space left"),
        atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "a").read_text() == "1"
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "other") as temporary:
        (temporary / "a").write_text("1")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_filled_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("precious")
    with pytest.raises(InputError, match="exists and is not empty"), atomic_folder(tmp_path):
        pass
    assert (tmp_path / "kept").read_text() == "precious"
