"""How an array's axes become tokens of a grid: declared, checked, never guessed.

The axes of one clip's array are named in order, for example `channels,frames,rows,cols`:

========  ==================================================================
views     several extractions of one clip
frames    the grid's frames (segments)
rows      the grid's rows
cols      the grid's columns
tokens    all cells that no other axis names, in the grid's order; in front of
          them, CLS and register tokens, if they are named
channels  the features' width
mean      something to average over, such as space in I3D's last feature map
========  ==================================================================
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid

Axis = Literal["views", "frames", "rows", "cols", "tokens", "channels", "mean"]
SpecialTokens = Literal["cls", "registers"]
NUM_SPECIAL: dict[SpecialTokens, int] = {"cls": 1, "registers": 4}
"""Tokens of each kind in front of the patches, as DINOv2 and DINOv3 order them: CLS, registers, patches."""
KNOWN_EXTRA = {1: "cls", 4: "registers", 5: "cls registers"}
SPECIAL_NAMES = {1: "a CLS token", 4: "register tokens", 5: "a CLS and 4 register tokens"}
DEFAULT_AXES: tuple[Axis, ...] = ("tokens", "channels")
ORDER: tuple[Axis, ...] = ("views", "frames", "rows", "cols", "tokens", "channels")


@dataclass(frozen=True)
class Arranged:
    """One clip's tokens, and what had to be done to get them."""

    tokens: Float[Tensor, "views tokens width"]
    dtype: torch.dtype
    """As the array had it."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What the arrays of one stream look like."""

    stream: str
    """`semantic` or `motion`: names the options in messages."""
    grid: Grid
    axes: tuple[Axis, ...] | None = None
    """If not declared, `tokens, channels` is expected, and refused where the shape leaves it open."""
    drop_tokens: tuple[SpecialTokens, ...] = ()
    """Special tokens in front of the patches, to be left out."""

    def __post_init__(self) -> None:
        axes, option = self.axes or DEFAULT_AXES, f"--{self.stream}-axes"
        if "tokens" in axes and {"rows", "cols"} & set(axes):
            raise InputError(f"{option}: got {','.join(axes)}; `tokens` stands for rows and cols together")
        if "tokens" not in axes:
            if math.prod(self._sizes.get(axis, 1) for axis in axes) != self.grid.num_tokens:
                raise InputError(f"{option}: {','.join(axes)} leave out sides of the grid {self.grid}")
            if self.drop_tokens:
                raise InputError(f"--{self.stream}-drop-tokens needs the axis `tokens`, got {','.join(axes)}")

    def arrange(self, array: Tensor) -> Arranged:
        """Tokens in the grid's order, frame by frame, row by row.

        Raises:
            InputError: if the array's shape is not the declared one: what was found, and what to do.
        """
        axes = self.axes or DEFAULT_AXES
        shaped, notes = self._squeezed(array, axes)
        self._check(shaped.shape, axes)
        averaged = [place for place, axis in enumerate(axes) if axis == "mean"]
        if averaged:
            shaped = shaped.float().mean(dim=averaged)
            axes = tuple(axis for axis in axes if axis != "mean")
        order = [axes.index(axis) for axis in ORDER if axis in axes]
        shaped = shaped.permute(order)
        if "views" not in axes:
            shaped = shaped[None]
        if self.drop_tokens:
            shaped = shaped[..., self._num_dropped :, :]  # `tokens` is now the last axis but one
        tokens = shaped.reshape(shaped.shape[0], self.grid.num_tokens, shaped.shape[-1])
        return Arranged(tokens, array.dtype, notes)

    @property
    def _num_dropped(self) -> int:
        return sum(NUM_SPECIAL[kind] for kind in self.drop_tokens)

    @functools.cached_property
    def _sizes(self) -> dict[Axis, int]:
        """Size that the grid gives each axis; views, channels and mean may have any."""
        sides: dict[Axis, int] = dict(zip(("frames", "rows", "cols"), self.grid.shape, strict=True))
        axes = self.axes or DEFAULT_AXES
        tokens = math.prod(size for axis, size in sides.items() if axis not in axes)
        return {**sides, "tokens": tokens + self._num_dropped}

    def _squeezed(self, array: Tensor, axes: tuple[Axis, ...]) -> tuple[Tensor, tuple[str, ...]]:
        """Without axes of size 1 that are not declared."""
        if array.ndim == len(axes):
            return array, ()
        shape = list(array.shape)
        wide = [axis for axis in axes if self._sizes.get(axis) != 1]
        squeezed = array.squeeze()
        if squeezed.ndim == len(wide):
            for place, axis in enumerate(axes):
                if axis not in wide:
                    squeezed = squeezed.unsqueeze(place)
            return squeezed, (f"squeezed {shape} to {list(squeezed.shape)}",)
        if self.axes is None:
            raise InputError(
                f"has the shape {shape}, not (tokens, channels); name its axes with --{self.stream}-axes, "
                "for example frames,rows,cols,channels; an axis named `mean` is averaged over"
            )
        raise InputError(
            f"has the shape {shape}, but the declared axes are {','.join(axes)}; pool what is too much "
            f"before the import, or name it `mean` in --{self.stream}-axes to average over it"
        )

    def _check(self, shape: Sequence[int], axes: tuple[Axis, ...]) -> None:
        wrong = [
            (axis, size, self._sizes[axis])
            for axis, size in zip(axes, shape, strict=True)
            if size != self._sizes.get(axis, size)
        ]
        found = f"has the shape {list(shape)}"
        if wrong:
            axis, size, expected = wrong[0]
            extra = size - expected
            if axis == "tokens" and not self.drop_tokens and extra in KNOWN_EXTRA:
                raise InputError(
                    f"{found}: {size} tokens are the {expected} of the grid {self.grid} and {extra} "
                    f"in front, which look like {SPECIAL_NAMES[extra]}; leave them out with "
                    f"--{self.stream}-drop-tokens {KNOWN_EXTRA[extra]}"
                )
            swapped = self.axes is None and shape[1] == expected
            hint = (
                f"the axes look swapped: say --{self.stream}-axes channels,tokens"
                if swapped
                else f"check --{self.stream}-grid, --{self.stream}-axes and --{self.stream}-drop-tokens"
            )
            raise InputError(f"{found}: {axis} should be {expected}, got {size}; {hint}")
        if self.axes is None and shape[0] == shape[1]:
            raise InputError(
                f"{found}: as square as it is, it does not tell tokens from channels; say "
                f"--{self.stream}-axes tokens,channels or channels,tokens"
            )


