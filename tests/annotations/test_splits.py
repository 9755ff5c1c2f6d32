from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.annotations import ClipTable, fold_table, read_annotations, split_table, write_annotations
from gasm_cast.annotations.splits import Division
from gasm_cast.errors import InputError

FRACTIONS = {"train": 0.7, "validation": 0.2, "test": 0.1}


def table(counts: list[int]) -> ClipTable:
    """Ids that count up without leading zeros, listed backwards."""
    ids = [f"class{label}/clip{number}" for label, count in enumerate(counts) for number in range(count)][
        ::-1
    ]
    labels = np.array([int(i[5]) for i in ids], dtype=np.int64)
    return ClipTable(
        tuple(ids), labels, (None,) * len(ids), tuple(f"c{i}" for i in range(len(counts))), "all"
    )


@given(
    counts=st.lists(st.integers(3, 40), min_size=1, max_size=4),
    by=st.sampled_from(["random", "block"]),
    seed=st.integers(0, 1000),
)
def test_every_clip_lands_once_and_every_class_everywhere(counts: list[int], by: Division, seed: int) -> None:
    whole = table(counts)
    parts = split_table(whole, FRACTIONS, by=by, seed=seed)
    assert sorted(i for part in parts.values() for i in part.ids) == sorted(whole.ids)
    for split, part in parts.items():
        assert part.split == split
        assert (part.class_counts() >= 1).all()
        assert (part.labels == [int(i[5]) for i in part.ids]).all()
        for got, count in zip(part.class_counts(), counts, strict=True):
            assert abs(got - FRACTIONS[split] * count) <= 2


def test_blocks_are_contiguous_in_natural_order() -> None:
    parts = split_table(table([20, 10]), {"train": 0.8, "validation": 0.2}, by="block")
    numbers = {split: sorted(int(i[11:]) for i in part.ids if i[5] == "0") for split, part in parts.items()}
    assert numbers == {"train": list(range(16)), "validation": list(range(16, 20))}


def test_random_splits_follow_their_seed_and_are_not_blocks() -> None:
    whole = table([30, 30])
    first, again, other = (split_table(whole, FRACTIONS, seed=seed)["test"].ids for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("by", ["random", "block"])
def test_over_all_folds_each_clip_validates_once(by: Division) -> None:
    whole = table([11, 7])
    validated: list[str] = []
    for fold in range(5):
        train, validation = fold_table(whole, 5, fold, by=by, seed=4)
        assert set(train.ids) | set(validation.ids) == set(whole.ids)
        assert not set(train.ids) & set(validation.ids)
        assert (train.split, validation.split) == ("train", "validation")
        validated += validation.ids
    assert sorted(validated) == sorted(whole.ids)


def test_what_cannot_be_split_is_told() -> None:
    with pytest.raises(InputError, match=r"class 'c1' has 2 clip\(s\), too few for 3 splits"):
        split_table(table([9, 2]), FRACTIONS)
    with pytest.raises(ValueError, match="fractions must be positive"):
        split_table(table([9]), {"train": 1.0, "validation": 0.0})
    with pytest.raises(ValueError, match="fold must lie in"):
        fold_table(table([9]), 3, 3)
    unlabelled = ClipTable(("a",), np.array([-1]), (None,), ("c",), "all")
    with pytest.raises(InputError, match="has no labels"):
        split_table(unlabelled, FRACTIONS)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    video = tmp_path / "clips" / "a, b.mp4"
    video.parent.mkdir()
    video.touch()
    names = ('say "hi"', "Putting something, something and something on the table", "rare")
    train = ClipTable(("one/1", "two"), np.array([1, 0]), (video, None), names, "train")
    test = ClipTable(("three",), np.array([-1]), (None,), names, "test")
    write_annotations(tmp_path / "out", {"train": train, "test": test})
    for table_, split in ((train, "train"), (test, "test")):
        again = read_annotations(tmp_path / "out", split)
        assert again.ids == table_.ids
        assert (again.labels == table_.labels).all()
        assert again.paths == table_.paths
        assert again.class_names == names
    with pytest.raises(ValueError, match="need one class list"):
        write_annotations(tmp_path / "other", {"train": train, "all": table([3])})
