"""The run folder: what was asked, what came out, on what machine.

::

    RUN/config.toml            resolved recipe; `gasm-cast train RUN/config.toml` repeats the run
    RUN/environment.json       versions, machine, command line and its directory, commit
    RUN/metrics.jsonl          one JSON object a line, in order: {"event": "step" | "epoch" | ...}
    RUN/checkpoints/           last.pt, best.pt
    RUN/evaluation/<split>/    metrics.json, predictions.parquet
    RUN/explanations/<id>/     pictures and arrays
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from gasm_cast import __version__
from gasm_cast.config import DataConfig, Recipe, config_hash, flat_table, read_recipe, to_toml
from gasm_cast.errors import InputError
from gasm_cast.files import append_text, is_partial, write_text

_MOST_SHOWN = 5
_PACKAGES = ("torch", "numpy", "av", "opencv-python-headless", "lightning-fabric", "transformers")

LOCK = ".lock"
"""File that the process which trains a run holds."""


@dataclass(frozen=True)
class Run:
    """A run folder on disk."""

    path: Path
    recipe: Recipe

    @classmethod
    def create(cls, path: str | Path, recipe: Recipe, *, beside: Collection[str] = ()) -> Run:
        """Make a run folder, or take up one that an equal recipe left unfinished: claim and begin.

        Args and errors are those of :meth:`claim`.
        """
        run = cls.claim(path, recipe, beside=beside)
        run.begin()
        return run

    @classmethod
    def claim(cls, path: str | Path, recipe: Recipe, *, beside: Collection[str] = ()) -> Run:
        """A run that may lie in a folder; nothing is written before :meth:`begin`.

        Args:
            path: The folder.
            recipe: What the run is of.
            beside: Names that may already lie in a folder that holds no run yet.

        Raises:
            InputError: if the folder holds a run of another recipe, or other files.
        """
        path = Path(path)
        if (path / "config.toml").exists():
            run = cls.open(path)
            if run.recipe != recipe:
                there, asked = flat_table(run.recipe), flat_table(recipe)
                differing = [
                    f"{key} is {there.get(key)!r} there and {asked.get(key)!r} here"
                    for key in there | asked
                    if there.get(key) != asked.get(key)
                ]
                more = f" and {len(differing) - _MOST_SHOWN} more" * (len(differing) > _MOST_SHOWN)
                raise InputError(
                    f"{path} holds a run of another recipe: {'; '.join(differing[:_MOST_SHOWN])}{more}; "
                    "choose another --out or remove the folder"
                )
            return run
        if path.exists() and not (
            path.is_dir() and all(_may_precede(inner, beside) for inner in path.iterdir())
        ):
            raise InputError(f"{path} exists and is not a run folder; choose another --out")
        return cls(path, recipe)

    def begin(self) -> None:
        """Write environment and recipe, unless they are there."""
        config = self.path / "config.toml"
        if not config.exists():
            # The recipe has no absolute paths, since it is published; `data` finds them by these.
            begun = {**environment(), "directory": str(Path.cwd()), "folder": str(self.path)}
            write_text(self.path / "environment.json", json.dumps(begun, indent=2) + "\n")
            write_text(config, to_toml(self.recipe))

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open an existing run folder.

        Raises:
            InputError: if `path` is not a run folder.
        """
        path = Path(path)
        if not (path / "config.toml").exists():
            raise InputError(f"{path} is not a run folder (no config.toml); `gasm-cast train` makes one")
        return cls(path, read_recipe(path / "config.toml"))

    @property
    def hash(self) -> str:
        """Hash of the recipe."""
        return config_hash(self.recipe)

    @property
    def data(self) -> DataConfig:
        """Where features and labels lie, for a run that was moved or is read from another directory.

        What lay in the run's folder when it began is sought in the folder first. Other paths of
        the recipe are sought from here, then from the directory in which the run began; what
        cannot be found stays as the recipe says.
        """
        data = self.recipe.data
        return replace(data, store=self._find(data.store), annotations=self._find(data.annotations))

    def _find(self, path: Path) -> Path:
        environment = self.path / "environment.json"
        begun = json.loads(environment.read_text(encoding="utf-8")) if environment.exists() else {}
        if "directory" not in begun:  # an earlier version's
            return path
        then = Path(os.path.normpath(Path(begun["directory"], path)))
        folder = Path(os.path.normpath(Path(begun["directory"], begun["folder"])))
        candidates = [path, then]
        if then.is_relative_to(folder):
            candidates.insert(0, self.path / then.relative_to(folder))
        return next((candidate for candidate in candidates if candidate.exists()), path)

    @property
    def last_checkpoint(self) -> Path:
        """Where training stands."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best_checkpoint(self) -> Path:
        """The weights to evaluate and to ship."""
        return self.path / "checkpoints" / "best.pt"

    def evaluation(self, split: str) -> Path:
        """Folder of one split's evaluation."""
        return self.path / "evaluation" / split

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl; numbers that are not finite become null.

        Raises:
            InputError: if it cannot be written.
        """
        # JSON has neither NaN nor infinity, as the norm of a gradient that overflowed in fp16 has.
        finite = json.loads(json.dumps({"event": event, **values}), parse_constant=lambda name: None)
        append_text(self.path / "metrics.jsonl", json.dumps(finite, allow_nan=False) + "\n")

    def rewind(self, step: int) -> None:
        """Drop logged lines of later steps, which a run taken up at `step` will log again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            kept = [line for line, values in _logged(path) if values.get("step", 0) <= step]
            write_text(path, "".join(f"{line}\n" for line in kept))

    def events(self, event: str) -> Iterator[dict[str, Any]]:
        """The logged lines of one kind, in order; a line cut short by a crash is passed over."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return
        yield from (values for _, values in _logged(path) if values.get("event") == event)


def _may_precede(inner: Path, beside: Collection[str]) -> bool:
    """Whether something may lie in a folder that holds no run yet, as what a killed process left there."""
    return inner.name in {"environment.json", LOCK, *beside} or is_partial(inner)


def _logged(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield line, json.loads(line)
        except json.JSONDecodeError:
            continue


def environment() -> dict[str, Any]:
    """Versions, machine, command line and commit, as far as they can be told."""
    return {
        "gasm_cast": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "machine": {"system": platform.platform(), "processor": processor(), "cores": os.cpu_count()},
        "commit": commit_of(Path(__file__).parent),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """The processor's own name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit_of(folder: Path) -> str | None:
    """Commit of the work tree that holds a folder, with `-dirty` where tracked files differ from it."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changes else commit


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
