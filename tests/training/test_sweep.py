"""Candidates on one pass: the same as runs of their own, ranked without the validation split."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import draw

from gasm_cast.cli import main
from gasm_cast.config import ModelKind, Recipe, to_toml
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.runs import Run
from gasm_cast.store import StoreDescription, StoreWriter, StreamDescription
from gasm_cast.training import Candidate, final_recipe, read_grid, sweep, train
from gasm_cast.training.batches import Batch, TrainingClips
from gasm_cast.training.learner import Learner, Prepared


@pytest.fixture
def light(recipe: Recipe) -> Recipe:
    """A fast model with dropout, mixup and averaged weights, four epochs."""
    return replace(
        recipe,
        data=replace(recipe.data, held_out=0.2),
        model=replace(recipe.model, kind="concat-mlp", head=replace(recipe.model.head, coarse_layers=0)),
        augmentation=replace(recipe.augmentation, mixup=0.4),
        training=replace(recipe.training, num_epochs=4, ema_decay=0.8),
    )


@pytest.mark.parametrize("kind", ["gasm-cast", "concat-mlp"])
def test_a_candidate_is_a_run_of_its_own(light: Recipe, tmp_path: Path, kind: ModelKind) -> None:
    """To the bit; where light models are computed as one, but for rounding."""
    training = replace(light.training, num_epochs=2)
    light = replace(light, model=replace(light.model, kind=kind), training=training)
    candidates = read_grid(["training.learning_rate=1e-3,0.02"], light)
    result = sweep(candidates, tmp_path / "sweep", drop=False)
    for candidate, record in zip(candidates, result.records, strict=True):
        run = Run.create(tmp_path / record["recipe_hash"], candidate.recipe)
        train(run)
        expected = [epoch["held_out_log_loss"] for epoch in run.events("epoch")]
        assert record["held_out_log_loss"] == (
            pytest.approx(expected, rel=1e-4) if kind == "concat-mlp" else expected
        )
    best = max(result.records, key=lambda r: (r["held_out_top1"][-1], -r["held_out_log_loss"][-1]))
    assert best["overrides"] == result.best.overrides
    assert len({tuple(record["held_out_log_loss"]) for record in result.records}) == 2


@pytest.fixture
def mirrored(light: Recipe, tmp_path: Path) -> Recipe:
    """A fast model on features of which it is known how they follow a mirrored clip."""
    ids, labels = draw("train", 42)
    semantic, motion = (
        StreamSpec(grid, width) for grid, width in ((Grid(1, 2, 2), 768), (Grid(4, 1, 1), 512))
    )
    classic = {"name": "classic", "definition": 1}
    description = StoreDescription(
        StreamDescription(semantic, classic), StreamDescription(motion, classic), dtype="float32"
    )
    rng = np.random.default_rng(0)
    means = [rng.standard_normal(spec.width).astype(np.float32) for spec in (semantic, motion)]
    with StoreWriter(tmp_path / "mirrored", description, asked=ids) as writer:
        for name, label in zip(ids, labels, strict=True):
            noise = [rng.standard_normal((spec.grid.num_tokens, spec.width)) for spec in (semantic, motion)]
            writer.add(name, *((label * m + n).astype(np.float32) for m, n in zip(means, noise, strict=True)))
    return replace(light, data=replace(light.data, store=tmp_path / "mirrored"))


def test_candidates_that_prepare_clips_differently_are_runs_of_their_own(
    mirrored: Recipe, tmp_path: Path
) -> None:
    """A mirror changes the statistics; given weights bring theirs."""
    plain = replace(mirrored, training=replace(mirrored.training, num_epochs=2, validate_every=0))
    first = Run.create(tmp_path / "first", replace(plain, data=replace(plain.data, held_out=0.5)))
    train(first)
    started = replace(plain, training=replace(plain.training, start_from=first.best_checkpoint))
    candidates = [Candidate({"start": str(i)}, recipe) for i, recipe in enumerate((plain, started))]
    candidates += read_grid(["augmentation.flip=true"], plain)
    result = sweep(candidates, tmp_path / "sweep", drop=False)
    for candidate, record in zip(candidates, result.records, strict=True):
        run = Run.create(tmp_path / record["recipe_hash"], candidate.recipe)
        train(run)
        assert record["held_out_log_loss"] == [epoch["held_out_log_loss"] for epoch in run.events("epoch")]


def test_each_batch_is_read_and_prepared_once_for_all(
    light: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"read": 0, "prepared": 0, "used": 0}
    epoch, prepare, note = TrainingClips.epoch, Learner.prepare, Learner.note

    def counted_epoch(self: TrainingClips, number: int, **where: Any) -> Any:
        for batch in epoch(self, number, **where):
            counts["read"] += 1
            yield batch

    def counted_prepare(self: Learner, batch: Batch) -> Prepared:
        counts["prepared"] += 1
        return prepare(self, batch)

    def counted_note(self: Learner, losses: torch.Tensor, batch: Batch) -> None:
        counts["used"] += 1
        note(self, losses, batch)

    monkeypatch.setattr(TrainingClips, "epoch", counted_epoch)
    monkeypatch.setattr(Learner, "prepare", counted_prepare)
    monkeypatch.setattr(Learner, "note", counted_note)
    candidates = read_grid(["training.weight_decay=0,0.01,0.1", "model.normalize=channel,none"], light)
    sweep(candidates, tmp_path, drop=False)
    num_steps = 4 * math.ceil(34 / 8)
    assert counts == {"read": num_steps, "prepared": 2 * num_steps, "used": 6 * num_steps}


def test_those_that_fall_behind_are_dropped(light: Recipe, tmp_path: Path) -> None:
    candidates = read_grid(["training.learning_rate=1e-9,1e-8,1e-7,1e-6,0.02"], light)
    result = sweep(candidates, tmp_path)
    assert [len(record["held_out_top1"]) for record in result.records].count(1) == 2
    assert [len(record["held_out_top1"]) for record in result.records].count(2) == 1
    assert result.best is candidates[-1]
    assert result.records[-1]["left_because"] is None
    left = [record["left_because"] for record in result.records if len(record["held_out_top1"]) == 1]
    assert sorted(left) == ["place 4 of 5 after epoch 1", "place 5 of 5 after epoch 1"]


def test_one_that_diverges_leaves_and_the_others_go_on(light: Recipe, tmp_path: Path) -> None:
    light = replace(light, training=replace(light.training, clip_norm=0.0))
    result = sweep(read_grid(["training.learning_rate=1e30,0.01"], light), tmp_path, drop=False)
    assert "diverged: step" in str(result.records[0]["left_because"])
    assert result.best.overrides == {"training.learning_rate": 0.01}
    with pytest.raises(InputError, match="all candidates diverged"):
        sweep(read_grid(["training.learning_rate=1e30"], light), tmp_path / "other")


def test_an_interrupted_sweep_goes_on(light: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = read_grid(["training.learning_rate=1e-3,0.01,0.02"], light)
    expected = sweep(candidates, tmp_path / "whole")
    finish = Learner.finish

    def interrupted(self: Learner, batch: Batch) -> Any:
        if batch.step == 12:  # in the third epoch
            raise KeyboardInterrupt
        return finish(self, batch)

    monkeypatch.setattr(Learner, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(candidates, tmp_path / "cut")
    monkeypatch.undo()
    assert torch.load(tmp_path / "cut" / "sweep.pt")["num_epochs_done"] == 2
    assert sweep(candidates, tmp_path / "cut").records == expected.records
    assert sweep(candidates, tmp_path / "cut").records == expected.records  # finished: nothing to do
    with pytest.raises(InputError, match="other candidates"):
        sweep(candidates[:2], tmp_path / "cut")


def test_fp16_is_refused(light: Recipe, tmp_path: Path) -> None:
    half = replace(light, training=replace(light.training, precision="fp16"))
    with pytest.raises(InputError, match=r"a sweep does not train in fp16; use .*'bf16'"):
        sweep(read_grid(["training.learning_rate=1e-3,0.02"], half), tmp_path)


def test_validation_labels_are_not_read(light: Recipe, tmp_path: Path) -> None:
    """The choice is made without the file that holds them; only the run after it needs it."""
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for name in ("labels.json", "train.json"):
        (annotations / name).write_bytes((light.data.annotations / name).read_bytes())
    light = replace(light, data=replace(light.data, annotations=annotations))
    candidates = read_grid(["training.learning_rate=1e-3,0.02"], light)
    result = sweep(candidates, tmp_path / "sweep")
    with pytest.raises(InputError, match="validation"):
        train(Run.create(tmp_path / "run", final_recipe(result.best.recipe)))


def test_command_trains_the_best_on_everything_and_validates_once(light: Recipe, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(to_toml(replace(light, data=replace(light.data, held_out=0.0))))
    out, report = tmp_path / "out", tmp_path / "report.json"
    command = ["train", str(recipe), "--out", str(out), "--json", str(report)]
    assert main([*command, "--sweep", "training.learning-rate=1e-6,0.02"]) == 0
    swept = json.loads((out / "sweep.json").read_text())
    assert swept["candidates"][swept["best"]]["overrides"] == {"training.learning_rate": 0.02}
    assert swept["held_out"] == 0.1
    assert swept["num_clips"] + round(0.1 * 42) == 42
    epochs = list(Run.open(out / "best").events("epoch"))
    assert [epoch["num_clips"] for epoch in epochs] == [42] * 4
    assert ["validation_top1" in epoch for epoch in epochs] == [False, False, False, True]
    assert json.loads(report.read_text())["validation_top1"] == epochs[-1]["validation_top1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "training.learning_rat=1",
            r"unknown key training.learning_rat; did you mean training.learning_rate\?",
        ),
        ("training.learning_rate", "write FIELD=VALUE"),
        ("training.learning_rate=fast", "must be of type float, got 'fast'"),
        ("model.kind=transformer", "must be one of"),
        ("training.batch_size=4,8", "step on the same batches"),
        ("training.num_epochs.x=1", "is a value and has no fields"),
        ("model.graph.num_heads=3", "num_heads must divide width"),
    ],
)
def test_grids_that_cannot_be(recipe: Recipe, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_grid([text], recipe)


def test_a_field_is_swept_once(recipe: Recipe) -> None:
    with pytest.raises(InputError, match="twice"):
        read_grid(["training.weight_decay=0", "training.weight_decay=1"], recipe)


def test_values_are_toml_or_words(recipe: Recipe) -> None:
    grid = read_grid(["model.kind=linear,gasm-cast"], recipe)
    assert [candidate.recipe.model.kind for candidate in grid] == ["linear", "gasm-cast"]
    assert [candidate.name for candidate in grid] == ["kind linear", "kind gasm-cast"]