def parse_axes(text: str | None, *, option: str) -> tuple[Axis, ...] | None:
    """Axes from `frames,rows,cols,channels`.

    Raises:
        InputError: if a name is unknown, occurs twice, or `channels` is absent.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    axes = tuple(axis for name in names for axis in get_args(Axis) if axis == name)
    repeated = any(axes.count(axis) > 1 for axis in axes if axis != "mean")
    if len(axes) != len(names) or repeated or "channels" not in axes:
        known = ", ".join(get_args(Axis))
        raise InputError(f"{option}: got {text!r}; name each axis once, `channels` among them, of {known}")
    return axes


def parse_grid(text: str, *, option: str) -> Grid:
    """A grid from `8x14x14` (frames, rows, columns), `14x14` (one frame) or `8` (a chain of segments).

    Raises:
        InputError: if `text` is none of these.
    """
    sides = text.split("x")
    if not all(side.isdecimal() and int(side) > 0 for side in sides) or len(sides) > 3:
        raise InputError(f"{option}: got {text!r}; give frames x rows x columns, as in 8x14x14, 14x14 or 8")
    numbers = [int(side) for side in sides]
    match len(numbers):
        case 1:
            return Grid(numbers[0], 1, 1)
        case 2:
            return Grid(1, *numbers)
        case _:
            return Grid(*numbers)
