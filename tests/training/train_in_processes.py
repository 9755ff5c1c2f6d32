"""What each process of the distributed tests runs; started by torchrun, not collected by pytest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gasm_cast.config import read_recipe
from gasm_cast.runs import Run
from gasm_cast.training import train


def main(folder: Path) -> None:
    """Train every recipe of a folder; each gets a run folder of its name beside it."""
    for file in sorted(folder.glob("*.toml")):
        recipe, path = read_recipe(file), file.with_suffix("")
        train(Run.create(path, recipe) if os.environ["RANK"] == "0" else Run(path, recipe))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
