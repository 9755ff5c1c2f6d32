"""Two calls on one folder do not both train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gasm_cast.config import Recipe
from gasm_cast.errors import InputError
from gasm_cast.runs import Run
from gasm_cast.training import read_grid, sweep, train
from gasm_cast.training.locking import locked


@pytest.fixture
def light(recipe: Recipe) -> Recipe:
    head = replace(recipe.model.head, coarse_layers=0)
    return replace(
        recipe,
        model=replace(recipe.model, kind="linear", head=head),
        training=replace(recipe.training, num_epochs=1),
    )


def test_the_second_call_is_refused_and_a_later_one_is_not(light: Recipe, tmp_path: Path) -> None:
    run = Run.claim(tmp_path / "run", light)
    with locked(run.path), pytest.raises(InputError, match="run is being trained by another process"):
        train(run)
    assert not run.path.exists()  # made for the lock alone
    seen = []

    def begin_again(epoch: object) -> None:
        with pytest.raises(InputError, match="another process"):
            train(run)
        seen.append(epoch)

    train(run, on_epoch=begin_again)
    assert len(seen) == 1
    assert len(list(run.events("epoch"))) == 1
    train(run)


def test_a_sweep_or_search_into_a_run_is_refused(light: Recipe, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", light)
    before = sorted(run.path.iterdir())
    with pytest.raises(InputError, match="holds a run, and a sweep makes runs of its own"):
        sweep(read_grid(["training.weight_decay=0.1,0.2"], light), run.path)
    searching = pytest.importorskip("gasm_cast.training.search")
    space = searching.read_space(["training.weight_decay=0.1,0.2"], light)
    with pytest.raises(InputError, match="holds a run, and a search makes runs of its own"):
        searching.search(light, space, run.path, num_trials=1)
    assert sorted(run.path.iterdir()) == before


def test_a_folder_that_cannot_be_made_is_one_clear_line(light: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write: Not a directory"):
        train(Run(tmp_path / "file" / "run", light))
