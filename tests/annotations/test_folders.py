from pathlib import Path

import pytest

from gasm_cast.annotations import available_splits, read_annotations, video_files
from gasm_cast.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_classes_are_sorted_whatever_order_the_disk_has(tmp_path: Path) -> None:
    orders = [("walk", "Run", "jump"), ("jump", "walk", "Run")]
    tables = []
    for number, order in enumerate(orders):
        for name in order:
            touch(tmp_path / str(number), f"{name}/b.MP4", f"{name}/a.webm", f"{name}/notes.txt")
        tables.append(read_annotations(tmp_path / str(number), "all"))
    for table in tables:
        assert table.class_names == ("Run", "jump", "walk")
        assert table.ids == ("Run/a", "Run/b", "jump/a", "jump/b", "walk/a", "walk/b")
        assert table.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert tables[0].paths[1] == tmp_path / "0" / "Run" / "b.MP4"


def test_folders_of_splits_share_classes_and_keep_ids_apart(tmp_path: Path) -> None:
    touch(tmp_path, "train/run/1.mp4", "train/jump/1.mp4", "val/run/1.mp4", "val/walk/1.mp4")
    assert available_splits(tmp_path) == ("train", "validation")
    train, validation = (read_annotations(tmp_path, split) for split in ("train", "validation"))
    assert train.class_names == validation.class_names == ("jump", "run", "walk")
    assert not set(train.ids) & set(validation.ids)
    assert validation.labels.tolist() == [1, 2]


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/a.avi")
    with pytest.raises(InputError, match=r"id 'run/a' stands for two files, run/a\.avi and run/a\.mp4"):
        read_annotations(tmp_path, "all")


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/a.mp4", "run/._a.mp4", "run/a.mp4", "run/deep/b.mp4", "empty/readme.txt")
    table = read_annotations(tmp_path, "all")
    assert table.class_names == ("run",)
    assert table.ids == ("run/a", "run/deep/b")
    assert video_files(tmp_path / "run") == [tmp_path / "run" / "a.mp4", tmp_path / "run" / "deep" / "b.mp4"]
