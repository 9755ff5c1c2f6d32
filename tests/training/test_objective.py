"""The loss as written, its schedule of rates, and which clips it is taken of."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import MOTION, SEMANTIC, draw, write_annotations, write_store

from gasm_cast.config import Recipe, TrainingConfig
from gasm_cast.errors import InputError
from gasm_cast.models import Prediction, build_model
from gasm_cast.store import FeatureStore
from gasm_cast.training.clips import hold_out, read_clips, sample_ids
from gasm_cast.training.losses import Targets, clip_losses
from gasm_cast.training.optimizer import Schedule, build_average, build_optimizer
from gasm_cast.training.setup import read_data
from gasm_cast.training.statistics import ChannelStatistics


def test_loss_is_the_formula(recipe: Recipe) -> None:
    head = replace(recipe.model.head, layer_weights=(0.5, 0.25), coarse_layers=1)
    model = build_model(
        replace(recipe.model, head=head), semantic=SEMANTIC, motion=MOTION, num_classes=4, num_groups=3
    )
    groups = torch.tensor([1, 1, 0, 2])
    labels = torch.tensor([0, 3])
    prediction = Prediction(torch.randn(2, 4), (torch.randn(2, 3), torch.randn(2, 4)))
    smoothing = 0.1

    def cross_entropy(logits: torch.Tensor, label: int) -> float:
        log_p = logits.double().log_softmax(-1)
        return float(-(1 - smoothing) * log_p[label] - smoothing * log_p.mean())

    losses = clip_losses(model, prediction, Targets.of_labels(labels, groups, 3), smoothing)
    for clip, label in enumerate(labels.tolist()):
        coarse, fine = prediction.layer_logits
        expected = cross_entropy(prediction.logits[clip], label)
        expected += 0.5 * cross_entropy(coarse[clip], int(groups[label]))
        expected += 0.25 * cross_entropy(fine[clip], label)
        assert losses[clip].item() == pytest.approx(expected, rel=1e-5)


def test_rate_climbs_linearly_and_falls_as_a_cosine_to_zero() -> None:
    config = TrainingConfig(
        num_epochs=10, batch_size=16, base_batch_size=64, learning_rate=0.8, warmup_epochs=2.0
    )
    schedule = Schedule.create(config, num_clips=320, num_processes=2, steps_per_epoch=10)
    assert schedule.effective_batch == 32
    rates = [schedule.rate(step) for step in range(schedule.num_steps)]
    assert schedule.num_steps == 100
    assert max(rates) == schedule.peak == pytest.approx(0.4)
    assert rates.index(max(rates)) == schedule.num_warmup_steps == 20
    rises = np.diff(rates[:21])
    assert rises == pytest.approx([rises[0]] * 20)
    assert rates[0] == pytest.approx(rises[0])
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert rates[60] == pytest.approx(0.2)  # half of the way down
    assert rates[-1] < 0.001


def test_base_batch_of_zero_turns_scaling_off() -> None:
    config = TrainingConfig(learning_rate=0.1, base_batch_size=0)
    assert Schedule.create(config, num_clips=99, num_processes=8, steps_per_epoch=3).peak == 0.1


def test_the_rate_is_not_scaled_up_by_clips_that_do_not_exist() -> None:
    def peak(batch_size: int, num_clips: int) -> float:
        config = TrainingConfig(learning_rate=0.1, batch_size=batch_size, base_batch_size=64)
        return Schedule.create(config, num_clips=num_clips, num_processes=1, steps_per_epoch=1).peak

    assert peak(100_000, num_clips=16) == peak(64, num_clips=16) == pytest.approx(0.1)
    assert peak(100_000, num_clips=128) == peak(128, num_clips=128) == pytest.approx(0.2)
    assert peak(32, num_clips=16) == pytest.approx(0.05)


def test_longer_warm_up_than_training_still_ends_at_the_peak() -> None:
    config = TrainingConfig(num_epochs=1, warmup_epochs=5.0, batch_size=64, learning_rate=1.0)
    schedule = Schedule.create(config, num_clips=256, num_processes=1, steps_per_epoch=4)
    assert [schedule.rate(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_matrices_are_decayed_and_all_parameters_are_in_one_group(recipe: Recipe) -> None:
    model = build_model(recipe.model, semantic=SEMANTIC, motion=MOTION, num_classes=4, num_groups=3)
    groups = build_optimizer(model, TrainingConfig(weight_decay=0.3)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or "position" in name:
            assert id(parameter) not in decayed, name


def test_held_out_clips_are_of_every_class_and_the_same_for_every_seed(recipe: Recipe) -> None:
    data = replace(recipe.data, held_out=0.2)
    seeds = [replace(recipe, data=data, training=replace(recipe.training, seed=seed)) for seed in (0, 1)]
    first, second = (read_data(seeded, with_validation=False) for seeded in seeds)
    assert first.held_out is not None
    assert second.held_out is not None
    assert first.held_out.ids == second.held_out.ids
    assert first.validation is None
    assert set(first.held_out.ids) | set(first.learn.ids) == set(draw("train", 42)[0])
    assert not set(first.held_out.ids) & set(first.learn.ids)
    assert len(first.held_out) == 8
    assert (first.held_out.class_counts() == 2).all()


def test_recorded_failures_are_left_out_and_unknown_clips_refused(recipe: Recipe, tmp_path: Path) -> None:
    ids, labels = draw("clip", 10)
    ids[3], ids[7] = "broken3", "broken7"
    write_store(tmp_path / "store", ids, labels)
    write_annotations(
        tmp_path / "annotations", {"train": (ids, labels), "more": ([*ids, "new", "newer"], [*labels, 0, 1])}
    )
    store = FeatureStore.open(tmp_path / "store")
    data = replace(recipe.data, annotations=tmp_path / "annotations", store=tmp_path / "store")
    split = read_clips(data, "train", store)
    assert split.num_failed == 2
    assert split.clips.ids == tuple(name for name in ids if not name.startswith("broken"))
    assert split.clips.labels.tolist() == [
        label for label, name in zip(labels, ids, strict=True) if "broken" not in name
    ]
    (tmp_path / "annotations" / "train.json").rename(tmp_path / "annotations" / "test.json")
    (tmp_path / "annotations" / "more.json").rename(tmp_path / "annotations" / "train.json")
    with pytest.raises(InputError, match=r"lacks 2 of the 12 clips of split 'train', first new, newer"):
        read_clips(data, "train", store)


def test_a_class_with_one_clip_cannot_be_held_out(recipe: Recipe, tmp_path: Path) -> None:
    write_store(tmp_path / "store", ["a", "b", "c"], [0, 0, 1])
    write_annotations(tmp_path / "annotations", {"train": (["a", "b", "c"], [0, 0, 1])})
    data = replace(recipe.data, annotations=tmp_path / "annotations")
    clips = read_clips(data, "train", FeatureStore.open(tmp_path / "store")).clips
    with pytest.raises(InputError, match="has 1 clip"):
        hold_out(clips, 0.1)


def test_one_class_leaves_nothing_to_learn(recipe: Recipe, tmp_path: Path) -> None:
    write_store(tmp_path / "store", ["a", "b"], [0, 0])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "labels.json").write_text(json.dumps({"Only": "0"}))
    rows = [{"id": clip, "template": "Only"} for clip in ("a", "b")]
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(rows))
    data = replace(recipe.data, annotations=tmp_path / "annotations")
    with pytest.raises(InputError, match="the class 'Only' alone"):
        read_clips(data, "train", FeatureStore.open(tmp_path / "store"))


def test_statistics_are_those_of_the_pooled_tokens(recipe: Recipe) -> None:
    data = read_data(recipe, with_validation=False)
    config = replace(
        recipe.model, kind="linear", semantic_pool=2, head=replace(recipe.model.head, coarse_layers=0)
    )
    model = build_model(config, semantic=SEMANTIC, motion=MOTION, num_classes=4, num_groups=3)
    ChannelStatistics(data.store, data.learn).fit(model)
    features = data.store.read(data.learn.ids)
    semantic, motion = model.prepare_semantic(features.semantic), model.prepare_motion(features.motion)
    for prepared, num_tokens in ((semantic, 4), (motion, 4)):
        assert prepared.shape[1] == num_tokens
        flat = prepared.flatten(0, 1).double()
        assert flat.mean(0).abs().max() < 1e-5
        assert (flat.var(0, unbiased=False) - 1).abs().max() < 1e-4


def test_the_sample_for_statistics_does_not_depend_on_order(recipe: Recipe) -> None:
    clips = read_data(recipe, with_validation=False).learn
    turned = clips.select(list(reversed(range(len(clips)))))
    assert sample_ids(clips, 10) == sample_ids(turned, 10)
    assert len(set(sample_ids(clips, 10))) == 10


def test_the_average_of_weights_forgets_where_training_began(recipe: Recipe) -> None:
    model = build_model(recipe.model, semantic=SEMANTIC, motion=MOTION, num_classes=4, num_groups=3)
    average = build_average(model, decay=0.999)
    assert average is not None
    with torch.no_grad():
        average.update_parameters(model)
        start = [weight.clone() for weight in model.parameters()]
        for weight in model.parameters():
            weight.add_(1)
        for _ in range(100):
            average.update_parameters(model)

    def way() -> list[float]:
        pairs = zip(average.module.parameters(), start, strict=True)
        return [float((now.detach() - before).mean()) for now, before in pairs]

    # A constant decay would have come a tenth of the way; (1 + n) / (10 + n) forgets by n^-9.
    assert way() == pytest.approx([1.0] * len(start), abs=1e-3)

    for weight in model.parameters():
        weight.data.add_(1)
    average.n_averaged.fill_(1_000_000)
    average.update_parameters(model)
    assert way() == pytest.approx([1.001] * len(start), abs=1e-4)
