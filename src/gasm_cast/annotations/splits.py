"""Dividing one table into splits and folds, and writing the result down.

`random` draws within each class, so that every split has every class. `block` cuts each
class's clips, in natural order of their ids, into contiguous pieces: clips cut from one
recording follow each other and look alike, and a random draw would put some of them on
both sides.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64

from gasm_cast.annotations.table import ClipTable
from gasm_cast.errors import InputError
from gasm_cast.files import write_text

Division = Literal["random", "block"]


def split_table(
    table: ClipTable, fractions: Mapping[str, float], *, by: Division = "random", seed: int = 0
) -> dict[str, ClipTable]:
    """Divide a table into splits of the given fractions, class by class.

    Each split gets at least one clip of every class that has clips enough.

    Args:
        table: Labelled clips.
        fractions: Share of each split; they are scaled to add up to one.
        by: Drawn at random, or in contiguous blocks in the order of `fractions`.
        seed: Seed of the draw.

    Raises:
        InputError: if a class has fewer clips than there are splits.
        ValueError: if a fraction is not positive.
    """
    if not fractions or min(fractions.values()) <= 0:
        raise ValueError(f"fractions must be positive, got {dict(fractions)}")
    shares = np.cumsum(list(fractions.values())) / sum(fractions.values())
    parts: list[list[int]] = [[] for _ in fractions]
    for name, rows in _classes(table, by, seed):
        if len(rows) < len(fractions):
            raise InputError(
                f"class {name!r} has {len(rows)} clip(s), too few for {len(fractions)} splits; "
                f"add clips or leave the class out"
            )
        cuts = np.rint(shares * len(rows)).astype(int)
        for place in range(len(parts)):  # at least one clip each, and enough left for those that follow
            before = cuts[place - 1] if place else 0
            cuts[place] = np.clip(cuts[place], before + 1, len(rows) - (len(parts) - 1 - place))
        for part, piece in zip(parts, np.split(rows, cuts[:-1]), strict=True):
            part.extend(piece.tolist())
    return {split: table.select(sorted(part), split) for split, part in zip(fractions, parts, strict=True)}


def fold_table(
    table: ClipTable, num_folds: int, fold: int, *, by: Division = "random", seed: int = 0
) -> tuple[ClipTable, ClipTable]:
    """Training and validation part of one fold of `num_folds`; over all folds each clip validates once.

    Raises:
        InputError: if a class has fewer clips than there are folds.
        ValueError: if `fold` does not lie in [0, num_folds).
    """
    if not 0 <= fold < num_folds or num_folds < 2:
        raise ValueError(
            f"fold must lie in [0, num_folds) with at least two folds, got {fold=}, {num_folds=}"
        )
    parts = split_table(table, {str(number): 1.0 for number in range(num_folds)}, by=by, seed=seed)
    held_out = set(parts[str(fold)].ids)
    rows = [row for row, clip_id in enumerate(table.ids) if clip_id not in held_out]
    validation = [row for row, clip_id in enumerate(table.ids) if clip_id in held_out]
    return table.select(rows, "train"), table.select(validation, "validation")


def write_annotations(folder: Path, tables: Mapping[str, ClipTable]) -> None:
    """Write splits as `labels.json` and `<split>.csv` (`id,path,label`), for :func:`read_annotations`.

    Raises:
        InputError: if the folder cannot be written.
        ValueError: if the splits have different classes.
    """
    class_lists = {table.class_names for table in tables.values()}
    if len(class_lists) != 1:
        raise ValueError(f"splits of one folder need one class list, got {len(class_lists)}")
    for split, table in tables.items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "path", "label"] if table.labelled else ["id", "path"])
        for clip_id, path, label in zip(table.ids, table.paths, table.labels, strict=True):
            row = [clip_id, clip_id if path is None else path.absolute().as_posix()]
            writer.writerow([*row, table.class_names[label]] if table.labelled else row)
        write_text(folder / f"{split}.csv", text.getvalue())
    index_of = {name: str(index) for index, name in enumerate(class_lists.pop())}
    write_text(folder / "labels.json", json.dumps(index_of, indent=0, ensure_ascii=False) + "\n")


def _classes(table: ClipTable, by: Division, seed: int) -> list[tuple[str, Int64[np.ndarray, " clips"]]]:
    """Rows of each class that has any, in the order in which they are to be cut."""
    table.require_labels()
    rng = np.random.default_rng(seed)
    natural = np.array(sorted(range(len(table)), key=lambda row: natural_key(table.ids[row])), dtype=np.int64)
    classes = []
    for index, name in enumerate(table.class_names):
        rows = natural[table.labels[natural] == index]
        if len(rows):
            classes.append((name, rng.permutation(rows) if by == "random" else rows))
    return classes


def natural_key(clip_id: str) -> list[tuple[int, str]]:
    """Key by which `clip2` comes before `clip10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", clip_id)]
