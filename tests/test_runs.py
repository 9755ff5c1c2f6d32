import json
import subprocess
from pathlib import Path

import pytest

from gasm_cast.config import DataConfig, Recipe, TrainingConfig
from gasm_cast.errors import InputError
from gasm_cast.runs import Run, commit_of


def test_a_run_is_taken_up_by_an_equal_recipe_only(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", Recipe())
    assert Run.create(tmp_path / "run", Recipe()) == run == Run.open(tmp_path / "run")
    differs = r"another recipe: training\.seed is 0 there and 1 here; choose another"
    with pytest.raises(InputError, match=differs):
        Run.create(tmp_path / "run", Recipe(training=TrainingConfig(seed=1)))


def test_a_claimed_folder_is_written_by_beginning(tmp_path: Path) -> None:
    run = Run.claim(tmp_path / "run", Recipe())
    assert not run.path.exists()
    run.begin()
    written = (run.path / "environment.json").read_bytes()
    Run.claim(run.path, Recipe()).begin()
    assert (run.path / "environment.json").read_bytes() == written
    with pytest.raises(InputError, match="holds a run of another recipe"):
        Run.claim(run.path, Recipe(training=TrainingConfig(seed=1)))


def test_a_run_that_was_killed_at_its_birth_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "run"
    Run.create(path, Recipe())
    (path / "config.toml").rename(path / ".config.0123456789ab.partial.toml")
    Run.create(path, Recipe())
    assert Run.open(path).recipe == Recipe()


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="is not a run folder; choose another"):
        Run.create(tmp_path, Recipe())
    with pytest.raises(InputError, match=r"is not a run folder \(no config\.toml\)"):
        Run.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_finds_its_data_from_another_directory_and_after_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "runs" / "fit" / "data" / "store").mkdir(parents=True)
    (tmp_path / "here" / "labels").mkdir()
    (tmp_path / "elsewhere").mkdir()
    inside, beside = Path("runs/fit/data/store"), Path("labels")
    monkeypatch.chdir(tmp_path / "here")
    recipe = Recipe(data=DataConfig(store=inside, annotations=beside))
    run = Run.create(Path("runs/fit"), recipe, beside=("data",))
    assert (run.data.store, run.data.annotations) == (inside, beside)

    monkeypatch.chdir(tmp_path / "elsewhere")
    run = Run.open(Path("../here/runs/fit"))
    assert (run.data.store, run.data.annotations) == (run.path / "data/store", tmp_path / "here/labels")

    (tmp_path / "here" / "runs" / "fit").rename(tmp_path / "moved")
    run = Run.open(Path("../moved"))
    assert (run.data.store, run.data.annotations) == (run.path / "data/store", tmp_path / "here/labels")
    assert (run.recipe, Run.create(run.path, recipe).hash) == (recipe, run.hash)

    (tmp_path / "here").rename(tmp_path / "gone")
    assert run.data.annotations == beside  # as the recipe says
    assert str(tmp_path) not in (run.path / "config.toml").read_text()


def test_metrics_survive_a_line_cut_short(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", Recipe())
    run.log("epoch", {"epoch": 0, "loss": 1.5})
    run.log("step", {"step": 3})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"event": "epo')
    assert list(run.events("epoch")) == [{"event": "epoch", "epoch": 0, "loss": 1.5}]


def test_metrics_are_json_where_a_number_is_not_finite(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", Recipe())
    run.log("step", {"norm": float("inf"), "gains": {"a": [1.5, float("nan")]}, "said": "Infinity"})
    (line,) = (run.path / "metrics.jsonl").read_text().splitlines()
    assert line == '{"event": "step", "norm": null, "gains": {"a": [1.5, null]}, "said": "Infinity"}'


def test_environment_names_versions_and_machine(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", Recipe())
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["packages"]["numpy"]
    assert environment["machine"]["cores"] >= 1


def test_a_commit_with_changes_beside_it_is_not_that_commit(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *names, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert commit_of(tmp_path) is None
    git("init")
    (tmp_path / "model.py").write_text("width = 256")
    git("add", "model.py")
    git("commit", "--message", "first")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "notes.txt").write_text("not part of the program")
    assert commit_of(tmp_path) == commit
    (tmp_path / "model.py").write_text("width = 128")
    assert commit_of(tmp_path) == f"{commit}-dirty"


def test_a_path_may_be_text(tmp_path: Path) -> None:
    run = Run.create(f"{tmp_path}/run", Recipe())
    assert Run.open(f"{tmp_path}/run") == run
    assert run.path == tmp_path / "run"
