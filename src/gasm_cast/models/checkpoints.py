"""Checkpoints: a model that says what it is, what it was trained on, and what it may be used with.

A checkpoint is a file of tensors, strings and numbers, which `torch.load` opens with its
safe default (`weights_only=True`)::

    format, version      "gasm-cast-checkpoint", 1
    gasm_cast            version of this package that wrote it
    recipe               the resolved recipe, as JSON text
    recipe_hash          its hash, as `gasm-cast runs list` shows it
    class_names          names in the order of the logits
    num_groups           verb groups that coarse layers answer
    streams              {"semantic" | "motion": {"grid": [frames, rows, columns], "width": int}}
    provenance           what made the features, as JSON text
    fingerprint          its hash, as `gasm-cast store info` shows it
    stored               {"num_views": int, "dtype": str} of the features' store
    epoch, step          epochs finished and optimiser steps taken
    weights              the weights to use (averaged ones, where the recipe averages)
    training             what training needs to go on; absent from best.pt
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gasm_cast import __version__
from gasm_cast.annotations import same_classes
from gasm_cast.config import Recipe, RecipeError, config_hash, from_table, to_table
from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models.building import build_model
from gasm_cast.models.contract import FusionModel
from gasm_cast.store import FeatureStore, StoredDtype, difference, fingerprint, with_crops_of

FORMAT = "gasm-cast-checkpoint"
FORMAT_VERSION = 1
MOST_SHOWN = 3


class CheckpointError(InputError):
    """A checkpoint that cannot be read or does not fit; names the file and what is wrong."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is, beside its weights."""

    recipe: Recipe
    class_names: tuple[str, ...]
    num_groups: int
    semantic: StreamSpec
    motion: StreamSpec
    provenance: Mapping[str, Any]
    """What made the features it was trained on: see `store.provenance`."""
    num_views: int | None = None
    """Views of a clip in the store it was trained on; None where an older checkpoint does not say."""
    dtype: StoredDtype | None = None
    """How that store holds numbers; None likewise."""

    @property
    def fingerprint(self) -> str:
        """Hash of the provenance."""
        return fingerprint(self.provenance)

    def build(self) -> FusionModel:
        """A model of this kind with fresh weights.

        Raises:
            RecipeError: if the recipe does not fit the features.
        """
        try:
            return build_model(
                self.recipe.model,
                semantic=self.semantic,
                motion=self.motion,
                num_classes=len(self.class_names),
                num_groups=self.num_groups,
            )
        except ValueError as error:
            raise RecipeError(
                f"model {self.recipe.model.kind!r} does not fit these features: {error}"
            ) from None

    def require_store(self, store: FeatureStore) -> None:
        """Refuse features that were made in another way than those of the training.

        Views and crops may be others: a model that learnt from the middle of the frame can be
        asked of three crops, and the scores averaged.

        Raises:
            InputError: naming the first difference.
        """
        comparable = with_crops_of(self.provenance, store.provenance)
        self._require(comparable, store.fingerprint, where=str(store.path))

    def require_provenance(self, provenance: Mapping[str, Any], *, where: str) -> None:
        """Refuse features of another provenance.

        Raises:
            InputError: naming the first difference.
        """
        self._require(provenance, fingerprint(provenance), where=where)

    def _require(self, provenance: Mapping[str, Any], shown: str, *, where: str) -> None:
        if fingerprint(provenance) == self.fingerprint:
            return
        raise InputError(
            f"{where} holds other features than the model was trained on (fingerprint {shown}, the model's "
            f"is {self.fingerprint}): {difference(self.provenance, provenance)} (model against store); "
            "extract with the model's settings"
        )

    def require_classes(self, class_names: Sequence[str]) -> None:
        """Refuse annotations whose classes are not the model's, in the model's order.

        Raises:
            InputError: naming the first difference.
        """
        same_classes(self.class_names, class_names, where="annotations")


@dataclass(frozen=True, kw_only=True)
class LoadedModel(ModelCard):
    """A trained model, in evaluation mode on the CPU, with its card."""

    model: FusionModel
    epoch: int
    """Epochs that it has been trained for."""
    step: int
    path: Path


