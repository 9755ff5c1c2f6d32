from pathlib import Path

import numpy as np
import pytest

from gasm_cast.annotations import ClipTable, cross_split_duplicates, same_classes
from gasm_cast.errors import InputError


def table(ids: list[str], split: str = "train") -> ClipTable:
    labels = np.arange(len(ids), dtype=np.int64) % 2
    return ClipTable(tuple(ids), labels, tuple(Path(i) for i in ids), ("a", "b", "c"), split)


def test_select_keeps_ids_labels_and_files_together() -> None:
    part = table(["x", "y", "z"]).select([2, 1], "held-out")
    assert part.ids == ("z", "y")
    assert part.labels.tolist() == [0, 1]
    assert part.paths == (Path("z"), Path("y"))
    assert part.split == "held-out"
    assert len(table(["x"]).select([])) == 0


def test_class_counts_show_empty_classes() -> None:
    assert table(["x", "y", "z"]).class_counts().tolist() == [2, 1, 0]


def test_equal_class_lists_pass() -> None:
    same_classes(["a", "b"], ("a", "b"), where="labels.json")


def test_the_first_difference_is_named() -> None:
    with pytest.raises(InputError, match=r"^val: class 1 is 'c', but the model learned 'b' as class 1;"):
        same_classes(["a", "b", "c"], ["a", "c", "b"], where="val")
    with pytest.raises(InputError, match=r"^val: 2 classes, but the model learned 3;"):
        same_classes(["a", "b", "c"], ["a", "b"], where="val")


def test_ids_in_two_splits_are_found() -> None:
    tables = [table(["1", "2"], "train"), table(["3", "2"], "validation"), table(["1", "4"], "test")]
    assert cross_split_duplicates(tables) == [("2", "train", "validation"), ("1", "train", "test")]
