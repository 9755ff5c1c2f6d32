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


def _sides(act: Callable[..., Script], *, first: int) -> tuple[Callable[[Stage], Script], ...]:
    """The action towards both sides."""
    return partial(act, direction=first), partial(act, direction=-first)


_push_right, _push_left = _sides(acts_table.push, first=1)
_pull_right, _pull_left = _sides(acts_table.pull, first=1)
_turn_left, _turn_right = _sides(acts_camera.turn_sideways, first=-1)
_turn_up, _turn_down = _sides(acts_camera.turn_vertically, first=-1)

TEMPLATES: tuple[Template, ...] = (
    Template("Pushing [something] from left to right", 93, _push_right),
    Template("Pushing [something] from right to left", 94, _push_left),
    Template("Moving [something] up", 45, acts_held.move_up),
    Template("Moving [something] down", 43, acts_held.move_down),
    Template("Putting [something] into [something]", 106, acts_place.put_into),
    Template("Putting [something] onto [something]", 112, acts_place.put_onto),
    Template("Taking [something] out of [something]", 148, acts_place.take_out),
    Template("Pretending to put [something] into [something]", 72, acts_place.pretend_put_into),
    Template("Covering [something] with [something]", 6, acts_place.cover),
    Template("Uncovering [something]", 171, acts_place.uncover),
    Template("Putting [something] on a surface", 109, acts_place.put_on_surface),
    Template("Picking [something] up", 47, acts_place.pick_up),
    Template("Pretending to pick [something] up", 68, acts_place.pretend_pick_up),
    Template("Putting [something] next to [something]", 107, acts_place.put_next_to),
    Template("Showing that [something] is empty", 129, acts_held.show_empty),
    Template("Showing that [something] is inside [something]", 130, acts_held.show_inside),
    Template("Showing [something] on top of [something]", 127, acts_place.show_on_top),
    Template("Showing [something] next to [something]", 126, acts_place.show_next_to),
    Template("Moving [something] towards the camera", 44, acts_held.move_closer),
    Template("Moving [something] away from the camera", 41, acts_held.move_away),
    Template("Approaching [something] with your camera", 0, acts_camera.approach),
    Template("Moving away from [something] with your camera", 32, acts_camera.move_off),
    Template("Rolling [something] on a flat surface", 122, acts_table.roll),
    Template("[Something] falling like a rock", 135, acts_table.fall_like_rock),
    Template("[Something] falling like a feather or paper", 134, acts_table.fall_like_feather),
    Template("[Something] colliding with [something] and both are being deflected", 132, acts_table.collide),
    Template("Pulling [something] from left to right", 86, _pull_right),
    Template("Pulling [something] from right to left", 87, _pull_left),
    Template("Turning the camera left while filming [something]", 166, _turn_left),
    Template("Turning the camera right while filming [something]", 167, _turn_right),
    Template("Turning the camera upwards while filming [something]", 168, _turn_up),
    Template("Turning the camera downwards while filming [something]", 165, _turn_down),
)
"""All classes, in the order in which a smaller draw takes them."""
