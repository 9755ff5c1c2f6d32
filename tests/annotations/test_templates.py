import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.annotations import coarse_groups, flip_labels, flip_pairs, strip_brackets


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("Pushing [something] from left to right", "Pushing something from left to right"),
        ("Putting [number of] [something] onto [something]", "Putting number of something onto something"),
        ("Holding something", "Holding something"),
        ("  Holding  [something] ", "Holding something"),
    ],
)
def test_brackets_go_words_stay(template: str, name: str) -> None:
    assert strip_brackets(template) == name


def test_flip_pairs_of_the_official_order(ssv2_names: tuple[str, ...]) -> None:
    assert flip_pairs(ssv2_names) == ((86, 87), (93, 94), (166, 167))


@given(st.permutations(range(174)))
def test_flip_pairs_follow_the_names_in_any_order(ssv2_names: tuple[str, ...], order: list[int]) -> None:
    names = [ssv2_names[index] for index in order]
    pairs = {frozenset((names[first], names[second])) for first, second in flip_pairs(names)}
    official = {
        frozenset((ssv2_names[first], ssv2_names[second])) for first, second in flip_pairs(ssv2_names)
    }
    assert pairs == official


def test_flip_labels_swap_and_swap_back(ssv2_names: tuple[str, ...]) -> None:
    labels = flip_labels(ssv2_names)
    assert (labels[labels] == np.arange(174)).all()
    assert {int(i) for i in np.flatnonzero(labels != np.arange(174))} == {86, 87, 93, 94, 166, 167}


def test_a_direction_without_its_mirror_image_must_not_be_flipped() -> None:
    names = ["Pushing something from left to right", "Plugging it in but pulling it right out", "Holding it"]
    assert flip_pairs(names) == ()
    assert flip_labels(names).tolist() == [-1, 1, 2]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["Swiping left", "Waving"], [-1, 1]),
        (["Swiping Left", "Waving", "Swiping Right"], [2, 1, 0]),  # as Jester writes its classes
        (["turn_left", "turn_right", "upright"], [1, 0, 2]),  # folders
        (["Turning right after left", "Leaving right away", "TURN LEFT"], [-1, 1, -1]),
    ],
)
def test_sides_however_they_are_written(names: list[str], labels: list[int]) -> None:
    assert flip_labels(names).tolist() == labels


def test_groups_of_the_official_classes(ssv2_names: tuple[str, ...]) -> None:
    labels, names = coarse_groups(ssv2_names)
    assert len(names) == len(set(names)) == 52
    assert list(names) == sorted(names)
    groups = {ssv2_names[index]: names[label] for index, label in enumerate(labels)}
    assert groups["Pretending to pick something up"] == "Pretending"
    assert groups["Picking something up"] == "Picking"
    assert groups["Something falling like a rock"] == "Falling"
    assert sorted(set(labels.tolist())) == list(range(52))


def test_groups_of_names_that_are_no_templates() -> None:
    labels, names = coarse_groups(["playing_guitar", "Playing piano", "noFight", "something"])
    assert names == ("Nofight", "Playing", "something")
    assert labels.tolist() == [1, 1, 0, 2]
