"""`gasm-cast import`: features that people already have -> feature store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    from gasm_cast.store.importing import ImportedStream

MOST_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Options:
    """Features that you already have -> feature store.

    Each stream is a folder of .npy, .npz, .pt or .safetensors files, one for each id, or one
    HDF5 (or .safetensors) file with an entry for each id. The streams are joined by id, never
    by order. Nothing is unpickled, and nothing is guessed: what does not fit the declared
    axes and grid is refused by name.

    Ids that came since a store was finished are added to it. An id that is there is not read
    again: that its arrays changed is not noticed.

    Exit code 1 says that some ids have no features; they are listed with their reasons, and
    the store keeps them as failures.
    """

    semantic: Positional[Path]
    """Folder or file of the semantic stream."""
    motion: Positional[Path]
    """Folder or file of the motion stream."""
    out: Path
    """Feature store to write, or to complete."""
    semantic_grid: str = "1x14x14"
    """Frames x rows x columns of the semantic tokens."""
    motion_grid: str = "8x1x1"
    """The same for the motion stream; 8 alone is a chain of eight segments."""
    semantic_axes: str | None = None
    """Axes of a semantic array in order, of views, frames, rows, cols, tokens, channels; an axis called
    `mean` is averaged over. Expected if not said: tokens,channels."""
    motion_axes: str | None = None
    """The same for the motion stream."""
    semantic_drop_tokens: tuple[Literal["cls", "registers"], ...] = ()
    """Tokens in front of the patches to leave out: a CLS token, four register tokens."""
    motion_drop_tokens: tuple[Literal["cls", "registers"], ...] = ()
    """The same for the motion stream."""
    semantic_names: str = "{id}"
    """How semantic files or entries are called, without ending; `{id}_rgb` takes `12_rgb.npy` for id 12."""
    motion_names: str = "{id}"
    """The same for the motion stream."""
    semantic_key: str | None = None
    """Which array of a semantic file to take, if it holds several."""
    motion_key: str | None = None
    """The same for the motion stream."""
    semantic_backbone: str = "unnamed"
    """What made the semantic features; a model refuses a store with another name."""
    motion_backbone: str = "unnamed"
    """The same for the motion stream."""
    dtype: Literal["float16", "bfloat16", "float32", "int8"] | None = None
    """How to store; as the files are if not said."""
    retry_failed: bool = False
    """Do again the parts of an existing store in which ids were refused."""
    strict: bool = False
    """Write nothing unless every id has both streams."""
    json: Path | None = None
    """Write the counts and reasons there."""


def run(options: Options) -> int:
    """Import; 1 if some ids were refused."""
    import json
    import sys

    from gasm_cast.errors import InputError
    from gasm_cast.files import atomic_folder, write_text
    from gasm_cast.store import FeatureStore
    from gasm_cast.store.importing import import_features

    semantic, motion = _streams(options)
    if options.strict:
        with atomic_folder(options.out) as folder:
            done = import_features(folder, semantic, motion, dtype=options.dtype)
            failures = FeatureStore.open(folder).failures
            if failures:
                name, reason = next(iter(failures.items()))
                raise InputError(f"--strict: {len(failures)} ids are refused, the first {name!r}: {reason}")
    else:
        done = import_features(
            options.out, semantic, motion, dtype=options.dtype, retry_failed=options.retry_failed
        )
    store = FeatureStore.open(options.out)
    num_semantic, num_motion = len(semantic.source.entries), len(motion.source.entries)
    asked = semantic.source.entries.keys() | motion.source.entries.keys()
    failures = {name: reason for name, reason in store.failures.items() if name in asked}
    num_common = len(semantic.source.entries.keys() & motion.source.entries.keys())
    counts = {
        "asked": len(asked),
        "earlier": done.earlier,
        "stored": len(store),
        "refused": num_common - len(store),
        "without_motion": num_semantic - num_common,
        "without_semantic": num_motion - num_common,
        "passed_over": len(semantic.source.passed_over) + len(motion.source.passed_over),
    }
    for name, reason in list(failures.items())[:MOST_SHOWN]:
        print(f"refused {name}: {reason}", file=sys.stderr)
    if len(failures) > MOST_SHOWN:
        print(f"... and {len(failures) - MOST_SHOWN} more: failures.jsonl", file=sys.stderr)
    if failures:
        print("once they are mended, the same call with --retry-failed does them again", file=sys.stderr)
    for note, count in done.notes.most_common():
        print(f"note: {note} ({count} arrays)")
    for unnamed in (s for s in (semantic, motion) if s.backbone == "unnamed"):
        stream = unnamed.layout.stream
        print(f"note: say what made the {stream} features with --{stream}-backbone, so that models can tell")
    print(
        f"{counts['asked']} ids: {counts['stored']} stored, {counts['refused']} refused, "
        f"{counts['without_motion']} without motion, {counts['without_semantic']} without semantic features; "
        f"{counts['passed_over']} other files passed over"
    )
    if done.earlier:
        print(f"{done.earlier} ids were there before and were not read again")
    print(f"store: {options.out}")
    if options.json is not None:
        values = {**counts, "failures": failures, "notes": dict(done.notes)}
        write_text(options.json, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    return 1 if failures else 0


def _streams(options: Options) -> tuple[ImportedStream, ImportedStream]:
    from gasm_cast.store.importing import ImportedStream
    from gasm_cast.store.layout import Layout, parse_axes, parse_grid
    from gasm_cast.store.sources import open_source

    semantic = ImportedStream(
        open_source(options.semantic, names=options.semantic_names, key=options.semantic_key),
        Layout(
            "semantic",
            parse_grid(options.semantic_grid, option="--semantic-grid"),
            parse_axes(options.semantic_axes, option="--semantic-axes"),
            options.semantic_drop_tokens,
        ),
        options.semantic_backbone,
    )
    motion = ImportedStream(
        open_source(options.motion, names=options.motion_names, key=options.motion_key),
        Layout(
            "motion",
            parse_grid(options.motion_grid, option="--motion-grid"),
            parse_axes(options.motion_axes, option="--motion-axes"),
            options.motion_drop_tokens,
        ),
        options.motion_backbone,
    )
    return semantic, motion
