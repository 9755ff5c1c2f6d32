"""The classes of mini: templates of Something-Something V2 and the actions that play them.

The order is fixed and keeps together what differs in one respect only (direction, order
of time, whether a hand does it, what is there), so that a draw of the first K classes has
both its easy and its telling pairs.

Source: Goyal et al. 2017, "The Something Something video database"; names and indices are
those of version 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gasm_cast.minidata import acts_camera, acts_held, acts_place, acts_table
from gasm_cast.minidata.scene import Script, Stage


@dataclass(frozen=True)
class Template:
    """One class.

    Attributes:
        text: The template with brackets where things are named.
        index: Its index in Something-Something V2.
        act: Draws a script for it.
    """

    text: str
    index: int
    act: Callable[[Stage], Script]

    @property
    def name(self) -> str:
        """The class name, without brackets."""
        return self.text.replace("[", "").replace("]", "")

    def label(self, placeholders: list[str]) -> str:
        """The sentence with the things filled in, as annotators wrote it."""
        parts = self.text.replace("[Something]", "[something]").split("[something]")
        words = parts[0]
        for thing, rest in zip(placeholders, parts[1:], strict=True):
            words += thing + rest
        return words[0].lower() + words[1:]


TEMPLATES: tuple[Template, ...] = (
    Template("Pushing [something] from left to right", 93, partial(acts_table.push, direction=1)),
    Template("Pushing [something] from right to left", 94, partial(acts_table.push, direction=-1)),
    Template("Moving [something] up", 45, acts_held.move_up),
    Template("Moving [something] down", 43, acts_held.move_down),
    Template("Putting [something] into [something]", 106, acts_place.put_into),
    Template("Putting [something] onto [something]", 112, acts_place.put_onto),
    Template("Taking [something] out of [something]", 148, acts_place.take_out),
    Template("Pretending to put [something] into [something]", 72, acts_place.pretend_put_into),
    Template("Covering [something] with [something]", 6, acts_place.cover),
    Template("Uncovering [something]", 171, acts_place.uncover),
    Template("Moving [something] towards the camera", 44, acts_held.move_closer),
    Template("Moving [something] away from the camera", 41, acts_held.move_away),
    Template("Approaching [something] with your camera", 0, acts_camera.approach),
    Template("Moving away from [something] with your camera", 32, acts_camera.move_off),
    Template("Picking [something] up", 47, acts_place.pick_up),
    Template("Pretending to pick [something] up", 68, acts_place.pretend_pick_up),
    Template("Putting [something] on a surface", 109, acts_place.put_on_surface),
    Template("Putting [something] next to [something]", 107, acts_place.put_next_to),
    Template(
        "Turning the camera left while filming [something]",
        166,
        partial(acts_camera.turn_sideways, direction=-1),
    ),
    Template(
        "Turning the camera right while filming [something]",
        167,
        partial(acts_camera.turn_sideways, direction=1),
    ),
    Template("Rolling [something] on a flat surface", 122, acts_table.roll),
    Template("[Something] colliding with [something] and both are being deflected", 132, acts_table.collide),
    Template("[Something] falling like a rock", 135, acts_table.fall_like_rock),
    Template("[Something] falling like a feather or paper", 134, acts_table.fall_like_feather),
    Template("Pulling [something] from left to right", 86, partial(acts_table.pull, direction=1)),
    Template("Pulling [something] from right to left", 87, partial(acts_table.pull, direction=-1)),
    Template("Showing [something] to the camera", 128, acts_held.show),
    Template("Showing that [something] is empty", 129, acts_held.show_empty),
    Template(
        "Turning the camera upwards while filming [something]",
        168,
        partial(acts_camera.turn_vertically, direction=-1),
    ),
    Template(
        "Turning the camera downwards while filming [something]",
        165,
        partial(acts_camera.turn_vertically, direction=1),
    ),
)
"""All classes, in the order in which a smaller draw takes them."""
