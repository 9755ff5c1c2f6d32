import errno
import os
from pathlib import Path
from typing import Any

import pytest

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_folder, atomic_path, is_partial, write_text


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


@pytest.mark.parametrize("atomic", [atomic_path, atomic_folder])
def test_full_disk_is_one_clear_line(tmp_path: Path, atomic: Any) -> None:
    with (
        pytest.raises(InputError, match=r"a\.txt: cannot write: No space left"),
        atomic(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_errors_that_are_not_of_this_file_pass(tmp_path: Path) -> None:
    for atomic in (atomic_path, atomic_folder):
        with pytest.raises(FileNotFoundError, match="missing"), atomic(tmp_path / "a.txt"):
            (tmp_path / "missing.csv").read_text()
    assert list(tmp_path.iterdir()) == []


def test_the_remedy_is_that_of_the_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write: Is a directory; choose another place"):
        write_text(tmp_path, "x")
    with pytest.raises(InputError, match="No space left on device; free space"), atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "full")


def test_what_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for atomic in (atomic_path, atomic_folder):
        with pytest.raises(InputError, match="a: cannot write: "), atomic(tmp_path / "file" / "a"):
            pass
    with pytest.raises(InputError, match="cannot write: File name too long"):
        write_text(tmp_path / f"{'a' * 250}.txt", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_path(path) as one, atomic_path(path) as two:  # as two containers with equal process ids
        one.write_text("one")
        two.write_text("two")
        assert one.read_text() == "one"
        assert is_partial(one)
        assert is_partial(two)
    assert path.read_text() == "one"
    assert not is_partial(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link.txt").symlink_to("target/a.txt")
    for text in ("new", "newer"):
        write_text(tmp_path / "link.txt", text)
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "target" / "a.txt").read_text() == text
    assert len(list(tmp_path.rglob("*"))) == 3


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "x")
        assert os.read(reader, 10) == b"x"
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]
    assert pipe.is_fifo()


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


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


def test_a_folder_is_replaced_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(path, replace=True) as temporary:
        (temporary / "new").write_text("2")
        raise RuntimeError
    assert [inner.name for inner in path.iterdir()] == ["old"]
    with atomic_folder(path, replace=True) as temporary:
        (temporary / "new").write_text("2")
        assert (path / "old").read_text() == "1"
    assert [inner.name for inner in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]
