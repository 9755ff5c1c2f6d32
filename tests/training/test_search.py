"""The longer search: it goes on where it stopped, gives up hopeless trials, and never validates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from gasm_cast.cli import main
from gasm_cast.config import Recipe, read_recipe, to_toml
from gasm_cast.errors import InputError
from gasm_cast.runs import Run
from gasm_cast.training import search as searching
from gasm_cast.training import train
from gasm_cast.training.learner import Learner
from gasm_cast.training.search import DEFAULT_SPACE, read_space, search


@pytest.fixture
def light(recipe: Recipe, tmp_path: Path) -> Recipe:
    """A fast model; its annotations have no validation split."""
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for name in ("labels.json", "train.json"):
        (annotations / name).write_bytes((recipe.data.annotations / name).read_bytes())
    return replace(
        recipe,
        data=replace(recipe.data, annotations=annotations, held_out=0.2),
        model=replace(recipe.model, kind="linear", head=replace(recipe.model.head, coarse_layers=0)),
        training=replace(recipe.training, num_epochs=4),
    )


def trials(folder: Path) -> list[Any]:
    storage = f"sqlite:///{folder / 'study.db'}"
    return list(optuna.load_study(study_name="gasm-cast", storage=storage).get_trials())


def test_goes_on_where_it_stopped(light: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = read_space(["training.learning_rate=1e-6:0.1:log", "model.head.dropout=0.0,0.5"], light)
    folder = tmp_path / "study"
    search(light, space, folder, num_trials=2)
    finish = Learner.finish

    def interrupted(self: Learner, batch: Any) -> Any:
        if batch.step == 13:  # in the third epoch
            raise KeyboardInterrupt
        return finish(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(light, space, folder, num_trials=4)
    cut = trials(folder)[2]
    assert cut.state.name == "RUNNING"
    found = search(light, space, folder, num_trials=4)

    done = trials(folder)
    assert [trial.state.name for trial in done[:3]] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert done[3].params == cut.params
    assert len(done[3].intermediate_values) == 4  # the epochs of before among them
    assert len([trial for trial in done if trial.state.name in ("COMPLETE", "PRUNED")]) == 4
    assert len({trial.params["training.learning_rate"] for trial in done}) == 4
    best = max((t for t in done if t.value is not None), key=lambda t: (t.value, -t.user_attrs["log_loss"]))
    assert found.training.learning_rate == best.params["training.learning_rate"]
    assert read_recipe(folder / "best.toml") == found
    with pytest.raises(InputError, match="another recipe or space"):
        search(light, space[:1], folder, num_trials=5)


def test_equal_trials_are_trained_once(
    light: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Run] = []

    def counted(run: Run, **options: Any) -> Any:
        trained.append(run)
        return train(run, **options)

    monkeypatch.setattr(searching, "train", counted)
    space = read_space(["training.learning_rate=1e-3,0.05"], light)
    search(light, space, tmp_path / "study", num_trials=4)  # so few are never given up
    done = trials(tmp_path / "study")
    assert [trial.state.name for trial in done] == ["COMPLETE"] * 4
    by_rate = {
        trial.params["training.learning_rate"]: (trial.value, trial.user_attrs, trial.intermediate_values)
        for trial in done
    }
    assert len(trained) == len(by_rate)
    for trial in done:
        assert (trial.value, trial.user_attrs, trial.intermediate_values) == by_rate[
            trial.params["training.learning_rate"]
        ]


def test_hopeless_trials_are_given_up(light: Recipe, tmp_path: Path) -> None:
    rates, decay = "training.learning_rate=0.05,0.04,0.03,1e-30", "training.weight_decay=0:1e-9"
    search(light, read_space([rates, decay], light), tmp_path / "study", num_trials=10)
    done = trials(tmp_path / "study")
    assert [trial.state.name for trial in done[:4]] == ["COMPLETE"] * 4  # the first few are never given up
    hopeless = [trial for trial in done[4:] if trial.params["training.learning_rate"] == 1e-30]
    assert hopeless
    assert all(trial.state.name == "PRUNED" and len(trial.intermediate_values) < 4 for trial in hopeless)


def test_values_that_do_not_go_together_are_passed_over(light: Recipe, tmp_path: Path) -> None:
    space = read_space(["model.exchange.num_heads=1:4"], light)  # 3 does not divide the width of 8
    found = search(light, space, tmp_path / "study", num_trials=8)
    by_heads = {t.params["model.exchange.num_heads"]: t.state.name for t in trials(tmp_path / "study")}
    assert by_heads[3] == "PRUNED"
    assert found.model.exchange.num_heads in (1, 2, 4)


def test_a_model_that_the_features_do_not_allow_is_passed_over(light: Recipe, tmp_path: Path) -> None:
    """A square of three does not divide the grid of four: only the built model knows."""
    short = replace(light, training=replace(light.training, num_epochs=1))
    space = read_space(["model.semantic_pool=1,3"], short)
    found = search(short, space, tmp_path / "study", num_trials=6)
    by_pool = {t.params["model.semantic_pool"]: t.state.name for t in trials(tmp_path / "study")}
    assert by_pool == {1: "COMPLETE", 3: "PRUNED"}
    assert found.model.semantic_pool == 1


def test_a_trial_that_fails_for_another_reason_is_not_taken_up_again(light: Recipe, tmp_path: Path) -> None:
    missing = replace(light, data=replace(light.data, store=tmp_path / "later"))
    space = read_space(["model.head.dropout=0.0,0.5"], missing)
    for _ in range(2):
        with pytest.raises(InputError, match="later"):
            search(missing, space, tmp_path / "study", num_trials=1)
    assert [trial.state.name for trial in trials(tmp_path / "study")] == ["FAIL", "FAIL"]
    (tmp_path / "later").symlink_to(light.data.store)
    search(missing, space, tmp_path / "study", num_trials=1)
    assert trials(tmp_path / "study")[-1].state.name == "COMPLETE"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.learning_rate", "write FIELD=LOW:HIGH"),
        ("training.learning_rate=a:b", "must be of type float, got 'a'"),
        ("model.kind=linear:cast", "the ends must be numbers"),
        ("training.learning_rate=1e-2:1e-4", "the low one first"),
        ("training.weight_decay=0.0:1.0:log", "begins above 0"),
        ("training.learningrate=1e-4:1e-2", "did you mean training.learning_rate"),
        ("training.num_epochs=1.5:3.5", "must be of type int"),
    ],
)
def test_spaces_that_cannot_be(recipe: Recipe, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_space([text], recipe)


def test_a_space_is_of_the_field_s_own_kind(recipe: Recipe) -> None:
    texts = ["training.weight_decay=0:1", "training.num_epochs=2:9:log", "model.kind=linear,concat-mlp"]
    decay, epochs, kind = read_space(texts, recipe)
    assert (decay.values, decay.scale) == ((0.0, 1.0), "linear")
    assert isinstance(decay.values[0], float)
    assert (epochs.values, epochs.scale) == ((2, 9), "log")
    assert (kind.values, kind.scale) == (("linear", "concat-mlp"), "listed")
    with pytest.raises(InputError, match="twice"):
        read_space(["training.weight_decay=0.1,0.2", "training.weight_decay=0.1,0.3"], recipe)


def test_a_search_without_trials_is_refused(light: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one trial or more, got 0"):
        search(light, read_space(DEFAULT_SPACE, light), tmp_path / "out", num_trials=0)
    assert not (tmp_path / "out").exists()


def test_command_trains_the_best(light: Recipe, recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(to_toml(replace(light, data=recipe.data)))
    out = tmp_path / "out"
    assert (
        main(["tune", str(file), "--out", str(out), "--trials", "2", "--space", "model.head.dropout=0:0.5"])
        == 0
    )
    epochs = list(Run.open(out / "best").events("epoch"))
    assert ["validation_top1" in epoch for epoch in epochs] == [False, False, False, True]
    assert (out / "best" / "curves.png").exists()
