"""Photographs that Python packages carry, with their main things outlined by hand.

Outlines are coarse polygons `(x, y)` on the centre square, in fourteenths of its side.
"""

from __future__ import annotations

import cv2
import numpy as np
import skimage.data
import sklearn.datasets

Outline = list[tuple[float, float]]

UNIT = 14

# fmt: off
OUTLINES: dict[str, list[Outline]] = {
    "astronaut": [
        [
            (4.5, 0.5), (8, 0.5), (8.3, 3), (7.5, 4.2), (8.4, 5.5), (9.8, 7.5), (9.8, 9.3), (12.5, 9.3),
            (13.7, 12), (13.6, 14), (0.3, 14), (1, 8), (3.2, 6.8), (3.5, 4.5), (4.2, 2.5),
        ],
    ],
    "camera": [
        [
            (5, 1.8), (7.2, 2), (7.4, 3.5), (9, 3.9), (8.8, 5.5), (8, 6), (7, 8), (4.5, 9),
            (4.2, 14), (2.5, 14), (2, 11), (0, 10.5), (0, 5), (4.2, 3.5),
        ],
    ],
    "coffee": [
        [
            (0.5, 7), (2.5, 4.5), (2.6, 2), (4, 0.8), (7, 0.4), (10, 1.2), (10.8, 3.5), (12.5, 5.5),
            (13, 8), (12, 11), (9.5, 13), (6, 13.5), (2.5, 12), (0.5, 9.5),
        ],
    ],
    "rocket": [
        [
            (6.7, 4.2), (7.1, 3.8), (7.5, 4.2), (7.7, 7), (7.7, 13.3), (6.5, 13.3), (6.6, 7),
        ],
    ],
    "motorcycle": [
        [
            (0.2, 8), (0.5, 5.8), (1, 4.2), (3, 4.3), (5, 5.2), (8, 4.5), (9.5, 4.3), (10, 3),
            (11.5, 2), (12.3, 3), (12.3, 4.8), (13, 7), (14, 7.5), (14, 12), (12, 11.8), (10.8, 10),
            (9, 10.3), (4.5, 10.5), (4, 11), (2, 11.3), (0.3, 10),
        ],
    ],
    "pagoda": [
        [
            (3.2, 1), (5.5, 3), (7, 4.3), (6.3, 4.6), (7.3, 5.6), (6.8, 7.5), (8, 8.5), (7.6, 9.7),
            (8.6, 11), (7.6, 12.2), (7.5, 14), (4.5, 14), (3, 12), (0, 11), (0, 3.9), (0.5, 3.8),
            (2.6, 2),
        ],
    ],
    "flower": [
        [
            (6.9, 2.8), (8.5, 3), (9.8, 4), (10.9, 5.8), (11.1, 7.5), (10.6, 9.5), (9.3, 11.2), (7, 11.8),
            (4.8, 11.2), (2.8, 9.5), (2.1, 7.5), (2.5, 5.3), (4, 3.7), (5.5, 3),
        ],
        [
            (6, 13), (7, 12.4), (9, 12.3), (10.8, 13.2), (10.8, 14), (6, 14),
        ],
    ],
}
# fmt: on


def photographs(size_px: int) -> dict[str, np.ndarray]:
    """Centre squares `[size, size, 3]` of the outlined pictures, by name."""
    pagoda, flower = sklearn.datasets.load_sample_images().images
    pictures = {
        "astronaut": skimage.data.astronaut(),
        "camera": np.repeat(skimage.data.camera()[..., None], 3, axis=2),
        "coffee": skimage.data.coffee(),
        "rocket": skimage.data.rocket(),
        "motorcycle": skimage.data.stereo_motorcycle()[0],
        "pagoda": pagoda,
        "flower": flower,
    }
    return {name: _square(picture, size_px) for name, picture in pictures.items()}


def _square(picture: np.ndarray, size_px: int) -> np.ndarray:
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    cut = picture[top : top + side, left : left + side]
    return cv2.resize(cut, (size_px, size_px), interpolation=cv2.INTER_AREA)


def figure(name: str, side: int) -> np.ndarray:
    """Which of `side * side` patches the outlined thing fills at least by half."""
    fine = 16
    polygons = [
        np.round(np.array(outline) * side * fine / UNIT).astype(np.int32) for outline in OUTLINES[name]
    ]
    mask = np.zeros((side * fine, side * fine), np.float32)
    cv2.fillPoly(mask, polygons, 1.0)
    return cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA).ravel() >= 0.5
