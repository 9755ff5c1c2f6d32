"""Weight-free semantic tokens: colour, gradient orientation and texture of 14 x 14 cells.

Each cell of 16 x 16 px of a frame is described by 768 numbers:

=======  =========================================================================
4 x 104  statistics at four scales: the cell, 3 x 3 cells, 5 x 5 cells, the frame;
         they are a soft colour histogram (24 of L, a, b; 12 of hue, weighted by
         saturation), moments of L, a, b (9), gradient orientations of the frame and
         of a blurred copy (2 x 8), local binary patterns (10), DCT energies (33)
2 x 128  gradient orientations in a 4 x 4 layout, over 16 px and over 48 px
2 x 48   mean L, a, b in a 4 x 4 layout, over 16 px and over 48 px
=======  =========================================================================

Frequencies, magnitudes and energies are compressed by a square root (for histograms the
Hellinger map). Magnitudes are kept, not normalised away: faint texture and strong edges
differ. All numbers lie within [-4, 4], so half precision holds them well.

Sources:
    Gradient orientations: Dalal and Triggs 2005 (HOG); their 4 x 4 layout: Lowe 2004
    (SIFT); local binary patterns: Ojala et al. 2002; square roots of histograms:
    Arandjelovic and Zisserman 2012 (RootSIFT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, Shaped, UInt8

from gasm_cast.backbones.contract import (
    CLIP_FRAMES,
    SemanticFrames,
    Stream,
    check_frames,
    join_frames,
    kept_frames,
    num_maps,
)
from gasm_cast.backbones.directions import (
    cell_of_pixel,
    direction_histograms,
    gradient,
    mirrored_directions,
)
from gasm_cast.geometry import Grid, StreamSpec

CELLS: Final = 14
CELL_PX: Final = 16
SIZE_PX: Final = CELLS * CELL_PX
LAYOUT: Final = 4
"""A layout has 4 x 4 parts."""
BLOCK_PX: Final = CELL_PX // LAYOUT
DIRECTIONS: Final = 8
LEVELS: Final = 8
"""Histogram bins of each of L, a, b."""
HUES: Final = 12
PATTERNS: Final = 10
"""Local binary patterns: 0 to 8 brighter neighbours if they are adjacent, and all others."""
PATTERN_CONTRAST: Final = 3
"""Grey levels by which a neighbour must be brighter: keeps compression noise out of flat areas."""
DCT_PX: Final = 8
DCT_KEPT: Final = 33
"""DCT coefficients kept, from the lowest on, without the mean."""
NEIGHBOURHOODS: Final = (1, 3, 5)
"""Sides, in cells, of the neighbourhoods that are described; the whole frame comes on top."""
NUM_COLOURS: Final = 3 * LEVELS + HUES
NUM_STATISTICS: Final = NUM_COLOURS + 9 + 2 * DIRECTIONS + PATTERNS + DCT_KEPT
WIDTH: Final = (len(NEIGHBOURHOODS) + 1) * NUM_STATISTICS + 2 * LAYOUT**2 * (DIRECTIONS + 3)


@dataclass(frozen=True)
class ClassicSemantic:
    """Semantic tokens without weights: 14 x 14 cells a frame, 768 numbers each.

    Attributes:
        semantic_frames: How the frames of a clip become tokens.
    """

    semantic_frames: SemanticFrames = "mean"
    name: str = "classic"
    stream: Stream = "semantic"
    input_size_px: int = SIZE_PX
    num_frames: int = CLIP_FRAMES
    in_worker: bool = True

    @property
    def spec(self) -> StreamSpec:
        """Grid and width of the tokens."""
        return StreamSpec(Grid(num_maps(self.semantic_frames), CELLS, CELLS), WIDTH)

    def describe(self) -> dict[str, Any]:
        """What the features depend on; `definition` changes whenever the numbers do."""
        return {
            "name": self.name,
            "stream": self.stream,
            "definition": 1,
            "pixels": "RGB, uint8, 0..255 as they are",
            "input_size_px": self.input_size_px,
            "num_frames": self.num_frames,
            "semantic_frames": self.semantic_frames,
        }

    def forward(
        self, frames: Shaped[np.ndarray, "batch frames height width 3"]
    ) -> Float32[np.ndarray, "batch tokens channels"]:
        """Tokens of a batch of clips.

        Raises:
            InputError: if the frames are not uint8 or of another shape.
        """
        check_frames(frames, num_frames=self.num_frames, size_px=self.input_size_px)
        kept = kept_frames(self.semantic_frames)
        tokens = np.empty((len(frames), len(kept), CELLS * CELLS, WIDTH), np.float32)
        for clip, clip_tokens in zip(frames, tokens, strict=True):
            for position, index in enumerate(kept):
                clip_tokens[position] = describe_frame(clip[index])
        return join_frames(tokens, self.semantic_frames)


def describe_frame(frame: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "cells channels"]:
    """Tokens of one frame, row by row."""
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
    grey = np.ascontiguousarray(lab[..., 0])
    orientations = _orientations(grey)
    blurred = _orientations(cv2.GaussianBlur(grey, (0, 0), 2.0))
    colours = cv2.resize(lab, None, fx=1 / BLOCK_PX, fy=1 / BLOCK_PX, interpolation=cv2.INTER_AREA)
    statistics = np.concatenate(
        [
            *_colours(frame, lab),
            _cell_means(orientations),
            _cell_means(blurred),
            _binary_patterns(grey),
            _dct_energies(grey),
        ],
        axis=-1,
        dtype=np.float32,
    )
    around = [cv2.blur(statistics, (side, side), borderType=cv2.BORDER_REFLECT) for side in NEIGHBOURHOODS]
    around.append(np.broadcast_to(statistics.mean((0, 1)), statistics.shape))
    described = [
        *map(_compressed, around),
        *(np.sqrt(layout) for layout in _layouts(orientations)),
        *(layout / 64 - 2 for layout in _layouts(colours.astype(np.float32))),
    ]
    return np.concatenate(described, axis=-1, dtype=np.float32).reshape(CELLS * CELLS, WIDTH)


def mirrored_channels() -> Int[np.ndarray, " channels"]:
    """Channel of a frame's tokens that each channel holds once the frame is mirrored left to right.

    Orientations turn and the columns of layouts change places; colours, moments, patterns and
    magnitudes of the DCT stay. The cells change columns as well, which is not said here.
    """
    directions = mirrored_directions(DIRECTIONS)
    statistics = np.arange(NUM_STATISTICS)
    for first in (NUM_COLOURS + 9, NUM_COLOURS + 9 + DIRECTIONS):
        statistics[first : first + DIRECTIONS] = first + directions
    oriented = np.arange(LAYOUT**2 * DIRECTIONS).reshape(LAYOUT, LAYOUT, -1)[:, ::-1, directions]
    coloured = np.arange(LAYOUT**2 * 3).reshape(LAYOUT, LAYOUT, -1)[:, ::-1]
    parts = [statistics] * (len(NEIGHBOURHOODS) + 1) + [oriented.ravel()] * 2 + [coloured.ravel()] * 2
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    return np.concatenate([start + part for start, part in zip(starts, parts, strict=True)])


def _soft_bins(num_bins: int, num_values: int, *, circular: bool) -> Float32[np.ndarray, "256 bins"]:
    """Share that each bin has in each value: linear between the centres of the two nearest bins."""
    width = num_values / num_bins
    values = np.arange(256) / width - 0.5
    if not circular:
        values = np.clip(values, 0, num_bins - 1)
    distance = np.abs(values[:, None] - np.arange(num_bins))
    if circular:
        distance = np.minimum(distance, num_bins - distance)
    shares: Float32[np.ndarray, "256 bins"] = np.maximum(0, 1 - distance).astype(np.float32)
    return shares


_VALUES = np.arange(256) / 255
_LEVEL_BINS = np.concatenate(
    [_soft_bins(LEVELS, 256, circular=False), np.stack([_VALUES, _VALUES**2, _VALUES**3], axis=1)],
    axis=1,
    dtype=np.float32,
)
_HUE_BINS = _soft_bins(HUES, 180, circular=True)  # OpenCV counts hue in steps of two degrees


def _colours(
    frame: UInt8[np.ndarray, "height width 3"], lab: UInt8[np.ndarray, "height width 3"]
) -> list[Float[np.ndarray, "rows cols numbers"]]:
    """Soft histograms of L, a, b and hue, then the raw moments of L, a, b, of each cell."""
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    levels = [_cell_histogram(lab[..., channel]) @ _LEVEL_BINS for channel in range(3)]
    hues = _cell_histogram(hsv[..., 0], weights=hsv[..., 1] / 255) @ _HUE_BINS
    return [*(x[..., :LEVELS] for x in levels), hues, *(x[..., LEVELS:] for x in levels)]


def _cell_histogram(
    values: UInt8[np.ndarray, "height width"],
    *,
    num_values: int = 256,
    weights: Float[np.ndarray, "height width"] | None = None,
) -> Float[np.ndarray, "rows cols values"]:
    """Share of each value among the pixels of each cell."""
    index = (cell_of_pixel(SIZE_PX, CELL_PX) * num_values + values).ravel()
    counts = np.bincount(
        index, None if weights is None else weights.ravel(), minlength=CELLS * CELLS * num_values
    )
    return (counts / CELL_PX**2).astype(np.float32).reshape(CELLS, CELLS, num_values)


def _orientations(grey: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "rows cols directions"]:
    """Gradient magnitude in each direction, of each block."""
    return direction_histograms(*gradient(grey, scale=1 / 255), cell_px=BLOCK_PX, num_directions=DIRECTIONS)


def _cell_means(
    blocks: Float32[np.ndarray, "rows cols numbers"],
) -> Float32[np.ndarray, "cells cells numbers"]:
    means: Float32[np.ndarray, "cells cells numbers"] = blocks.reshape(CELLS, LAYOUT, CELLS, LAYOUT, -1).mean(
        (1, 3)
    )
    return means


def _layouts(
    blocks: Float32[np.ndarray, "rows cols numbers"],
) -> list[Float32[np.ndarray, "cells cells layout"]]:
    """Means in 4 x 4 parts of each cell, and of the 3 x 3 cells around it (mirrored at the edge)."""
    near = blocks.reshape(CELLS, LAYOUT, CELLS, LAYOUT, -1).transpose(0, 2, 1, 3, 4)
    padded = np.pad(blocks, ((LAYOUT, LAYOUT), (LAYOUT, LAYOUT), (0, 0)), mode="symmetric")
    # A part of the wide layout is 3 x 3 blocks; after the blur its mean stands at its middle block.
    blurred = cv2.blur(padded, (3, 3))
    middles = LAYOUT * np.arange(CELLS)[:, None] + 3 * np.arange(LAYOUT) + 1
    wide = blurred[middles[:, None, :, None], middles[None, :, None, :]]
    return [layout.reshape(CELLS, CELLS, -1) for layout in (near, wide)]


_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""The eight neighbours of a pixel in the order of a walk around it."""


