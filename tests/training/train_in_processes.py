"""What each process of the distributed tests runs; started by torchrun, not collected by pytest."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from functools import partial
from pathlib import Path

import torch

from gasm_cast.config import Recipe, read_recipe
from gasm_cast.errors import InputError
from gasm_cast.runs import Run
from gasm_cast.training import train

# Traced whole, but not translated to native code, which would take minutes.
torch.compile = partial(torch.compile, backend="eager")


def main(folder: Path) -> None:
    """Train every recipe of a folder; each gets a run folder of its name beside it."""
    for file in sorted(folder.glob("*.toml")):
        recipe, path = read_recipe(file), file.with_suffix("")
        train(Run.create(path, recipe) if os.environ["RANK"] == "0" else Run(path, recipe))
    train_without_a_shared_disk(folder / "apart", read_recipe(folder / "linear.toml"))


def train_without_a_shared_disk(folder: Path, recipe: Recipe) -> None:
    """Each process has a run folder of its own; writes how the run ended, and what a second call says."""
    run = Run(folder / f"disk {os.environ['RANK']}", recipe)
    result = train(run)
    try:
        train(run)
    except InputError as error:
        seen = {"result": dataclasses.asdict(result), "refusal": str(error)}
        run.path.with_suffix(".json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
