"""What training does to frozen features, and to the labels that go with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.training.conftest import CLASS_NAMES
from torch import Tensor

from gasm_cast.annotations import flip_labels
from gasm_cast.config import AugmentationConfig
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models.preparation import StreamPreparation
from gasm_cast.training.augmentation import Augmentation, Mirror, Permutation
from gasm_cast.training.statistics import _Moments

GROUPS = torch.tensor([1, 1, 0, 2])


def augmentation(mirror: Mirror | None = None, **strengths: float) -> Augmentation:
    config = replace(AugmentationConfig(), **strengths)  # type: ignore[arg-type]
    return Augmentation(config, GROUPS, 3, mirror)


def tokens(batch: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(batch, 6, 5), torch.randn(batch, 4, 3), torch.arange(batch) % 4


def test_nothing_asked_for_changes_nothing() -> None:
    semantic, motion, labels = tokens()
    seen = augmentation()(semantic, motion, labels)
    assert seen.semantic is semantic
    assert seen.motion is motion
    assert torch.equal(seen.targets.classes.argmax(1), labels)
    assert torch.equal(seen.targets.groups.argmax(1), GROUPS[labels])


def test_dropout_takes_whole_tokens_at_its_rate() -> None:
    semantic, motion, labels = tokens(2000)
    seen = augmentation(token_dropout=0.3, segment_dropout=0.1)(semantic, motion, labels)
    for before, after, rate in ((semantic, seen.semantic, 0.3), (motion, seen.motion, 0.1)):
        gone = (after == 0).all(dim=-1)
        assert torch.equal(after[~gone], before[~gone])
        assert gone.float().mean().item() == pytest.approx(rate, abs=0.02)


def test_noise_has_its_deviation() -> None:
    semantic, motion, labels = tokens(500)
    seen = augmentation(noise=0.25)(semantic, motion, labels)
    assert (seen.semantic - semantic).std().item() == pytest.approx(0.25, rel=0.05)
    assert (seen.motion - motion).std().item() == pytest.approx(0.25, rel=0.05)


def test_mixup_mixes_features_and_targets_alike() -> None:
    semantic, motion, labels = tokens()
    # A feature that tells the class: its mix must be the mix of the targets.
    semantic[:, 0, :4] = torch.nn.functional.one_hot(labels, 4).float()
    motion[:, 0, :] = torch.nn.functional.one_hot(GROUPS[labels], 3).float()
    seen = augmentation(mixup=0.8)(semantic, motion, labels)
    torch.testing.assert_close(seen.semantic[:, 0, :4], seen.targets.classes)
    torch.testing.assert_close(seen.motion[:, 0], seen.targets.groups)
    assert ((seen.targets.classes.max(1).values < 0.95) & (seen.targets.classes.max(1).values > 0.05)).any()


def test_mixup_draws_from_a_beta() -> None:
    """Of variance 1 / (4 (2a + 1)), and so mostly near 0 and 1 where a is small."""
    num, parameter = 1000, 0.2
    torch.manual_seed(0)
    mixes = Augmentation(
        AugmentationConfig(mixup=parameter), torch.zeros(num, dtype=torch.long), num_groups=1, mirror=None
    )
    labels = torch.arange(num)  # a class a clip shows how much of its target each one kept
    shares = mixes(torch.zeros(num, 1, 1), torch.zeros(num, 1, 1), labels).targets.classes.diagonal()
    assert shares.mean().item() == pytest.approx(0.5, abs=0.05)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * parameter + 1)), abs=0.02)


def mirror_of(names: tuple[str, ...] = CLASS_NAMES) -> Mirror:
    """Columns of a 2 x 3 grid change places, and the first two channels of each stream."""
    columns = torch.arange(6).view(2, 3).flip(1).flatten()
    return Mirror(
        semantic=Permutation(columns, torch.tensor([1, 0, 2, 3, 4])),
        motion=Permutation(torch.arange(4), torch.tensor([1, 0, 2])),
        labels=torch.from_numpy(flip_labels(names)),
    )


def test_mirror_turns_columns_and_channels_and_swaps_sides() -> None:
    semantic, motion, labels = tokens()
    seen = augmentation(mirror_of())(semantic, motion, labels)
    mirrored = semantic.view(-1, 2, 3, 5).flip(2).flatten(1, 2)[..., [1, 0, 2, 3, 4]]
    turned = (seen.semantic != semantic).any(dim=(1, 2))
    assert 0.3 < turned.float().mean() < 0.7
    assert torch.equal(seen.semantic[turned], mirrored[turned])
    assert torch.equal(seen.motion[turned], motion[turned][..., [1, 0, 2]])
    assert torch.equal(seen.motion[~turned], motion[~turned])
    expected = torch.tensor([1, 0, 2, 3])[labels]
    assert torch.equal(seen.targets.classes.argmax(1), torch.where(turned, expected, labels))


def test_standardised_tokens_are_mirrored_like_stored_ones() -> None:
    """With statistics of clips and mirror images, mirroring before and after is the same."""
    stored = 3 + 2 * torch.randn(32, 4, 3) * torch.tensor([1.0, 4.0, 2.0])
    order = mirror_of().motion
    moments = _Moments(3)
    moments.add(stored)
    both = moments.with_mirror(order.channels)
    prepare = StreamPreparation(StreamSpec(Grid(4, 1, 1), 3), 1, standardise=True)
    prepare.fit(both.mean, both.deviation)
    assert torch.equal(order(prepare(stored)), prepare(order(stored)))
    together = torch.cat([stored, order(stored)]).flatten(0, 1)
    torch.testing.assert_close(both.mean, together.mean(0))
    torch.testing.assert_close(both.deviation, together.std(0, correction=0))


def test_a_class_whose_mirror_image_is_not_in_the_list_is_never_mirrored() -> None:
    names = ("Pushing something from left to right", "Lifting something up")
    seen_by = Augmentation(AugmentationConfig(), torch.tensor([1, 0]), 2, mirror_of(names))
    semantic, motion, labels = tokens()
    labels = labels % 2
    turned = (seen_by(semantic, motion, labels).semantic != semantic).any(dim=(1, 2))
    assert not turned[labels == 0].any()
    assert turned[labels == 1].any()


def test_mirror_is_refused_where_it_is_not_known() -> None:
    classic = {"name": "classic", "definition": 1}
    provenance = {"streams": {"semantic": {"backbone": classic}, "motion": {"backbone": {"name": "i3d-r50"}}}}
    with pytest.raises(InputError, match=r"motion features of backbone 'i3d-r50'.*augmentation.flip = false"):
        Mirror.create(CLASS_NAMES, provenance, semantic=Grid(1, 2, 3), motion=Grid(4, 1, 1))
