"""`gasm-cast store`: look at feature stores, check them, and make others of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, subcommand

MOST_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Info:
    """What a store holds: counts, sizes, shapes, backbones, failures, and what int8 costs."""

    path: Positional[Path]
    """Feature store."""
    json: Path | None = None
    """Write the same there."""


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Read every byte: complete, whole, as written, finite, counted right.

    Exit code 1 says that something is wrong; each damaged file is named.
    """

    path: Positional[Path]
    """Feature store."""
    json: Path | None = None
    """Write the findings there."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write features as files: one for each id, or one HDF5 file a stream."""

    path: Positional[Path]
    """Feature store."""
    out: Path
    """Folder to write; gets a subfolder, or a file, for each stream."""
    form: Literal["npy", "npz", "pt", "safetensors", "h5"] = "npy"
    """Kind of file."""


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Put stores of equal making together; shards stay bit for bit."""

    paths: Positional[tuple[Path, ...]]
    """Feature stores, in the order wanted."""
    out: Path
    """Store to write."""


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Take some clips out of a store, as they are stored."""

    path: Positional[Path]
    """Feature store."""
    ids: Path
    """Text file with an id a line."""
    out: Path
    """Store to write."""


Options = (
    Annotated[Info, subcommand("info")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Merge, subcommand("merge")]
    | Annotated[Subset, subcommand("subset")]
)
"""One of the commands."""


def run(options: Info | Verify | Export | Merge | Subset) -> int:
    """Do it; `verify` returns 1 if something is wrong."""
    match options:
        case Info():
            return _info(options)
        case Verify():
            return _verify(options)
        case Export():
            return _export(options)
        case Merge():
            return _merge(options)
        case Subset():
            return _subset(options)


def _info(options: Info) -> int:
    import json

    from gasm_cast.files import write_text
    from gasm_cast.store import FeatureStore
    from gasm_cast.store.summary import summarize

    store = FeatureStore.open(options.path)
    summary = summarize(store)
    if options.json is not None:
        write_text(options.json, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    print(f"store        {options.path}, {summary['written_by']}, fingerprint {summary['fingerprint']}")
    views = f", {store.num_views} views each" if store.num_views > 1 else ""
    print(f"clips        {len(store)} stored{views}, {len(store.failures)} failed")
    print(f"on disk      {_size(summary['num_bytes'])} as {summary['dtype']}, {summary['num_shards']} shards")
    for name, stream in summary["streams"].items():
        made_by = ", ".join(f"{key} {value}" for key, value in stream["backbone"].items())
        print(f"{name:12} {stream['num_tokens']} tokens ({stream['grid']}) x {stream['width']}; {made_by}")
    if summary["preprocessing"]:
        print(f"clips cut    {', '.join(f'{k} {v}' for k, v in summary['preprocessing'].items())}")
    errors = ", ".join(f"{name} {error:.2%}" for name, error in summary["int8"]["relative_error"].items())
    tense = (
        "loses"
        if summary["dtype"] == "int8"
        else f"would take {_size(summary['int8']['num_bytes'])} and lose"
    )
    print(f"int8         {tense} {errors or 'nothing'} (root mean square, relative)")
    for name, reason in list(store.failures.items())[:MOST_SHOWN]:
        print(f"failed       {name}: {reason}")
    if len(store.failures) > MOST_SHOWN:
        print(f"             ... and {len(store.failures) - MOST_SHOWN} more: {options.path}/failures.jsonl")
    return 0


def _verify(options: Verify) -> int:
    import json

    from gasm_cast.files import write_text
    from gasm_cast.store.verification import verify

    findings = list(verify(options.path))
    problems = [finding for finding in findings if finding.problem is not None]
    for finding in problems:
        print(f"{finding.file}: {finding.problem}")
    print(f"{options.path}: {len(findings)} files checked, {len(problems)} problems")
    if options.json is not None:
        values = {
            "files_checked": len(findings),
            "problems": {finding.file: finding.problem for finding in problems},
        }
        write_text(options.json, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    return 1 if problems else 0


def _export(options: Export) -> int:
    from gasm_cast.store import FeatureStore
    from gasm_cast.store.exporting import export

    store = FeatureStore.open(options.path)
    export(store, options.out, options.form)
    suffix = ".h5" if options.form == "h5" else ""
    print(f"{len(store)} clips: {options.out}/semantic{suffix}, {options.out}/motion{suffix}")
    return 0


def _merge(options: Merge) -> int:
    from gasm_cast.store import FeatureStore
    from gasm_cast.store.transfer import merge

    merge([FeatureStore.open(path) for path in options.paths], options.out)
    return _made(options.out)


def _subset(options: Subset) -> int:
    from gasm_cast.cli.ids import read_ids
    from gasm_cast.store import FeatureStore
    from gasm_cast.store.transfer import subset

    subset(FeatureStore.open(options.path), read_ids(options.ids), options.out)
    return _made(options.out)


def _made(path: Path) -> int:
    from gasm_cast.store import FeatureStore

    store = FeatureStore.open(path)
    print(f"{len(store)} clips stored, {len(store.failures)} failed")
    print(f"store: {path}")
    return 0


def _size(num_bytes: int) -> str:
    size = float(num_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