def _pattern_classes() -> UInt8[np.ndarray, " codes"]:
    """Class of each local binary pattern: the number of set bits if they are adjacent, else 9."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(1)
    return np.where(changes <= 2, bits.sum(1), PATTERNS - 1).astype(np.uint8)


_PATTERN_CLASSES = _pattern_classes()


def _binary_patterns(grey: UInt8[np.ndarray, "height width"]) -> Float[np.ndarray, "rows cols patterns"]:
    """Share of each class of local binary pattern in each cell."""
    padded = np.pad(grey, 1, mode="edge")
    threshold = cv2.add(grey, PATTERN_CONTRAST)
    code = np.zeros_like(grey)
    for bit, (y, x) in enumerate(_NEIGHBOURS):
        brighter = padded[1 + y : 1 + y + SIZE_PX, 1 + x : 1 + x + SIZE_PX] > threshold
        code |= brighter.view(np.uint8) << np.uint8(bit)
    return _cell_histogram(_PATTERN_CLASSES[code], num_values=PATTERNS)


def _dct_basis() -> Float32[np.ndarray, "pixels kept"]:
    """The lowest two-dimensional DCT-II functions without the constant, by the sum of their frequencies."""
    k = np.arange(DCT_PX)
    basis = np.cos(np.pi * (k[:, None] + 0.5) * k / DCT_PX) * np.sqrt(2 / DCT_PX)
    products = np.einsum("yv,xu->yxvu", basis, basis).reshape(DCT_PX**2, DCT_PX**2)
    order = np.argsort(np.add.outer(k, k).ravel(), kind="stable")
    lowest: Float32[np.ndarray, "pixels kept"] = products[:, order[1 : 1 + DCT_KEPT]].astype(np.float32)
    return lowest


_DCT_BASIS = _dct_basis()


def _dct_energies(grey: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "rows cols kept"]:
    """Mean magnitude of each DCT coefficient over the blocks of 8 x 8 px of each cell."""
    side = SIZE_PX // DCT_PX
    blocks = grey.reshape(side, DCT_PX, side, DCT_PX).transpose(0, 2, 1, 3).reshape(side, side, DCT_PX**2)
    magnitudes = np.abs((blocks.astype(np.float32) / 255) @ _DCT_BASIS)
    per_cell = CELL_PX // DCT_PX
    means: Float32[np.ndarray, "rows cols kept"] = magnitudes.reshape(
        CELLS, per_cell, CELLS, per_cell, DCT_KEPT
    ).mean((1, 3))
    return means


def _compressed(
    statistics: Float32[np.ndarray, "rows cols statistics"],
) -> Float32[np.ndarray, "rows cols statistics"]:
    """Square roots, and for the colours mean, deviation and cube root of the third central moment."""
    first, second, third = np.moveaxis(
        statistics[..., NUM_COLOURS : NUM_COLOURS + 9].reshape(CELLS, CELLS, 3, 3), -1, 0
    )
    variance = np.maximum(second - first**2, 0)
    skewness = np.cbrt(third - 3 * first * second + 2 * first**3)
    moments = np.stack([first, np.sqrt(variance), skewness], axis=-1).reshape(CELLS, CELLS, 9)
    histogram, rest = statistics[..., :NUM_COLOURS], statistics[..., NUM_COLOURS + 9 :]
    return np.concatenate([np.sqrt(histogram), 4 * moments - 1, np.sqrt(rest)], axis=-1)
