"""Each action does what its template says, told from the ways of its bodies and hands."""

from collections.abc import Callable

import numpy as np
import pytest

from gasm_cast.minidata import acts_camera, acts_held, acts_place, acts_table
from gasm_cast.minidata.scene import Script, Stage
from gasm_cast.minidata.templates import TEMPLATES

SEEDS = range(6)


def stage(seed: int, num_frames: int = 36) -> Stage:
    return Stage(np.random.default_rng(seed), np.arange(num_frames) / 12, 0.3, 0, "train")


def act(name: str, seed: int) -> Script:
    (template,) = (template for template in TEMPLATES if template.name == name)
    return template.act(stage(seed))


def moved(script: Script, axis: int) -> float:
    path = script.bodies[0].position[:, axis]
    return float(path[-1] - path[0])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("verb", ["Pushing", "Pulling"])
def test_pushing_and_pulling_go_where_they_say(verb: str, seed: int) -> None:
    assert moved(act(f"{verb} something from left to right", seed), 0) > 0.1
    assert moved(act(f"{verb} something from right to left", seed), 0) < -0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_pushing_hand_is_behind_and_pulling_hand_ahead(seed: int) -> None:
    for name, side in (("Pushing", -1), ("Pulling", 1)):
        script = act(f"{name} something from left to right", seed)
        body, hand = script.bodies[0].position[:, 0], script.hands[0].position[:, 0]
        fastest = int(np.argmax(np.diff(body)))
        assert side * (hand[fastest] - body[fastest]) > 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("forth", "back"),
    [
        (acts_place.put_on_surface, acts_place.pick_up),
        (acts_place.put_into, acts_place.take_out),
        (acts_place.cover, acts_place.uncover),
        (acts_held.move_up, acts_held.move_down),
        (acts_held.move_closer, acts_held.move_away),
    ],
)
def test_opposites_are_each_other_backwards(
    forth: Callable[[Stage], Script], back: Callable[[Stage], Script], seed: int
) -> None:
    first, second = forth(stage(seed)), back(stage(seed))
    for one, other in zip(first.bodies, second.bodies, strict=True):
        np.testing.assert_array_equal(one.position, other.position[::-1])
    for one_hand, other_hand in zip(first.hands, second.hands, strict=True):
        np.testing.assert_array_equal(one_hand.position, other_hand.position[::-1])
        np.testing.assert_array_equal(one_hand.closure, other_hand.closure[::-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_held_things_move_as_named(seed: int) -> None:
    assert moved(act("Moving something up", seed), 2) > 0.06
    assert moved(act("Moving something down", seed), 2) < -0.06
    assert moved(act("Moving something towards the camera", seed), 1) < -0.25
    assert moved(act("Moving something away from the camera", seed), 1) > 0.25


@pytest.mark.parametrize("seed", SEEDS)
def test_thing_that_is_put_ends_where_it_belongs(seed: int) -> None:
    into = acts_place.put_into(stage(seed))
    item, container = into.named
    assert container.thing.opening is not None
    thing, holder = into.bodies
    np.testing.assert_allclose(thing.position[-1, :2], holder.position[-1, :2], atol=1e-9)
    assert thing.position[-1, 2] == pytest.approx(container.thing.opening.floor)
    assert item.thing.half_width <= max(container.thing.opening.radius, 0.03)
    onto = acts_place.put_onto(stage(seed))
    assert 0 < onto.bodies[0].position[-1, 2] <= onto.named[1].thing.height
    beside = acts_place.put_next_to(stage(seed))
    gap = np.abs(beside.bodies[0].position[-1, 0] - beside.bodies[1].position[-1, 0])
    widths = sum(item.thing.half_width for item in beside.named)
    assert widths < gap < widths + 0.04


@pytest.mark.parametrize("seed", SEEDS)
def test_pretending_leaves_things_as_they_were(seed: int) -> None:
    pick = acts_place.pretend_pick_up(stage(seed))
    assert np.ptp(pick.bodies[0].position, axis=0).max() == 0
    assert pick.hands
    put = acts_place.pretend_put_into(stage(seed))
    carried, container = put.bodies
    assert np.ptp(container.position, axis=0).max() == 0
    assert carried.position[:, 2].min() > 0.5 * put.named[1].thing.height
    assert np.hypot(*(carried.position[-1] - container.position[-1])[:2]) > 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_held_thing_goes_with_the_hand_until_it_is_let_go(seed: int) -> None:
    script = acts_place.put_on_surface(stage(seed))
    offset = script.hands[0].position - script.bodies[0].position
    holds = script.hands[0].closure == 1
    assert holds.sum() > 5
    np.testing.assert_allclose(
        offset[holds], np.broadcast_to(offset[holds][0], offset[holds].shape), atol=1e-9
    )
    assert np.linalg.norm(offset[-1] - offset[0]) > 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_rolling_turns_with_the_way_and_slows_down(seed: int) -> None:
    script = acts_table.roll(stage(seed))
    body = script.bodies[0]
    assert body.rolled is not None
    way = body.position[:, 0] - body.position[0, 0]
    np.testing.assert_allclose(body.rolled * body.item.thing.roll_radius, way, atol=1e-9)
    speed = np.abs(np.diff(way))
    late = speed[int(np.argmax(speed)) + 1 :]
    assert np.all(np.diff(late) <= 1e-9)
    assert speed.max() > 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_collision_turns_both_back_without_a_hand(seed: int) -> None:
    script = acts_table.collide(stage(seed))
    assert not script.hands
    first, second = (body.position[:, 0] for body in script.bodies)
    assert np.diff(first)[0] > 0 > np.diff(second)[0]
    assert np.all(second - first > 0)
    closest = int(np.argmin(second - first))
    assert 3 < closest < 33
    assert second[closest + 3] - first[closest + 3] > second[closest] - first[closest]


@pytest.mark.parametrize("seed", SEEDS)
def test_falls_have_no_hand_and_end_on_the_table(seed: int) -> None:
    rock, feather = acts_table.fall_like_rock(stage(seed)), acts_table.fall_like_feather(stage(seed))
    for script in (rock, feather):
        assert not script.hands
        assert script.bodies[0].position[:, 2].min() >= 0
        assert script.bodies[0].position[0, 2] > 0.25
    fastest = [np.abs(np.diff(script.bodies[0].position[:, 2])).max() for script in (rock, feather)]
    assert fastest[0] > 3 * fastest[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_camera_moves_and_things_stay(seed: int) -> None:
    cases: dict[Callable[[Stage], Script], tuple[str, int]] = {
        acts_camera.approach: ("forward", 1),
        acts_camera.move_off: ("forward", -1),
        lambda s: acts_camera.turn_sideways(s, -1): ("yaw", -1),
        lambda s: acts_camera.turn_sideways(s, 1): ("yaw", 1),
        lambda s: acts_camera.turn_vertically(s, -1): ("pitch", -1),
        lambda s: acts_camera.turn_vertically(s, 1): ("pitch", 1),
    }
    for play, (name, sign) in cases.items():
        script = play(stage(seed))
        values = getattr(script.camera, name)
        assert sign * (values[-1] - values[0]) > 0.1
        assert np.ptp(script.bodies[0].position, axis=0).max() == 0
        assert not script.hands


@pytest.mark.parametrize("seed", SEEDS)
def test_empty_and_filled_containers_are_shown_by_the_same_movement(seed: int) -> None:
    empty, inside = acts_held.show_empty(stage(seed)), acts_held.show_inside(stage(seed))
    assert empty.bodies[0].content is None
    assert inside.bodies[0].content is inside.named[0]
    for script in (empty, inside):
        assert script.bodies[0].item.thing.opening is not None
        tilt = script.bodies[0].tilt
        assert tilt is not None
        assert tilt[0] == 0
        assert tilt[-1] > 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_shown_things_stand_on_or_beside_each_other(seed: int) -> None:
    top, beside = acts_place.show_on_top(stage(seed)), acts_place.show_next_to(stage(seed))
    for script in (top, beside):
        assert all(np.ptp(body.position, axis=0).max() == 0 for body in script.bodies)
        assert script.hands[0].grip == "point"
    above, below = (body.position[0] for body in top.bodies)
    assert above[2] > 0 == below[2]
    np.testing.assert_allclose(above[:2], below[:2], atol=0.01)
    one, other = (body.position[0] for body in beside.bodies)
    assert one[2] == other[2] == 0
    assert abs(one[0] - other[0]) > sum(item.thing.half_width for item in beside.named)
