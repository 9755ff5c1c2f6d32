"""Which clips are asked for, and under which ids."""

from pathlib import Path

import numpy as np
import pytest

from gasm_cast.annotations import ClipTable
from gasm_cast.errors import InputError
from gasm_cast.extraction.reading import Source
from gasm_cast.extraction.sources import find_sources, sources_in_folder, sources_of_tables


def table(split: str, paths: dict[str, Path | None]) -> ClipTable:
    labels = np.zeros(len(paths), np.int64)
    return ClipTable(tuple(paths), labels, tuple(paths.values()), ("Doing something",), split)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_names_clips_by_their_path_without_ending(tmp_path: Path) -> None:
    touch(tmp_path, "b.webm", "a/2.mp4", "a/10.MKV", "a/notes.txt", ".hidden.mp4")
    sources = sources_in_folder(tmp_path)
    assert {source.name: source.path for source in sources} == {
        "a/2": tmp_path / "a/2.mp4",
        "a/10": tmp_path / "a/10.MKV",
        "b": tmp_path / "b.webm",
    }
    assert sources == find_sources(tmp_path)


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.webm", "a.mp4", "b.mp4", "b.mkv")
    with pytest.raises(InputError, match=r"files share 2 id\(s\): a.mp4 and a.webm would both be 'a'"):
        sources_in_folder(tmp_path)


def test_splits_are_taken_in_order_and_each_clip_once() -> None:
    train = table("train", {"1": Path("1.webm"), "2": None})
    test = table("test", {"2": None, "3": Path("3.webm")})
    assert sources_of_tables([train, test]) == [
        Source("1", Path("1.webm")),
        Source("2", None),
        Source("3", Path("3.webm")),
    ]
    with pytest.raises(InputError, match=r"id '1' stands for 1\.webm and, in split 'val', for other\.webm"):
        sources_of_tables([train, table("val", {"1": Path("other.webm")})])


def test_lists_and_folders_per_class(tmp_path: Path) -> None:
    touch(tmp_path, "videos/x/1.webm", "videos/y/2.webm", "videos/3.webm")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.csv").write_text("path,label\nx/1.webm,0\n")
    (lists / "validation.csv").write_text("path,label\ny/2.webm,1\nz/9.webm,0\n")
    videos = tmp_path / "videos"
    assert [source.name for source in find_sources(videos, lists)] == ["x/1", "y/2", "z/9"]
    assert find_sources(videos, lists, "validation")[1].path is None
    # A folder per class is a folder: a video beside the classes is not lost.
    assert [source.name for source in find_sources(videos)] == ["3", "x/1", "y/2"]


def test_nothing_to_extract_is_one_line(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    for arguments, words in (
        ((tmp_path,), "no videos in it"),
        ((tmp_path / "absent",), "no such folder of videos"),
        ((tmp_path, None, "train"), "leave out --split train"),
    ):
        with pytest.raises(InputError, match=words):
            find_sources(*arguments)
