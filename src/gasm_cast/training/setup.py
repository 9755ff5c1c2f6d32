"""From a recipe to a model that is ready to learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import Fabric

from gasm_cast.annotations import ClipTable
from gasm_cast.config import DataConfig, Recipe
from gasm_cast.errors import InputError
from gasm_cast.evaluation.summary import Classes
from gasm_cast.models import FusionModel
from gasm_cast.models.checkpoints import ModelCard, find_misfits, read_card, read_checkpoint
from gasm_cast.store import FeatureStore
from gasm_cast.training.augmentation import Augmentation, Mirror
from gasm_cast.training.batches import TrainingClips
from gasm_cast.training.clips import hold_out, read_clips
from gasm_cast.training.learner import Learner
from gasm_cast.training.optimizer import Schedule
from gasm_cast.training.statistics import ChannelStatistics


@dataclass(frozen=True)
class Data:
    """The clips of a run, by what they are for."""

    store: FeatureStore
    classes: Classes
    learn: ClipTable
    held_out: ClipTable | None
    """To choose the best epoch or candidate by; None chooses nothing."""
    validation: ClipTable | None
    """To report; None was not opened."""
    num_failed: int
    """Training clips left out, since the store records them as failed."""


def read_data(recipe: Recipe, *, with_validation: bool) -> Data:
    """Open the store and read the labels that a run needs, and no others.

    Raises:
        InputError: if they are missing or do not belong together, or if clips of the training
            split are in another split that is to be reported.
    """
    recipe.data.require_found()
    store = FeatureStore.open(recipe.data.store)
    train = read_clips(recipe.data, recipe.data.train_split, store)
    learn, held_out = train.clips, None
    if recipe.data.held_out:
        learn, held_out = hold_out(train.clips, recipe.data.held_out)
    validation = None
    if with_validation:
        validation = read_clips(recipe.data, recipe.data.validation_split, store).clips
        shared = sorted(set(train.clips.ids) & set(validation.ids))
        if shared and recipe.data.train_split != recipe.data.validation_split:
            raise InputError(
                f"{recipe.data.annotations}: {len(shared)} of {len(validation)} clips of split "
                f"{validation.split!r} are training clips as well, first {shared[0]}; "
                "take them out of one of the two (`gasm-cast scan` lists them all)"
            )
    classes = Classes.of_names(train.clips.class_names)
    return Data(store, classes, learn, held_out, validation, train.num_failed)


def build_card(recipe: Recipe, data: Data) -> ModelCard:
    """What the model of a run is."""
    return ModelCard(
        recipe=recipe,
        class_names=data.classes.names,
        num_groups=data.classes.num_groups,
        semantic=data.store.streams["semantic"],
        motion=data.store.streams["motion"],
        provenance=data.store.provenance,
        num_views=data.store.num_views,
        dtype=data.store.description.dtype,
    )


def build_learner(
    fabric: Fabric,
    recipe: Recipe,
    data: Data,
    clips: TrainingClips,
    *,
    statistics: ChannelStatistics,
    say: Callable[[str], None],
    begins: bool = True,
) -> Learner:
    """A model with fresh or given weights, the training split's statistics, and its optimiser.

    Args:
        fabric: Device, processes and arithmetic.
        recipe: The run.
        data: Its clips.
        clips: The training clips in batches.
        statistics: Of the training clips.
        say: Takes lines for the user.
        begins: Whether the run begins here; else statistics and given weights are left out, since
            a checkpoint of the run will be loaded, which holds both.

    Raises:
        InputError: if the recipe does not fit the features.
    """
    torch.manual_seed(recipe.training.seed)
    card = build_card(recipe, data)
    model = card.build()
    mirror = None
    if recipe.augmentation.flip:
        mirror = Mirror.create(
            data.classes.names, data.store.provenance, semantic=model.semantic_grid, motion=model.motion_grid
        )
    if begins:
        statistics.fit(model, mirror)
    if begins and recipe.training.start_from is not None:
        start_from(model, card, recipe.training.start_from, say)
    groups = torch.from_numpy(data.classes.group_of_class)
    augmentation = Augmentation(recipe.augmentation, groups, data.classes.num_groups, mirror)
    schedule = Schedule.create(
        recipe.training,
        num_clips=len(data.learn),
        num_processes=fabric.world_size,
        steps_per_epoch=clips.steps_per_epoch,
    )
    return Learner(fabric, model, recipe, schedule, augmentation)


class Setup(NamedTuple):
    """All that a run needs to begin, or to be taken up."""

    data: Data
    clips: TrainingClips
    learner: Learner
    card: ModelCard


def set_up(
    fabric: Fabric,
    recipe: Recipe,
    say: Callable[[str], None],
    *,
    found: DataConfig | None = None,
    begins: bool = True,
) -> Setup:
    """Read a run's clips and build what learns from them.

    Args:
        fabric: Device, processes and arithmetic.
        recipe: The run.
        say: Takes lines for the user.
        found: Where its clips lie by now (`Run.data`); by default where the recipe says.
        begins: Whether the run begins here, or a checkpoint of it will be loaded.

    Raises:
        InputError: if recipe, annotations and store do not belong together.
    """
    where = replace(recipe, data=found or recipe.data)
    data = read_data(where, with_validation=recipe.training.validate_every > 0)
    if data.validation is not None and recipe.data.train_split == recipe.data.validation_split:
        split = recipe.data.train_split
        say(f"warning: split {split!r} is trained on and reported; that is not accuracy on new clips")
    clips = TrainingClips(
        data.store, data.learn, recipe, rank=fabric.global_rank, num_processes=fabric.world_size
    )
    statistics = ChannelStatistics(data.store, data.learn)
    learner = build_learner(fabric, recipe, data, clips, statistics=statistics, say=say, begins=begins)
    return Setup(data, clips, learner, build_card(recipe, data))


def start_from(model: FusionModel, card: ModelCard, path: Path, say: Callable[[str], None]) -> None:
    """Fill a model from a checkpoint as far as it fits, and say what was not loaded.

    Where the classes are not the same, in the same order, whatever scores classes begins
    fresh, even if its size happens to fit.

    Raises:
        InputError: if the file cannot be read, its features were made in another way, or
            nothing fits.
    """
    content = read_checkpoint(path)
    theirs = read_card(content, path)
    theirs.require_provenance(card.provenance, where="this run's store")
    wanted, given = model.state_dict(), content["weights"]
    misfits = find_misfits(wanted, given)
    if theirs.class_names != card.class_names:
        # Whatever has another shape in a model with one class and one verb group more.
        larger = replace(card, class_names=(*card.class_names, ""), num_groups=card.num_groups + 1)
        scores_classes = find_misfits(wanted, larger.build().state_dict())
        misfits |= dict.fromkeys(scores_classes, "scores other classes")
    fits = {name: tensor for name, tensor in given.items() if name in wanted and name not in misfits}
    if not fits:
        raise InputError(f"{path}: no tensor of its {theirs.recipe.model.kind} model fits this one")
    model.load_state_dict(fits, strict=False)
    say(f"loaded {len(fits)} of {len(wanted)} tensors from {path}")
    for name, reason in misfits.items():
        say(f"  not loaded: {name}: {reason}")
