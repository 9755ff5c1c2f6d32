from pathlib import Path

import pytest

from gasm_cast.annotations import available_splits, read_annotations
from gasm_cast.errors import InputError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.mp4,run\nsub/b.mp4,jump\n",
        "a.mp4,run\nsub/b.mp4,jump\n",
        "\ufeffa.mp4,run\r\n\r\nsub/b.mp4,jump\r\n",
        "a.mp4;run\nsub/b.mp4;jump\n",
        "a.mp4\trun\nsub/b.mp4\tjump\n",
        "a.mp4 run\nsub/b.mp4 jump\n",
        "label,note,path\nrun,good,a.mp4\njump,bad,sub/b.mp4\n",
        "a,run\nsub/b,jump\n",
        "clip_name,label\na,run\nsub/b.mp4,jump\n",
        "Label;FilePath\nrun;a.mp4\njump;sub/b.mp4\n",
    ],
)
def test_every_way_to_write_a_list(text: str, tmp_path: Path) -> None:
    videos = tmp_path / "clips"
    touch(videos / "a.mp4", videos / "sub" / "b.mp4")
    table = read_annotations(write(tmp_path / "labels.csv", text), "all", videos)
    assert table.ids == ("a", "sub/b")
    assert table.paths == (videos / "a.mp4", videos / "sub" / "b.mp4")
    assert table.class_names == ("jump", "run")
    assert table.labels.tolist() == [1, 0]


def test_a_label_may_hold_another_mark_than_the_one_between_columns(tmp_path: Path) -> None:
    listed = write(tmp_path / "a.csv", "7;Moving it, then stopping\n8;Holding it\n")
    assert read_annotations(listed, "all").class_names == ("Holding it", "Moving it, then stopping")
    listed = write(tmp_path / "b.csv", "one, two.mp4;run\nthree.mp4;jump\n")
    assert read_annotations(listed, "all").class_names == ("jump", "run")


def test_a_class_may_be_called_as_a_column_is(tmp_path: Path) -> None:
    table = read_annotations(write(tmp_path / "a.csv", "a.mp4,action\nb.mp4,talk\n"), "all")
    assert table.ids == ("a", "b")


def test_kinetics_lists_with_spaces_in_paths_and_numbers_as_labels(tmp_path: Path) -> None:
    touch(tmp_path / "my clip 1.mp4")
    write(tmp_path / "train.csv", "my clip 1.mp4 2\nb.mp4 0\n")
    write(tmp_path / "val.csv", "c.mp4 11\n")
    assert available_splits(tmp_path) == ("train", "validation")
    train = read_annotations(tmp_path, "train")
    validation = read_annotations(tmp_path, "validation")
    assert train.ids == ("my clip 1", "b")
    assert train.paths == (tmp_path / "my clip 1.mp4", None)
    assert train.labels.tolist() == [2, 0]
    assert train.class_names == validation.class_names == tuple(str(index) for index in range(12))


def test_classes_of_all_splits_count_alike(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "a.mp4,run\nb.mp4,walk\n")
    write(tmp_path / "validation.csv", "c.mp4,jump\n")
    assert read_annotations(tmp_path, "train").class_names == ("jump", "run", "walk")
    assert read_annotations(tmp_path, "validation").labels.tolist() == [0]


@pytest.mark.parametrize("name", ["labels.json", "classes.txt"])
def test_a_class_list_beside_the_lists_rules(name: str, tmp_path: Path) -> None:
    text = '{"walk": "0", "run": "1", "jump": "2"}' if name == "labels.json" else "walk\nrun\n\njump\n"
    write(tmp_path / name, text)
    write(tmp_path / "train.csv", "a.mp4,run\nb.mp4,0\n")
    table = read_annotations(tmp_path, "train")
    assert table.class_names == ("walk", "run", "jump")
    assert table.labels.tolist() == [1, 0]
    write(tmp_path / "train.csv", "a.mp4,run\nb.mp4,3\n")
    with pytest.raises(InputError, match=r"3 \(1 clip; indices run from 0 to 2\)"):
        read_annotations(tmp_path, "train")
    write(tmp_path / "train.csv", "a.mp4,run\nb.mp4,-1\n")
    with pytest.raises(InputError, match=r"-1 \(1 clip; indices run from 0 to 2\)"):
        read_annotations(tmp_path, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a.mp4,0,120\nb.mp4,0,90\n",
            r"train\.csv, line 1: 3 column\(s\) where 2 are expected: 'a\.mp4,0,120'",
        ),
        ("a.mp4 120 0\n", r"line 1: 3 column\(s\) where 2 are expected"),
        ("a.mp4,0\nb.mp4,0,90\n", r"line 2: 3 column\(s\) where 2 are expected"),
        ("a.mp4,0\n\nb.mp4\n", r"line 3: 1 column\(s\) where 2 are expected"),
        ("path,label\na.mp4\n", r"line 2: 1 column\(s\) where 2 are expected"),
        ("a.mp4,0\nb.mp4,\n", r"line 2: empty field"),
        ("a.mp4,0\n,1\n", r"line 2: empty field"),
        ("label,seconds\n0,1.5\n", "'label,seconds', names a column of labels and none of clips"),
        ("path,label\n", "no clips below the line of column names"),
        ("\n\n", "empty list"),
        ("a.mp4\nb.mp4\n", "2 of 2 clips have no label"),
        ("a.mp4,123456789\n", r"label 123456789 is beyond 99999"),
        ("a.mp4,run\na.avi,jump\n", "id 'a' has two labels"),
        ("a.mp4,run\na.avi,run\n", r"id 'a' stands for two files, a\.mp4 and a\.avi"),
    ],
)
def test_broken_lists_name_the_line(text: str, message: str, tmp_path: Path) -> None:
    write(tmp_path / "train.csv", text)
    with pytest.raises(InputError, match=message):
        read_annotations(tmp_path, "train")


def test_a_test_list_needs_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "a.mp4,run\n")
    write(tmp_path / "test.csv", "id\nx\ny\n")
    table = read_annotations(tmp_path, "test")
    assert table.ids == ("x", "y")
    assert not table.labelled
    assert table.class_names == ("run",)


def test_ids_keep_their_dots(tmp_path: Path) -> None:
    touch(tmp_path / "v1.take2.webm")
    table = read_annotations(write(tmp_path / "list.csv", "v1.take2,run\n"), "all")
    assert table.ids == ("v1.take2",)
    assert table.paths == (tmp_path / "v1.take2.webm",)


def test_files_that_are_no_lists(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder, or a list"):
        read_annotations(write(tmp_path / "a.xml", "<a/>"), "all")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00a,b")
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        read_annotations(tmp_path / "a.csv", "all")
    with pytest.raises(InputError, match=r"it offers all; `gasm-cast fit` divides it"):
        read_annotations(write(tmp_path / "b.csv", "a,0\n"), "train")


def test_paths_may_be_text(tmp_path: Path) -> None:
    touch(tmp_path / "films" / "a.mp4")
    path = write(tmp_path / "list.csv", "path,label\na.mp4,run\n")
    table = read_annotations(str(path), "all", str(tmp_path / "films"))
    assert table.paths == (tmp_path / "films" / "a.mp4",)
    with pytest.raises(InputError, match="nothing"):
        read_annotations("nothing", "train")
