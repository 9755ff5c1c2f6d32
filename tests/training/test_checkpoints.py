"""Checkpoints: what is in them, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.training.conftest import CLASS_NAMES, MOTION, SEMANTIC, draw, write_annotations, write_store

from gasm_cast.config import Recipe, config_hash
from gasm_cast.errors import InputError
from gasm_cast.models import load_checkpoint
from gasm_cast.models.checkpoints import CheckpointError
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore
from gasm_cast.training import train
from gasm_cast.training.learner import Learner, Step
from gasm_cast.training.statistics import ChannelStatistics


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    short = replace(recipe, training=replace(recipe.training, num_epochs=1, ema_decay=0.9))
    run = Run.create(tmp_path_factory.mktemp("run") / "run", short)
    train(run)
    return run


def plain(value: Any) -> bool:
    """Whether a value is made of tensors, strings and numbers alone."""
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or isinstance(value, torch.Tensor | str | int | float | bool)


def test_holds_tensors_strings_and_numbers_and_says_what_it_is(run: Run) -> None:
    for path in (run.last_checkpoint, run.best_checkpoint):
        content = torch.load(path)  # torch's default: runs no code from the file
        assert plain(content)
        assert content["class_names"] == list(CLASS_NAMES)
        assert content["recipe_hash"] == config_hash(run.recipe)
        assert content["fingerprint"] == FeatureStore.open(run.recipe.data.store).fingerprint
    assert "training" not in content


def test_loaded_model_knows_all_that_it_needs(run: Run) -> None:
    loaded = load_checkpoint(run.best_checkpoint)
    assert loaded.recipe == run.recipe
    assert loaded.class_names == CLASS_NAMES
    assert (loaded.semantic, loaded.motion) == (SEMANTIC, MOTION)
    assert (loaded.epoch, loaded.step) == (1, 6)
    stored = FeatureStore.open(run.recipe.data.store).description
    assert (loaded.num_views, loaded.dtype) == (stored.num_views, stored.dtype)
    assert not loaded.model.training
    loaded.require_store(FeatureStore.open(run.recipe.data.store))
    loaded.require_classes(CLASS_NAMES)


def test_other_features_are_refused_by_name(run: Run, tmp_path: Path) -> None:
    write_store(tmp_path / "store", ["a"], [0], revision="v2")
    loaded = load_checkpoint(run.best_checkpoint)
    with pytest.raises(InputError, match=r"streams\.semantic\.backbone\.revision: 'v2' in the second only"):
        loaded.require_store(FeatureStore.open(tmp_path / "store"))


def test_permuted_classes_are_refused_with_the_first_difference(run: Run) -> None:
    loaded = load_checkpoint(run.best_checkpoint)
    permuted = (CLASS_NAMES[0], CLASS_NAMES[2], CLASS_NAMES[1], CLASS_NAMES[3])
    with pytest.raises(
        InputError, match=r"class 1 is 'Lifting something up', but the model learned 'Pushing"
    ):
        loaded.require_classes(permuted)
    with pytest.raises(InputError, match="3 classes, but the model learned 4"):
        loaded.require_classes(CLASS_NAMES[:3])


def test_a_missing_or_resized_head_is_refused(run: Run, tmp_path: Path) -> None:
    content = torch.load(run.best_checkpoint)
    head = [name for name, tensor in content["weights"].items() if tensor.shape == (len(CLASS_NAMES),)]
    assert head
    beheaded = {name: tensor for name, tensor in content["weights"].items() if name not in head}
    torch.save({**content, "weights": beheaded}, tmp_path / "beheaded.pt")
    with pytest.raises(
        CheckpointError, match=rf"{len(head)} of \d+ tensors do not fit .*{head[0]} is missing"
    ):
        load_checkpoint(tmp_path / "beheaded.pt")

    resized = {**content["weights"], head[0]: torch.zeros(7)}
    torch.save({**content, "weights": resized}, tmp_path / "resized.pt")
    with pytest.raises(CheckpointError, match=rf"{head[0]} is \[7\], the model needs \[4\]"):
        load_checkpoint(tmp_path / "resized.pt")


@pytest.mark.parametrize("num_bytes", [0, 10, 5000, -1])
def test_a_truncated_file_is_refused(run: Run, tmp_path: Path, num_bytes: int) -> None:
    path = tmp_path / "cut.pt"
    path.write_bytes(run.best_checkpoint.read_bytes()[:num_bytes])
    with pytest.raises(CheckpointError, match="damaged, or not a checkpoint"):
        load_checkpoint(path)


def test_what_is_no_checkpoint_is_said_without_advice_to_run_it(run: Run) -> None:
    with pytest.raises(CheckpointError, match=r"not a checkpoint$"):
        load_checkpoint(run.path / "config.toml")
    with pytest.raises(CheckpointError, match=r"is a folder; name a checkpoint, as RUN/checkpoints/best\.pt"):
        load_checkpoint(run.path)


def test_a_full_disk_is_one_line_and_the_run_goes_on_from_there(
    recipe: Recipe, tmp_path: Path, small_disk: Any
) -> None:
    whole, cut = (Run.create(tmp_path / name, recipe) for name in ("whole", "cut"))
    train(whole)
    with small_disk(10_000), pytest.raises(InputError, match=r"best\.pt: cannot write: File too large; free"):
        train(cut)
    assert not list(cut.last_checkpoint.parent.iterdir())
    train(cut)
    losses = [[epoch["train_loss"] for epoch in run.events("epoch")] for run in (whole, cut)]
    assert losses[0] == losses[1]


def test_a_log_that_cannot_grow_is_one_line(tmp_path: Path, small_disk: Any) -> None:
    run = Run.create(tmp_path / "run", Recipe())
    with small_disk(10), pytest.raises(InputError, match=r"metrics\.jsonl: cannot write: File too large"):
        run.log("epoch", {"epoch": 1})


def test_other_files_and_other_versions_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "nothing.pt")
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of gasm-cast"):
        load_checkpoint(tmp_path / "other.pt")
    torch.save({**torch.load(run.best_checkpoint), "version": 99}, tmp_path / "newer.pt")
    with pytest.raises(CheckpointError, match="format version 99"):
        load_checkpoint(tmp_path / "newer.pt")


def test_resuming_on_other_features_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    ids, labels = draw("train", 12)
    halves = {"train": (ids[:8], labels[:8]), "validation": (ids[8:], labels[8:])}
    write_annotations(tmp_path / "annotations", halves)
    write_store(tmp_path / "store", ids, labels)
    data = replace(recipe.data, store=tmp_path / "store", annotations=tmp_path / "annotations")
    run = Run.create(tmp_path / "run", replace(recipe, data=data))
    train(run)
    (tmp_path / "store").rename(tmp_path / "old")
    write_store(tmp_path / "store", ids, labels, weights="other")
    with pytest.raises(InputError, match=r"backbone\.weights"):
        train(run)


@pytest.fixture
def stopped(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with annotations of its own, stopped after two of its three epochs."""
    annotations = tmp_path / "annotations"
    write_annotations(annotations, {"train": draw("train", 42), "validation": draw("validation", 14)})
    run = Run.create(tmp_path / "run", replace(recipe, data=replace(recipe.data, annotations=annotations)))
    finish = Learner.finish

    def interrupted(learner: Learner, batch: Any) -> Step:
        if batch.step == 13:
            raise KeyboardInterrupt
        return finish(learner, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Learner, "finish", interrupted)
        train(run)
    return run


