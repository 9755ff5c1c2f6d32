"""One table of clips and labels, whatever files they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from gasm_cast.errors import InputError

UNLABELLED = -1
"""Label of a clip in a split without labels; never mixed with real labels."""


@dataclass(frozen=True, eq=False)
class ClipTable:
    """Clips of one split: id, label and file of each, joined by id and never by order."""

    ids: tuple[str, ...]
    labels: Int64[np.ndarray, " clips"]
    """Class indices; `UNLABELLED` throughout where the split has no labels."""
    paths: tuple[Path | None, ...]
    """Video files; None where no file was found."""
    class_names: tuple[str, ...]
    """Names in the order of their indices, brackets of SSv2's templates stripped."""
    split: str
    notes: tuple[str, ...] = ()
    """What the reader passed over, to be shown to the user."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> bool:
        """Whether the clips have labels."""
        return len(self) > 0 and bool((self.labels != UNLABELLED).all())

    def select(self, rows: Sequence[int] | Int64[np.ndarray, " rows"], split: str | None = None) -> ClipTable:
        """The clips at `rows`, in that order, as a split of the same or of another name."""
        rows = [int(row) for row in rows]
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            labels=self.labels[rows],
            paths=tuple(self.paths[row] for row in rows),
            split=self.split if split is None else split,
        )

    def class_counts(self) -> Int64[np.ndarray, " classes"]:
        """Clips of each class."""
        return np.bincount(self.labels[self.labels != UNLABELLED], minlength=len(self.class_names))

    def require_labels(self) -> None:
        """Refuse a split without labels.

        Raises:
            InputError: if the clips have no labels, as in the public test split of SSv2.
        """
        if not self.labelled:
            raise InputError(
                f"split {self.split!r} has no labels, so it cannot be trained on or scored; "
                "choose another split, or `gasm-cast predict`; answers of SSv2's test split belong beside "
                "test.json, as test-answers.csv"
            )


def same_classes(expected: Sequence[str], got: Sequence[str], *, where: str) -> None:
    """Refuse a class list that differs from the one a model learned; order counts.

    Args:
        expected: Class names of the model.
        got: Class names of the annotations.
        where: What `got` comes from, for the message.

    Raises:
        InputError: naming the first difference.
    """
    for index, (wanted, found) in enumerate(zip(expected, got, strict=False)):
        if wanted != found:
            raise InputError(
                f"{where}: class {index} is {found!r}, but the model learned {wanted!r} as class {index}; "
                f"use the class list that the model was trained with"
            )
    if len(expected) != len(got):
        raise InputError(
            f"{where}: {len(got)} classes, but the model learned {len(expected)}; "
            f"use the class list that the model was trained with"
        )


def cross_split_duplicates(tables: Sequence[ClipTable]) -> list[tuple[str, str, str]]:
    """Ids that occur in two splits, each as (id, split, other split)."""
    return [
        (clip_id, first.split, second.split)
        for first, second in combinations(tables, 2)
        for clip_id in sorted(set(first.ids) & set(second.ids))
    ]
