"""What the names of classes tell: verb groups, and which classes swap in a mirror.

SSv2 writes a class as a template, `Pushing [something] from left to right`, and without
brackets in its list of labels. The form without brackets is used throughout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

_SIDES = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}
_SIDES |= {right: left for left, right in _SIDES.items()}
_SIDE = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(_SIDES)})(?![A-Za-z])")
_AT_ONCE = re.compile(r"\bright (?:out|away|now|after|before)\b", re.IGNORECASE)
"""Where `right` is no side, as in `pulling it right out`."""


def strip_brackets(template: str) -> str:
    """A template as SSv2's list of labels writes it: brackets go, words stay."""
    return " ".join(template.replace("[", "").replace("]", "").split())


def coarse_groups(class_names: Sequence[str]) -> tuple[Int64[np.ndarray, " classes"], tuple[str, ...]]:
    """Group of each class by the verb of its name, and the groups' names in order.

    The verb is the first word (`Pretending to close ...` is a pretending), or the second
    where the first is `Something` (`Something falling like a rock`). The 174 classes of
    SSv2 make 52 groups.
    """
    verbs = [_verb(name) for name in class_names]
    names = tuple(sorted(set(verbs)))
    return np.array([names.index(verb) for verb in verbs], dtype=np.int64), names


def flip_pairs(class_names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of classes whose names differ in left and right only: they swap in a mirror.

    Derived from the names, so that it holds for any class order; in SSv2's order the
    pairs are 86/87, 93/94 and 166/167.
    """
    index_of = {name: index for index, name in enumerate(class_names)}
    partners = [index_of.get(_mirrored(name), index) for index, name in enumerate(class_names)]
    return tuple((index, partner) for index, partner in enumerate(partners) if index < partner)


def flip_labels(class_names: Sequence[str]) -> Int64[np.ndarray, " classes"]:
    """Label that each class takes in a mirror; -1 where no class of the list is right.

    -1 is a class that names a side but whose mirror image is not in the list, as in a
    subset with `Pushing something from left to right` or `Swiping left` alone: its clips
    must not be mirrored.
    """
    labels = np.arange(len(class_names), dtype=np.int64)
    for first, second in flip_pairs(class_names):
        labels[first], labels[second] = second, first
    for index, name in enumerate(class_names):
        if labels[index] == index and _SIDE.search(_AT_ONCE.sub("", name)):
            labels[index] = -1
    return labels


def _verb(name: str) -> str:
    words = [word for word in re.split(r"[\s_]+", name) if word.lower() != "something"]
    return words[0].capitalize() if words else name


def _mirrored(name: str) -> str:
    return _SIDE.sub(lambda match: _SIDES[match[0]], name)
