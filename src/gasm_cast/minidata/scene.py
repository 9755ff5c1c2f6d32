"""What an action hands to the renderer: bodies, hands and the camera over the frames of a clip."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from gasm_cast.minidata.camera import CameraMove
from gasm_cast.minidata.catalogue import VARIANTS, Item, Role, Split, item, kinds_for
from gasm_cast.minidata.hands import Grip
from gasm_cast.minidata.motion import Frames, Places


def _backwards(
    values: Float[np.ndarray, " frames *rest"] | None,
) -> Float[np.ndarray, " frames *rest"] | None:
    return None if values is None else values[::-1]


@dataclass(frozen=True, eq=False)
class Body:
    """One thing over time.

    Attributes:
        item: What it is.
        position: The middle of its base.
        yaw: How it is turned about its vertical, radians.
        lean: Turn in the picture, clockwise, about its middle.
        rolled: Angle that it has rolled to the right.
        tilt: How far its top leans towards the camera.
        stretch: Width and height over the true ones.
        ground: Height of what lies below it.
        covers: Set upside down, to cover others.
        content: What lies in it and turns with it.
        nearer: Drawn as if it were nearer by so much, m.
    """

    item: Item
    position: Places
    yaw: float = 0.0
    lean: Frames | None = None
    rolled: Frames | None = None
    tilt: Frames | None = None
    stretch: Float[np.ndarray, "frames 2"] | None = None
    ground: Frames | None = None
    covers: bool = False
    content: Item | None = None
    nearer: float = 0.0

    def reversed(self) -> Body:
        """The same backwards in time."""
        return dataclasses.replace(
            self,
            position=self.position[::-1],
            lean=_backwards(self.lean),
            rolled=_backwards(self.rolled),
            tilt=_backwards(self.tilt),
            stretch=_backwards(self.stretch),
            ground=_backwards(self.ground),
        )


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand over time.

    Attributes:
        grip: What it closes into.
        azimuth: Where its forearm comes from: 0 is from the right, pi / 2 from behind the table.
        elevation: How steeply the forearm comes down, radians.
        position: What it holds or touches.
        closure: 0 open, 1 closed.
        mirrored: Which hand.
        nearer: Drawn as if it were nearer by so much, m.
    """

    grip: Grip
    azimuth: float
    elevation: float
    position: Places
    closure: Frames
    mirrored: bool
    nearer: float = 0.0

    def reversed(self) -> Hand:
        """The same backwards in time."""
        return dataclasses.replace(self, position=self.position[::-1], closure=self.closure[::-1])


@dataclass(frozen=True, eq=False)
class Script:
    """All that happens in a clip.

    Attributes:
        named: The things that the label names, in its order.
        bodies: Things.
        hands: Hands.
        camera: What the camera does on purpose.
    """

    named: tuple[Item, ...]
    bodies: tuple[Body, ...]
    camera: CameraMove
    hands: tuple[Hand, ...] = ()

    def reversed(self) -> Script:
        """The clip backwards in time; the label's things stay in their order."""
        return dataclasses.replace(
            self,
            bodies=tuple(body.reversed() for body in self.bodies),
            hands=tuple(hand.reversed() for hand in self.hands),
        )


@dataclass(frozen=True)
class Stage:
    """Where an action is drawn: its random generator, its time and what it may use.

    Attributes:
        rng: The clip's own generator.
        times: Time of each frame, seconds.
        reach: Half the width that the camera sees in the middle of the table, m.
        seed: Seed of the whole draw.
        split: Whose variants to use.
    """

    rng: np.random.Generator
    times: Frames
    reach: float
    seed: int
    split: Split
    taken: set[str] = field(default_factory=set)

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.times[-1])

    def pick(self, *roles: Role, narrower_than: float | None = None) -> Item:
        """A thing that can play one of the roles, of a kind not on stage yet.

        Args:
            roles: What it must be good for.
            narrower_than: Largest half width.
        """
        kinds = [kind for kind in kinds_for(*roles) if kind not in self.taken]
        while True:
            kind = kinds[int(self.rng.integers(len(kinds)))]
            found = item(self.seed, kind, int(self.rng.choice(VARIANTS[self.split])))
            if narrower_than is None or found.thing.half_width <= narrower_than:
                self.taken.add(kind)
                return found

    def uniform(self, low: float | int, high: float | int) -> float:
        """A number between two."""
        return float(self.rng.uniform(low, high))

    def side(self) -> int:
        """Left (-1) or right (1), evenly."""
        return int(self.rng.choice((-1, 1)))

    def moments(self, *weights: float) -> list[float]:
        """Ends of consecutive parts with about the given shares of the clip; all but the last."""
        parts = np.array(weights) * self.rng.uniform(0.65, 1.35, len(weights))
        return list(np.cumsum(parts)[:-1] / parts.sum() * self.duration)

    def still(self) -> CameraMove:
        """A camera that stays."""
        return CameraMove.still(len(self.times))
