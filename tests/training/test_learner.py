"""One step: losses that are not finite stop it, clipping, averaging, what the log shows."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision

from gasm_cast.annotations import read_annotations
from gasm_cast.config import Recipe, TrainingConfig
from gasm_cast.errors import InputError
from gasm_cast.evaluation import protocol
from gasm_cast.models import load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore
from gasm_cast.training import TrainingDivergedError, loop, train
from gasm_cast.training.curves import draw_curves
from gasm_cast.training.learner import Learner, Prepared
from gasm_cast.training.recording import LOGGED_PER_EPOCH, is_logged
from gasm_cast.training.setup import set_up


@pytest.fixture
def linear(recipe: Recipe) -> Recipe:
    head = replace(recipe.model.head, coarse_layers=0)
    return replace(recipe, model=replace(recipe.model, kind="linear", head=head))


def test_first_loss_that_is_not_finite_stops_with_step_clip_and_rate(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Learner.prepare
    broken: list[str] = []

    def spoil(self: Learner, batch: Any) -> Prepared:
        prepared = prepare(self, batch)
        if batch.step == 4:
            prepared.motion[2, 0, 0] = float("inf")
            broken.append(batch.ids[2])
        return prepared

    monkeypatch.setattr(Learner, "prepare", spoil)
    run = Run.create(tmp_path / "run", linear)
    with pytest.raises(TrainingDivergedError) as error:
        train(run)
    rate = list(run.events("step"))[3]["learning_rate"] * 5 / 4  # linear warm-up
    message = str(error.value)
    assert message.startswith(
        f"step 4: the loss is nan, not finite for {broken[0]}; learning rate {rate:.3g}."
    )
    assert "precision" not in message  # fp32 already
    assert len(list(run.events("step"))) == 4
    assert not run.last_checkpoint.exists()  # the first epoch was not finished


def test_gradient_that_is_not_finite_stops_before_the_weights_are_touched(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accumulate = Learner.accumulate
    before: dict[str, torch.Tensor] = {}
    learners: list[Learner] = []

    def spoil(self: Learner, batch: Any, prepared: Prepared) -> None:
        accumulate(self, batch, prepared)
        next(p for p in self.model.parameters() if p.grad is not None).grad.fill_(float("nan"))  # type: ignore[union-attr]
        before.update({name: tensor.clone() for name, tensor in self.model.state_dict().items()})
        learners.append(self)

    monkeypatch.setattr(Learner, "accumulate", spoil)
    with pytest.raises(TrainingDivergedError, match="step 0: the gradient is not finite"):
        train(Run.create(tmp_path / "run", linear))
    assert all(torch.equal(before[name], tensor) for name, tensor in learners[0].model.state_dict().items())


@pytest.mark.parametrize("clip_norm", [0.0, 1e-3])
def test_the_optimiser_gets_clipped_gradients_and_the_log_their_norm_before(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip_norm: float
) -> None:
    handed: list[float] = []
    step = torch.optim.AdamW.step

    def watched(self: torch.optim.AdamW, *arguments: Any, **options: Any) -> Any:
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        handed.append(float(torch.nn.utils.get_total_norm(gradients)))
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    training = replace(linear.training, clip_norm=clip_norm, num_epochs=1)
    run = Run.create(tmp_path / "run", replace(linear, training=training))
    train(run)
    logged = [step["grad_norm"] for step in run.events("step")]
    assert min(logged) > 1e-2
    assert handed == pytest.approx([clip_norm] * 6 if clip_norm else logged, rel=1e-3)


def test_every_seed_step_part_and_process_draws_its_own(linear: Recipe) -> None:
    """Dropout of tokens in a batch, by what it is seeded with."""
    augmented = replace(linear, augmentation=replace(linear.augmentation, token_dropout=0.5))
    fabric = Fabric(accelerator="cpu", devices=1)
    _, clips, learner, _ = set_up(fabric, augmented, say=lambda line: None)
    batch = next(clips.epoch(0, first_step=0, device=fabric.device))

    def kept(*, seed: int = 0, step: int = 0, part: int = 0, rank: int = 0) -> Any:
        learner.recipe = replace(augmented, training=replace(augmented.training, seed=seed))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Fabric, "global_rank", rank)
            seen = learner.augment(replace(batch, step=step, part=part), learner.prepare(batch))
        return tuple((seen.semantic != 0).any(dim=-1).flatten().tolist())

    assert kept() == kept(seed=0, step=0, part=0, rank=0)
    assert len({kept(), kept(seed=1), kept(step=1), kept(part=1), kept(rank=1)}) == 5


def test_averaged_weights_are_what_is_evaluated_and_shipped(linear: Recipe, tmp_path: Path) -> None:
    training = replace(linear.training, ema_decay=0.5, num_epochs=1, warmup_epochs=0.0)
    run = Run.create(tmp_path / "run", replace(linear, training=training))
    seen: list[dict[str, torch.Tensor]] = []
    finish = Learner.finish

    def watched(self: Learner, batch: Any) -> Any:
        step = finish(self, batch)
        seen.append({name: p.detach().clone() for name, p in self.model.named_parameters()})
        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "finish", watched)
        train(run)
    expected = seen[0]
    for n, weights in enumerate(seen[1:], start=1):
        decay = min(0.5, (1 + n) / (10 + n))
        expected = {name: torch.lerp(weights[name], expected[name], decay) for name in expected}
    shipped = load_checkpoint(run.best_checkpoint).model.state_dict()
    for name, tensor in expected.items():
        torch.testing.assert_close(shipped[name], tensor)
        assert not torch.equal(shipped[name], seen[-1][name]) or not tensor.any()


def test_log_states_effective_batch_rate_and_rule(linear: Recipe, tmp_path: Path) -> None:
    from rich.console import Console

    for batch_size, effective, peak in ((16, 32, "0.04"), (8, 16, "0.02")):
        training = replace(linear.training, batch_size=batch_size, accumulate=2, num_epochs=1)
        run = Run.create(tmp_path / str(batch_size), replace(linear, training=training))
        console = Console(record=True, width=200)
        train(run, console=console)
        said = console.export_text()
        assert f"effective batch {effective}, peak learning rate {peak} (0.01 x {effective} / 8)" in said
        start = next(run.events("start"))
        assert (start["effective_batch"], start["peak_learning_rate"]) == (effective, float(peak))


def test_waiting_for_data_is_measured(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = FeatureStore.batches

    def slow_disk(self: FeatureStore, *arguments: Any, **options: Any) -> Iterator[Any]:
        for batch in batches(self, *arguments, **options):
            time.sleep(0.05)
            yield batch

    training = replace(linear.training, num_epochs=1)
    run = Run.create(tmp_path / "run", replace(linear, training=training))
    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "batches", slow_disk)
        slow = train(run)
    assert all(step["wait_sec"] > 0.04 for step in run.events("step"))
    assert slow.wait_share * slow.seconds > 6 * 0.04


def test_epochs_log_gains_and_accuracy_by_layer(recipe: Recipe, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe)
    train(run)
    for epoch in run.events("epoch"):
        assert {name: len(gains) for name, gains in epoch["gains"].items()} == {
            "semantic_graphs.0": 2,
            "motion_graphs.0": 2,
        }
        assert len(epoch["validation_layers"]) == 2
    first, *_, last = run.events("epoch")
    assert first["gains"] != last["gains"]
    assert last["train_loss"] < first["train_loss"]


def test_accuracy_while_training_is_that_of_evaluate(linear: Recipe, tmp_path: Path) -> None:
    """Of all stored views together, not of the first one."""
    training = replace(linear.training, num_epochs=1, learning_rate=1e-3)
    run = Run.create(tmp_path / "run", replace(linear, training=training))
    train(run)
    epoch = next(run.events("epoch"))
    table = read_annotations(linear.data.annotations, "validation")
    store = FeatureStore.open(linear.data.store)
    assert store.num_views == 2
    record = protocol.evaluate(load_checkpoint(run.best_checkpoint), store, table).record
    assert epoch["validation_top1"] == pytest.approx(record["top1"]["value"])
    assert epoch["validation_log_loss"] == pytest.approx(
        record["calibration"]["negative_log_likelihood"], rel=1e-6
    )


@pytest.mark.parametrize("steps_per_epoch", [1, 6, 50, 99, 149, 1000])
def test_fifty_steps_of_an_epoch_are_logged_and_the_last(steps_per_epoch: int) -> None:
    second_epoch = range(steps_per_epoch + 1, 2 * steps_per_epoch + 1)
    logged = [step for step in second_epoch if is_logged(step, steps_per_epoch)]
    assert len(logged) == min(steps_per_epoch, LOGGED_PER_EPOCH)
    assert logged[-1] == 2 * steps_per_epoch
    gaps = [later - earlier for earlier, later in itertools.pairwise([steps_per_epoch, *logged])]
    assert max(gaps) - min(gaps) <= 1


def test_early_stopping_keeps_the_best_epoch(linear: Recipe, tmp_path: Path) -> None:
    """At a rate of zero nothing gets better after the first epoch."""
    linear = replace(
        linear,
        data=replace(linear.data, held_out=0.2),
        training=replace(linear.training, num_epochs=9, patience=2, learning_rate=1e-30),
    )
    run = Run.create(tmp_path / "run", linear)
    result = train(run)
    assert (result.num_epochs, result.best_epoch) == (3, 1)
    assert load_checkpoint(run.best_checkpoint).epoch == 1
    assert train(run) == result  # taken up again it does not go on


def test_fp16_on_a_processor_is_refused(linear: Recipe, tmp_path: Path) -> None:
    recipe = replace(linear, training=replace(linear.training, precision="fp16", device="cpu"))
    with pytest.raises(InputError, match="needs a GPU"):
        train(Run.create(tmp_path / "run", recipe))


def half_precision(init_scale: float) -> Callable[[TrainingConfig], Fabric]:
    """Launches fp16 with its loss scale on a processor, as on a GPU."""
    scaler = torch.amp.GradScaler("cpu", init_scale=init_scale)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler))
    fabric.launch()
    return lambda training: fabric


def test_gradients_that_overflow_in_fp16_are_skipped_and_logged_as_null(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "launch", half_precision(init_scale=2.0**20))
    run = Run.create(tmp_path / "run", linear)
    result = train(run)
    norms = [step["grad_norm"] for step in run.events("step")]
    num_skipped = norms.count(None)
    assert 1 < num_skipped < 10
    assert norms[:num_skipped] == [None] * num_skipped
    assert "Infinity" not in (run.path / "metrics.jsonl").read_text()
    assert result.train_loss < next(run.events("epoch"))["train_loss"]
    draw_curves([run], tmp_path / "curves.png")


def test_gradients_that_go_on_to_overflow_in_fp16_stop_the_run(
    linear: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "launch", half_precision(init_scale=2.0**60))
    training = replace(linear.training, num_epochs=4)
    with pytest.raises(
        TrainingDivergedError,
        match=r"step 20: the gradient is not finite, nor was it in the 20 steps before; .* 'fp32'",
    ):
        train(Run.create(tmp_path / "run", replace(linear, training=training)))


def test_bf16_on_a_processor_trains(linear: Recipe, tmp_path: Path) -> None:
    training = replace(linear.training, precision="bf16", device="cpu")
    run = Run.create(tmp_path / "run", replace(linear, training=training))
    train(run)
    losses = [epoch["train_loss"] for epoch in run.events("epoch")]
    assert losses[-1] < losses[0]