def save_checkpoint(
    path: Path,
    weights: Mapping[str, Tensor],
    card: ModelCard,
    *,
    epoch: int,
    step: int,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: File to write.
        weights: State dict of the model.
        card: What the model is.
        epoch: Epochs finished.
        step: Optimiser steps taken.
        training: What training needs to go on: nested mappings and lists of tensors,
            strings and numbers.

    Raises:
        InputError: if the file cannot be written.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "gasm_cast": __version__,
        "recipe": json.dumps(to_table(card.recipe)),
        "recipe_hash": config_hash(card.recipe),
        "class_names": list(card.class_names),
        "num_groups": card.num_groups,
        "streams": {
            name: {"grid": list(spec.grid.shape), "width": spec.width}
            for name, spec in (("semantic", card.semantic), ("motion", card.motion))
        },
        "provenance": json.dumps(card.provenance),
        "fingerprint": card.fingerprint,
        "stored": {"num_views": card.num_views, "dtype": card.dtype},
        "epoch": epoch,
        "step": step,
        "weights": dict(weights),
    }
    if training is not None:
        content["training"] = dict(training)
    save_content(path, content)


def save_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write nested tensors, strings and numbers with `torch.save`, whole or not at all.

    Raises:
        InputError: if the file cannot be written.
    """
    # Into an open file: given a path, torch hides what the disk says.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch could not close what it could not write
                raise error.__context__ from None
            raise


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file as it was saved, on the CPU.

    Raises:
        CheckpointError: if there is no such file, it is damaged, or it is of another format.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; `gasm-cast train` writes one") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path} is a folder; name a checkpoint, as RUN/checkpoints/best.pt") from None
    except pickle.UnpicklingError:  # torch advises to let the file run any code
        raise CheckpointError(f"{path}: damaged, or not a checkpoint") from None
    except (RuntimeError, OSError, EOFError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path}: damaged, or not a checkpoint: {reason}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of gasm-cast (no format {FORMAT!r} in it)")
    if content["version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {content['version']} (written by gasm-cast {content['gasm_cast']}); "
            f"this gasm-cast {__version__} reads version {FORMAT_VERSION}"
        )
    return content


def read_card(content: Mapping[str, Any], path: Path) -> ModelCard:
    """What the model of a checkpoint's content is.

    Raises:
        CheckpointError: if the recipe in it has fields that this version does not know.
    """
    specs = {
        name: StreamSpec(Grid(*stream["grid"]), stream["width"])
        for name, stream in content["streams"].items()
    }
    return ModelCard(
        recipe=from_table(Recipe, json.loads(content["recipe"]), source=str(path)),
        class_names=tuple(content["class_names"]),
        num_groups=content["num_groups"],
        semantic=specs["semantic"],
        motion=specs["motion"],
        provenance=json.loads(content["provenance"]),
        **content.get("stored", {}),
    )


def load_checkpoint(path: Path) -> LoadedModel:
    """Build the model of a checkpoint and fill it.

    Raises:
        CheckpointError: if the file is missing, damaged or of another format, or if any
            tensor of the model is missing, superfluous or of another shape; a model that is
            only partly filled is never returned.
    """
    content = read_checkpoint(path)
    card = read_card(content, path)
    model = card.build()
    wanted = model.state_dict()
    misfits = find_misfits(wanted, content["weights"])
    if misfits:
        shown = "; ".join(f"{name} {reason}" for name, reason in list(misfits.items())[:MOST_SHOWN])
        raise CheckpointError(
            f"{path}: {len(misfits)} of {len(wanted)} tensors do not fit the {card.recipe.model.kind} model: "
            f"{shown}; take a whole checkpoint, or train again"
        )
    model.load_state_dict(content["weights"])
    return LoadedModel(
        **vars(card), model=model.eval(), epoch=content["epoch"], step=content["step"], path=path
    )


def find_misfits(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, str]:
    """Each tensor that is missing, superfluous or of another shape, with the reason; empty if all fit."""
    misfits = {name: "is missing" for name in wanted if name not in given}
    misfits |= {name: "is not part of the model" for name in given if name not in wanted}
    misfits |= {
        name: f"is {list(given[name].shape)}, the model needs {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    }
    return misfits
