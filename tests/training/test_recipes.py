"""Every recipe that is shipped can be read, says how to run it, and the smallest one runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gasm_cast.cli import main
from gasm_cast.config import read_recipe
from gasm_cast.runs import Run

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_recipe_opens_with_command_time_and_result(file: Path) -> None:
    head = file.read_text().partition("\n[")[0].lower()
    assert all(line.startswith("#") for line in head.split("\n") if line)
    for word in ("gasm-cast", "time", "result"):
        assert word in head


@pytest.mark.parametrize("name", ["debug", "base", "ssv2"])
def test_recipe_is_read(name: str) -> None:
    read_recipe(RECIPES / f"{name}.toml")


@pytest.mark.slow
def test_debug_recipe_runs_by_the_commands_that_it_opens_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (RECIPES / "debug.toml").read_text().replace("\\\n#", "")
    commands = [
        line.partition("gasm-cast ")[2].split() for line in text.splitlines() if "  gasm-cast " in line
    ]
    assert [command[0] for command in commands] == ["mini", "extract", "train"]
    (tmp_path / "recipes").symlink_to(RECIPES)
    monkeypatch.chdir(tmp_path)
    for command in commands:
        assert main(command) == 0
    losses = [epoch["train_loss"] for epoch in Run.open(Path("runs/debug")).events("epoch")]
    assert losses[-1] < losses[0]