def test_resuming_with_other_steps_an_epoch_is_refused(stopped: Run) -> None:
    """As on another number of processes: the epochs done would be counted wrongly."""
    write_annotations(stopped.recipe.data.annotations, {"train": draw("train", 28)})
    with pytest.raises(InputError, match=r"begun with 6 steps an epoch, and there are 4 now; .* processes"):
        train(stopped)


def test_resuming_with_classes_in_another_order_is_refused(stopped: Run) -> None:
    order = {name: str(index) for index, name in enumerate(reversed(CLASS_NAMES))}
    (stopped.recipe.data.annotations / "labels.json").write_text(json.dumps(order))
    with pytest.raises(InputError, match="class 0 is 'Pretending to lift something up', but the model"):
        train(stopped)


def test_a_checkpoint_that_does_not_know_its_steps_an_epoch_is_taken_up(stopped: Run) -> None:
    content = torch.load(stopped.last_checkpoint)
    del content["training"]["standing"]["steps_per_epoch"]
    torch.save(content, stopped.last_checkpoint)
    assert train(stopped).num_epochs == 3


def test_a_run_that_started_from_weights_goes_on_without_them(
    run: Run, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given.pt"
    given.write_bytes(run.best_checkpoint.read_bytes())
    training = replace(recipe.training, num_epochs=2, start_from=given)
    started = Run.create(tmp_path / "started", replace(recipe, training=training))
    finish = Learner.finish

    def interrupted(learner: Learner, batch: Any) -> Step:
        if batch.step == 7:
            raise KeyboardInterrupt
        return finish(learner, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Learner, "finish", interrupted)
        train(started)
    given.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(ChannelStatistics, "fit", None)  # not read again: the checkpoint holds them
        result = train(started)
    assert result.num_epochs == 2
    assert train(started) == result


def test_starting_from_weights_says_what_was_not_loaded(run: Run, recipe: Recipe, tmp_path: Path) -> None:
    def start(recipe: Recipe, name: str) -> tuple[str, dict[str, torch.Tensor]]:
        training = replace(
            recipe.training,
            num_epochs=1,
            learning_rate=1e-30,
            start_from=run.best_checkpoint,
            weight_decay=0.0,
        )
        console = Console(record=True, width=200)
        started = Run.create(tmp_path / name, replace(recipe, training=training))
        train(started, console=console)
        return console.export_text(), dict(load_checkpoint(started.best_checkpoint).model.state_dict())

    given = load_checkpoint(run.best_checkpoint).model.state_dict()
    said, weights = start(recipe, "same")
    assert f"loaded {len(given)} of {len(given)} tensors" in said
    assert "not loaded" not in said
    assert all(torch.equal(weights[name], tensor) for name, tensor in given.items())

    # The same number of classes in another order: what scores classes begins fresh.
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for split in ("train", "validation"):
        (annotations / f"{split}.json").write_bytes((recipe.data.annotations / f"{split}.json").read_bytes())
    order = ", ".join(f'"{name}": "{index}"' for index, name in enumerate(reversed(CLASS_NAMES)))
    (annotations / "labels.json").write_text("{" + order + "}")
    said, weights = start(replace(recipe, data=replace(recipe.data, annotations=annotations)), "turned")
    fresh = [name for name, tensor in given.items() if not torch.equal(weights[name], tensor)]
    assert fresh
    for name in fresh:
        assert f"not loaded: {name}: scores other classes" in said
    untouched = [name for name in given if name not in fresh]
    assert any("semantic_compress" in name for name in untouched)
