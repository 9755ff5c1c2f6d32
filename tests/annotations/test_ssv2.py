import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gasm_cast.annotations import UNLABELLED, available_splits, read_annotations
from gasm_cast.errors import InputError

WriteSsv2 = Callable[..., Path]


def test_templates_with_brackets_meet_labels_without(write_ssv2: WriteSsv2) -> None:
    folder = write_ssv2({"train": [("7", "Pulling [something]"), ("3", "Holding something")]})
    (folder / "videos").mkdir()
    (folder / "videos" / "3.webm").touch()
    table = read_annotations(folder, "train")
    assert table.ids == ("7", "3")
    assert table.labels.tolist() == [1, 2]
    assert table.paths == (None, folder / "videos" / "3.webm")
    assert table.class_names == ("Pushing something", "Pulling something", "Holding something")
    assert table.split == "train"
    assert table.class_counts().tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "labels",
    [
        {"Holding [something]": 2, "Pushing [something]": 0, "Pulling [something]": 1},
        ["Pushing something", "Pulling [something]", "Holding something"],
    ],
)
def test_labels_with_brackets_numbers_or_as_a_list(write_ssv2: WriteSsv2, labels: object) -> None:
    folder = write_ssv2({"train": [("7", "Pulling [something]")]}, labels)
    table = read_annotations(folder, "train")
    assert table.labels.tolist() == [1]
    assert table.class_names == ("Pushing something", "Pulling something", "Holding something")


def test_indices_sort_as_numbers(write_ssv2: WriteSsv2) -> None:
    labels = {f"Class {index}": str(index) for index in reversed(range(12))}
    table = read_annotations(write_ssv2({"train": [("1", "Class 10")]}, labels), "train")
    assert table.class_names == tuple(f"Class {index}" for index in range(12))
    assert table.labels.tolist() == [10]


def test_official_names_and_folders(write_ssv2: WriteSsv2, tmp_path: Path) -> None:
    splits = {"train": [("1", "Holding [something]")], "validation": [("2", "Pulling [something]")]}
    write_ssv2(splits, prefix="something-something-v2-", folder=tmp_path / "labels")
    (tmp_path / "20bn-something-something-v2").mkdir()
    video = tmp_path / "20bn-something-something-v2" / "1.webm"
    video.touch()
    assert available_splits(tmp_path) == ("train", "validation")
    assert read_annotations(tmp_path, "train").paths == (video,)
    assert read_annotations(tmp_path, "validation").labels.tolist() == [1]


def test_the_test_split_has_no_labels_unless_answers_are_asked_for(write_ssv2: WriteSsv2) -> None:
    folder = write_ssv2()
    (folder / "test.json").write_text(json.dumps([{"id": "9"}, {"id": "8"}]))
    table = read_annotations(folder, "test")
    assert table.ids == ("9", "8")
    assert table.labels.tolist() == [UNLABELLED, UNLABELLED]
    assert not table.labelled
    with pytest.raises(InputError, match="split 'test' has no labels"):
        table.require_labels()
    assert not read_annotations(folder, "test", test_answers=True).labelled
    (folder / "test-answers.csv").write_text("8;Holding something\n9;Pushing something\n")
    assert not read_annotations(folder, "test").labelled
    assert read_annotations(folder, "test", test_answers=True).labels.tolist() == [0, 2]


def test_unknown_templates_are_listed_with_counts_and_the_closest(write_ssv2: WriteSsv2) -> None:
    entries = [("1", "Pushing [something]"), ("2", "Puling [something]"), ("3", "Puling [something]")]
    with pytest.raises(InputError) as error:
        read_annotations(write_ssv2({"train": [*entries, ("4", "Xyz")]}), "train")
    message = str(error.value)
    assert "train.json: 2 label(s) are not in the class list" in message
    assert "'Puling [something]' (2 clips; closest: 'Pulling something')" in message
    assert "'Xyz' (1 clip" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"A": "0", "B": "2"}, r"indices must be 0 to 1, each once; 1 is missing"),
        ({"A": "0", "B": "0"}, r"indices must be 0 to 1, each once; 1 is missing"),
        ({"A": "one"}, r"index of 'A' must be a whole number, got 'one'"),
        ({"[A]": "0", "A": "1"}, r"class 'A' occurs more than once"),
        ({}, r"expected"),
        (3, r"expected"),
        ([1, 2], r"expected"),
    ],
)
def test_broken_class_lists(write_ssv2: WriteSsv2, labels: object, message: str) -> None:
    with pytest.raises(InputError, match=rf"labels\.json: .*{message}"):
        read_annotations(write_ssv2(labels=labels), "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "split 'train' is empty; list its clips there, or choose another split"),
        ("{}", "expected a list"),
        ("[1]", "expected a list"),
        ('[{"template": "Pushing [something]"}]', "entry 1 has no id"),
        ('[{"id": "1"}]', "1 of 1 clips have no label, the first is '1'"),
        ("[{", "not a JSON file"),
    ],
)
def test_broken_split_files(write_ssv2: WriteSsv2, content: str, message: str) -> None:
    folder = write_ssv2()
    (folder / "train.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_annotations(folder, "train")


def test_a_divided_data_set_is_not_to_be_divided_again(write_ssv2: WriteSsv2) -> None:
    with pytest.raises(
        InputError, match=r"no split 'all'; it offers train.* `gasm-cast extract` and `train`"
    ):
        read_annotations(write_ssv2({"train": [("1", "Pushing [something]")]}), "all")


def test_one_id_with_two_labels_is_refused(write_ssv2: WriteSsv2) -> None:
    folder = write_ssv2({"train": [("1", "Pushing [something]"), ("1", "Pulling [something]")]})
    with pytest.raises(
        InputError, match=r"id '1' has two labels, 'Pushing something' and 'Pulling something'"
    ):
        read_annotations(folder, "train")


def test_a_repeated_row_is_passed_over_and_told(write_ssv2: WriteSsv2) -> None:
    folder = write_ssv2({"train": [("1", "Pushing [something]")] * 3 + [("2", "Holding [something]")]})
    table = read_annotations(folder, "train")
    assert table.ids == ("1", "2")
    assert table.notes == (f"{folder / 'train.json'}: 2 repeated row(s) passed over",)


def test_missing_pieces_are_named(write_ssv2: WriteSsv2, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such file or folder of annotations"):
        read_annotations(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match="no annotations; expected"):
        read_annotations(tmp_path, "train")
    folder = write_ssv2()
    with pytest.raises(InputError, match="no split 'validation'; it offers train"):
        read_annotations(folder, "validation")
    with pytest.raises(InputError, match=r"gone: no such video folder"):
        read_annotations(folder, "train", tmp_path / "gone")
    (folder / "labels.json").unlink()
    with pytest.raises(InputError, match=r"no labels\.json beside train\.json"):
        read_annotations(folder, "train")
