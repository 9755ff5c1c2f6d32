"""Reading the annotations that people have into one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from gasm_cast.annotations.files import find_video_folder, match_files, video_files
from gasm_cast.annotations.labels import read_class_names, read_json, to_indices
from gasm_cast.annotations.lists import LIST_SUFFIXES, Row, class_names_of, read_list
from gasm_cast.annotations.sources import (
    ALL,
    available_splits,
    class_folders,
    class_list,
    labels_folder,
    split_source,
    split_sources,
)
from gasm_cast.annotations.table import UNLABELLED, ClipTable
from gasm_cast.errors import InputError
from gasm_cast.files import AnyPath

_ANSWERS = "test-answers.csv"


def read_annotations(
    path: AnyPath, split: str, video_folder: AnyPath | None = None, *, test_answers: bool = False
) -> ClipTable:
    """Clips and labels of one split.

    Understood are

    * the folder of Something-Something V2: `labels.json`, `train.json`,
      `validation.json`, `test.json`, with or without `something-something-v2-` before
      the name, also in a folder `labels` below `path`;
    * a folder with `train.csv`, `validation.csv` (or `val.csv`) ..., or one such file,
      with lines of `path,label` or `id,label`, or `path label` as in Kinetics lists;
      class names come from `labels.json`, `classes.json` or `classes.txt` beside them,
      else from all the lists together;
    * a folder of videos per class, or such a folder per split.

    Args:
        path: Folder or list.
        split: `train`, `validation`, `test`; `all` for a source that is not divided.
        video_folder: Where the videos lie; by default `videos` beside the annotations.
        test_answers: Label the test split of Something-Something V2 from `test-answers.csv`, where
            that lies beside it.

    Raises:
        InputError: if the files are missing, malformed or empty, a label is no class, or
            an id has two labels.
    """
    path = Path(path)
    videos = None if video_folder is None else Path(video_folder)
    offered = available_splits(path)
    if split not in offered:
        hint = ""
        if offered == (ALL,):
            hint = "; `gasm-cast fit` divides it"
        elif split == ALL:
            hint = "; it is divided already: `gasm-cast extract` and `train` take it as it is"
        raise InputError(f"{path}: no split {split!r}; it offers {', '.join(offered)}{hint}")
    path = labels_folder(path)
    source = path if split == ALL else split_source(path, split)
    if source is None or source.is_dir():
        return _read_class_folders(path, source or path, split)
    folder = source.parent
    if source.suffix == ".json":
        rows = _read_ssv2(source, test_answers and split == "test")
        names = class_list(folder)
        if names is None:
            raise InputError(f"{folder}: no labels.json beside {source.name}; put the list of classes there")
        class_names = read_class_names(names)
    else:
        rows = read_list(source)
        class_names = _class_names(folder, [source] if split == ALL else split_sources(folder))
    folders = (find_video_folder(folder, videos), folder)
    return _table(rows, match_files([row.file for row in rows], folders), class_names, source, split)


def _read_ssv2(source: Path, test_answers: bool) -> list[Row]:
    entries = read_json(source)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{source}: expected a list of {{"id": ..., "template": ...}}')
    answers: dict[str, str | None] = {}
    if test_answers and (source.parent / _ANSWERS).is_file():
        answers = {row.clip_id: row.label for row in read_list(source.parent / _ANSWERS)}
    rows = []
    for number, entry in enumerate(entries, start=1):
        if "id" not in entry:
            raise InputError(f"{source}: entry {number} has no id")
        clip_id = str(entry["id"])
        rows.append(Row(clip_id, clip_id, answers.get(clip_id, entry.get("template"))))
    return rows


def _class_names(folder: Path, sources: Sequence[Path]) -> tuple[str, ...]:
    """From the class list, else from all lists of the folder, so that every split counts alike."""
    names = class_list(folder)
    if names is not None:
        return read_class_names(names)
    lists = [source for source in sources if source.suffix in LIST_SUFFIXES]
    labels = [row.label for source in lists for row in read_list(source) if row.label is not None]
    return class_names_of(labels, folder)


def _read_class_folders(root: Path, folder: Path, split: str) -> ClipTable:
    """Ids are paths below `root`, so that equal file names in two splits stay apart."""
    folders = [root] if folder == root else [source for source in split_sources(root) if source.is_dir()]
    class_names = tuple(sorted({inner.name for each in folders for inner in class_folders(each)}))
    rows: list[Row] = []
    paths: list[Path | None] = []
    for inner in class_folders(folder):
        for file in video_files(inner):
            name = file.relative_to(root)
            rows.append(Row(name.with_suffix("").as_posix(), name.as_posix(), inner.name))
            paths.append(file)
    return _table(rows, paths, class_names, folder, split)


def _table(
    rows: Sequence[Row],
    paths: Sequence[Path | None],
    class_names: tuple[str, ...],
    source: Path,
    split: str,
) -> ClipTable:
    if not rows:
        raise InputError(f"{source}: split {split!r} is empty; list its clips there, or choose another split")
    labels = _labels(rows, class_names, source, split)
    kept = _without_repeats(rows, labels, class_names, source)
    num_repeats = len(rows) - len(kept)
    return ClipTable(
        ids=tuple(rows[row].clip_id for row in kept),
        labels=labels[kept],
        paths=tuple(paths[row] for row in kept),
        class_names=class_names,
        split=split,
        notes=(f"{source}: {num_repeats} repeated row(s) passed over",) if num_repeats else (),
    )


def _labels(
    rows: Sequence[Row], class_names: tuple[str, ...], source: Path, split: str
) -> Int64[np.ndarray, " clips"]:
    texts = [row.label for row in rows if row.label is not None]
    if not texts and split in ("test", ALL):
        return np.full(len(rows), UNLABELLED, dtype=np.int64)
    if len(texts) < len(rows):
        first = next(row.clip_id for row in rows if row.label is None)
        raise InputError(
            f"{source}: {len(rows) - len(texts)} of {len(rows)} clips have no label, the first is {first!r}; "
            f"label all of them or take them out"
        )
    return to_indices(texts, class_names, source=source)


def _without_repeats(
    rows: Sequence[Row], labels: Int64[np.ndarray, " clips"], class_names: tuple[str, ...], source: Path
) -> list[int]:
    """Rows that are the first of their id; another label or another file under one id is an error."""
    first_of: dict[str, int] = {}
    second_of: dict[str, int] = {}
    for number, row in enumerate(rows):
        first = first_of.setdefault(row.clip_id, number)
        if labels[first] != labels[number]:
            raise InputError(
                f"{source}: id {row.clip_id!r} has two labels, {class_names[labels[first]]!r} and "
                f"{class_names[labels[number]]!r}; keep one"
            )
        if rows[first].file != row.file:
            second_of.setdefault(row.clip_id, number)
    if second_of:
        (clip_id, second), *others = second_of.items()
        so_do = f" (so do {', '.join(repr(other) for other, _ in others)})" if others else ""
        raise InputError(
            f"{source}: id {clip_id!r} stands for two files, {rows[first_of[clip_id]].file} and "
            f"{rows[second].file}{so_do}; rename one"
        )
    return list(first_of.values())
