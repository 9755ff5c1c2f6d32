import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gasm_cast.minidata.catalogue import KINDS, Split
from gasm_cast.minidata.clips import ClipKey, ClipPlan, plan_clip
from gasm_cast.minidata.templates import TEMPLATES

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    """Five clips of each class and split, planned but not rendered."""
    return [
        plan_clip(0, ClipKey(split, label, number))
        for split in SPLITS
        for label in range(len(TEMPLATES))
        for number in range(5)
    ]


def test_templates_are_real_ones_with_their_real_indices() -> None:
    fixture = Path(__file__).with_name("something-something-v2-labels.json")
    real = {name: int(index) for name, index in json.loads(fixture.read_text(encoding="utf-8")).items()}
    assert len(TEMPLATES) >= 24
    assert len({template.index for template in TEMPLATES}) == len(TEMPLATES)
    for template in TEMPLATES:
        assert real[template.name] == template.index


def test_sentence_is_filled_with_the_things_in_order() -> None:
    by_name = {template.name: template for template in TEMPLATES}
    collide = by_name["Something colliding with something and both are being deflected"]
    assert (
        collide.label(["red ball", "orange"]) == "red ball colliding with orange and both are being deflected"
    )
    into = by_name["Putting something into something"]
    assert into.label(["egg", "blue bowl"]) == "putting egg into blue bowl"


def test_ids_are_unique_across_classes_splits_and_numbers() -> None:
    ids = [
        ClipKey(split, label, number).id
        for split in SPLITS
        for label in range(len(TEMPLATES))
        for number in (0, 1, 2, 999, 29_999)
    ]
    assert len(set(ids)) == len(ids)


def test_splits_share_no_thing_and_no_background(plans: list[ClipPlan]) -> None:
    things: dict[str, set[str]] = {split: set() for split in SPLITS}
    backgrounds: dict[str, set[str]] = {split: set() for split in SPLITS}
    for plan in plans:
        things[plan.key.split] |= set(plan.object_ids)
        backgrounds[plan.key.split] |= set(plan.background_ids)
    for seen in (things, backgrounds):
        assert not seen["train"] & seen["validation"]
        assert not seen["train"] & seen["test"]
        assert not seen["validation"] & seen["test"]
    for split in SPLITS:  # and each has enough of them
        assert len({name.rsplit("-", 1)[0] for name in things[split]}) >= 0.8 * len(KINDS)
        assert len(backgrounds[split]) >= 40


def test_catalogue_has_at_least_twenty_kinds() -> None:
    assert len(KINDS) >= 20


def test_placeholders_fit_the_brackets(plans: list[ClipPlan]) -> None:
    for plan in plans:
        assert len(plan.placeholders) == TEMPLATES[plan.key.label].text.count("[")
        assert all(plan.placeholders)


def test_lengths_and_shapes_do_not_depend_on_the_class(plans: list[ClipPlan]) -> None:
    for label in range(len(TEMPLATES)):
        mine = [plan for plan in plans if plan.key.label == label]
        assert all(24 <= plan.num_frames <= 48 for plan in mine)
        assert 29 < np.mean([plan.num_frames for plan in mine]) < 43
        assert {plan.camera.width_px for plan in mine} == {320, 426}


def test_hands_come_from_both_sides_alike(plans: list[ClipPlan]) -> None:
    free = {"Moving something up", "Picking something up", "Putting something into something"}
    sides = Counter(
        bool(np.cos(hand.azimuth) > 0)
        for plan in plans
        if TEMPLATES[plan.key.label].name in free
        for hand in plan.script.hands
    )
    assert 0.3 < sides[True] / sides.total() < 0.7


def test_plan_follows_from_seed_and_id_alone() -> None:
    key = ClipKey("train", 4, 7)
    first, again, other = plan_clip(1, key), plan_clip(1, key), plan_clip(2, key)
    assert first.placeholders == again.placeholders
    assert first.background_ids == again.background_ids
    np.testing.assert_array_equal(first.script.bodies[0].position, again.script.bodies[0].position)
    assert first.script.bodies[0].position.shape != other.script.bodies[0].position.shape or not np.allclose(
        first.script.bodies[0].position, other.script.bodies[0].position
    )
