import dataclasses

import numpy as np
import pytest

from gasm_cast.minidata.clips import ClipKey, ClipPlan, plan_clip
from gasm_cast.minidata.rendering import render
from gasm_cast.minidata.templates import TEMPLATES


def plan_of(name: str, number: int = 0) -> ClipPlan:
    label = next(i for i, template in enumerate(TEMPLATES) if template.name == name)
    return plan_clip(0, ClipKey("train", label, number))


def calm(plan: ClipPlan) -> ClipPlan:
    """The plan without noise, flicker and shake."""
    camera = plan.camera
    return dataclasses.replace(
        plan,
        noise=0.0,
        brightness=np.ones(plan.num_frames),
        bystanders=(),
        camera=dataclasses.replace(
            camera,
            position=np.tile(camera.position[0], (plan.num_frames, 1)),
            yaw=np.full(plan.num_frames, camera.yaw[0]),
            pitch=np.full(plan.num_frames, camera.pitch[0]),
            roll=np.full(plan.num_frames, camera.roll[0]),
        ),
    )


def test_frames_have_the_planned_size_and_number() -> None:
    plan = plan_of("Moving something up")
    frames = list(render(plan))
    assert len(frames) == plan.num_frames
    assert {frame.shape for frame in frames} == {(240, plan.camera.width_px, 3)}
    assert all(frame.dtype == np.uint8 for frame in frames)
    assert 30 < np.mean(frames) < 220


def test_pushed_thing_leaves_its_place_and_arrives_at_another() -> None:
    plan = calm(plan_of("Pushing something from left to right"))
    body = plan.script.bodies[0]
    plan = dataclasses.replace(plan, script=dataclasses.replace(plan.script, hands=()))
    frames = list(render(plan))
    first, last = frames[0].astype(int), frames[-1].astype(int)
    changed = np.abs(last - first).sum(2)
    for place in (body.position[0], body.position[-1]):
        u, v, _ = plan.camera.at(0).project(place + np.array([0, 0, body.item.thing.height / 2]))
        if 5 < u < plan.camera.width_px - 5:
            assert changed[round(v) - 3 : round(v) + 4, round(u) - 3 : round(u) + 4].mean() > 20
    assert np.median(changed) <= 3


def test_thing_in_a_container_is_hidden_by_its_near_wall() -> None:
    plan = calm(plan_of("Putting something into something"))
    thing, container = plan.script.bodies
    alone = dataclasses.replace(plan.script, bodies=(container,), hands=())
    both = dataclasses.replace(plan.script, bodies=(thing, container), hands=())
    without, within = (
        list(render(dataclasses.replace(plan, script=script)))[-1].astype(int) for script in (alone, both)
    )
    u, v, _ = plan.camera.at(plan.num_frames - 1).project(container.position[-1])
    base = np.abs(without - within)[round(v) - 3 : round(v) + 1, round(u) - 3 : round(u) + 4]
    assert base.max() <= 4


def test_cover_hides_what_it_covers() -> None:
    plan = calm(plan_of("Covering something with something"))
    cover, hidden = plan.script.bodies
    only = dataclasses.replace(plan.script, bodies=(cover,), hands=())
    both = dataclasses.replace(plan.script, hands=())
    difference = [
        np.abs(a.astype(int) - b).max(2)
        for a, b in zip(
            render(dataclasses.replace(plan, script=only)),
            render(dataclasses.replace(plan, script=both)),
            strict=True,
        )
    ]
    assert (difference[0] > 20).sum() > 50
    assert (difference[-1] > 20).sum() < 0.25 * (difference[0] > 20).sum()
    assert hidden.item.thing.half_width < cover.item.thing.half_width


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("Turning the camera left while filming something", 1),
        ("Turning the camera right while filming something", -1),
    ],
)
def test_picture_moves_against_the_camera(name: str, sign: int) -> None:
    plan = plan_of(name)
    place = plan.script.bodies[0].position[0]
    columns = [plan.camera.at(i).project(place)[0] for i in (0, plan.num_frames - 1)]
    assert sign * (columns[1] - columns[0]) > 40


def test_noise_is_the_sensor_s_and_repeatable() -> None:
    plan = plan_of("Moving something up")
    first, again = next(render(plan)), next(render(plan))
    np.testing.assert_array_equal(first, again)
    quiet = next(render(dataclasses.replace(plan, noise=0.0)))
    assert 0.2 < (first.astype(float) - quiet).std() < 8
