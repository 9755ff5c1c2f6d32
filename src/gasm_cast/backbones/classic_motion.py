"""Weight-free motion tokens: the descriptors of dense trajectories on dense optical flow.

A clip of 16 frames is cut into 8 segments of two frames. For each segment and each cell
of a 4 x 4 grid over the frame four histograms of 8 directions are taken:

====  ==========================================================================
HOG   gradient of the grey values, averaged over the segment's two frames
HOF   optical flow
MBHx  gradient of the flow's horizontal component: motion boundaries, which a
      moving camera does not make
MBHy  gradient of the flow's vertical component
====  ==========================================================================

so that a segment has 4 x 4 x 4 x 8 = 512 numbers. The flow from a segment's first frame
to its second counts fully, those from the frame before and to the frame after half,
since they belong to the neighbouring segment as much; the mean is taken over what there is.

Differs from the source: no trajectories, every pixel counts once, at its place; each
vector is shared between the two nearest of 8 directions with its magnitude as weight
(no separate bin for rest: the sum of the bins tells speed); histograms are square-rooted
but not normalised, because how fast things move is part of what happens.

Sources:
    Wang, Klaeser, Schmid and Liu 2013, "Dense trajectories and motion boundary
    descriptors for action recognition"; flow: Kroeger et al. 2016, "Fast optical flow
    using dense inverse search" (OpenCV's DISOpticalFlow).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from jaxtyping import Float32, Int, Shaped, UInt8

from gasm_cast.backbones.contract import CLIP_FRAMES, SEGMENTS, Stream, check_frames
from gasm_cast.backbones.directions import direction_histograms, gradient, mirrored_directions
from gasm_cast.geometry import Grid, StreamSpec

SIZE_PX: Final = 224
CELLS: Final = 4
DIRECTIONS: Final = 8
REDUCTION: Final = 2
"""Flow is smooth (DIS itself works on reduced frames), so its histograms are taken at half the size."""
DESCRIPTORS: Final = ("hog", "hof", "mbhx", "mbhy")
WIDTH: Final = CELLS * CELLS * len(DESCRIPTORS) * DIRECTIONS


@dataclass(frozen=True)
class ClassicMotion:
    """Motion tokens without weights: 8 segments, 512 numbers each."""

    name: str = "classic"
    stream: Stream = "motion"
    input_size_px: int = SIZE_PX
    num_frames: int = CLIP_FRAMES
    in_worker: bool = True

    @property
    def spec(self) -> StreamSpec:
        """Grid and width of the tokens."""
        return StreamSpec(Grid(SEGMENTS, 1, 1), WIDTH)

    def describe(self) -> dict[str, Any]:
        """What the features depend on; `definition` changes whenever the numbers do."""
        return {
            "name": self.name,
            "stream": self.stream,
            "definition": 1,
            "pixels": "grey of RGB, uint8, 0..255 as they are",
            "input_size_px": self.input_size_px,
            "num_frames": self.num_frames,
            "flow": "DIS, preset fast",
        }

    def forward(
        self, frames: Shaped[np.ndarray, "batch frames height width 3"]
    ) -> Float32[np.ndarray, "batch tokens channels"]:
        """Tokens of a batch of clips.

        Raises:
            InputError: if the frames are not uint8 or of another shape.
        """
        check_frames(frames, num_frames=self.num_frames, size_px=self.input_size_px)
        tokens = np.empty((len(frames), SEGMENTS, WIDTH), np.float32)
        with _one_thread():
            for clip, clip_tokens in zip(frames, tokens, strict=True):
                clip_tokens[:] = describe_clip(clip)
        return tokens


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for OpenCV: DIS splits its work by their number, and its result depends on the split."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def describe_clip(
    clip: UInt8[np.ndarray, "frames height width 3"],
) -> Float32[np.ndarray, "segments channels"]:
    """Tokens of one clip, in order of time."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]
    appearance = np.stack([_histograms(*gradient(grey, scale=1 / 255)) for grey in greys])
    motion = np.stack([_flow_histograms(flow) for flow in _flows(greys)])
    hog = appearance.reshape(SEGMENTS, 2, CELLS, CELLS, 1, DIRECTIONS).mean(1)
    descriptors = np.concatenate([hog, _by_segment(motion)], axis=3)
    tokens: Float32[np.ndarray, "segments channels"] = np.sqrt(descriptors).reshape(SEGMENTS, WIDTH)
    return tokens


def mirrored_channels() -> Int[np.ndarray, " channels"]:
    """Channel of a clip's tokens that each channel holds once the clip is mirrored left to right.

    Cells change columns and directions turn. Mirrored flow is (-u, v): of its components the
    horizontal one changes sign with the axis, so that its gradient keeps x and turns y.
    Exact but for the flow itself, which DIS does not find quite alike in a mirror.
    """
    turned: dict[str, Literal["x", "y"]] = {"hog": "x", "hof": "x", "mbhx": "y", "mbhy": "x"}
    index = np.arange(WIDTH).reshape(CELLS, CELLS, len(DESCRIPTORS), DIRECTIONS)[:, ::-1]
    mirrored = [
        index[:, :, number, mirrored_directions(DIRECTIONS, axis=turned[name])]
        for number, name in enumerate(DESCRIPTORS)
    ]
    return np.stack(mirrored, axis=2).ravel()


def _flows(greys: list[UInt8[np.ndarray, "height width"]]) -> list[Float32[np.ndarray, "height width 2"]]:
    """Optical flow from each frame to the next, in px."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return [dis.calc(before, after, None) for before, after in itertools.pairwise(greys)]


def _by_segment(
    steps: Float32[np.ndarray, "steps rows cols descriptors directions"],
) -> Float32[np.ndarray, "segments rows cols descriptors directions"]:
    """Weighted mean of each segment's steps: the one inside it 1, those that lead in and out a half each."""
    weights = np.zeros((SEGMENTS, len(steps)), np.float32)
    for segment in range(SEGMENTS):
        weights[segment, 2 * segment] = 1
        for crossing in (2 * segment - 1, 2 * segment + 1):
            if 0 <= crossing < len(steps):
                weights[segment, crossing] = 0.5
    weights /= weights.sum(1, keepdims=True)
    means: Float32[np.ndarray, "segments rows cols descriptors directions"] = np.einsum(
        "st,tyxdb->syxdb", weights, steps
    )
    return means


def _flow_histograms(
    flow: Float32[np.ndarray, "height width 2"],
) -> Float32[np.ndarray, "rows cols descriptors directions"]:
    """HOF, MBHx and MBHy of one step."""
    x, y = cv2.split(cv2.resize(flow, None, fx=1 / REDUCTION, fy=1 / REDUCTION, interpolation=cv2.INTER_AREA))
    boundaries = (gradient(component, scale=1 / REDUCTION) for component in (x, y))
    return np.stack([_histograms(x, y), *(_histograms(*boundary) for boundary in boundaries)], axis=2)


def _histograms(
    x: Float32[np.ndarray, "height width"], y: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "rows cols directions"]:
    return direction_histograms(x, y, cell_px=len(x) // CELLS, num_directions=DIRECTIONS)
