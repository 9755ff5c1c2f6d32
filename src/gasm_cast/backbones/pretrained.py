"""Loading a transformers model so that no weight is left at random without a word."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from gasm_cast.errors import InputError

UNUSED_WEIGHTS = ("mask_token", "predictor.")
"""Parts that only pre-training uses; a checkpoint may lack them."""


def load_folder(model_class: type[PreTrainedModel], folder: Path, *, name: str) -> PreTrainedModel:
    """A model from a folder as `save_pretrained` writes it; heads that the class lacks are left out.

    Args:
        model_class: The class to build.
        folder: Holds `config.json` and the weights.
        name: What the folder should hold, for messages.

    Raises:
        InputError: if it holds another family, or weights are missing, misshapen or unreadable.
    """
    found = _model_type(folder / "config.json")
    if found != model_class.config_class.model_type:
        raise InputError(f"{folder}: holds a model of type {found}, not {name}; give the weights of {name}")
    return _load(model_class, source=str(folder), pretrained_model_name_or_path=folder, local_files_only=True)


def _model_type(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a model configuration (no model_type)") from None


def load_tensors(
    model_class: type[PreTrainedModel],
    config: PretrainedConfig,
    tensors: Mapping[str, Tensor],
    *,
    source: str,
) -> PreTrainedModel:
    """A model from a configuration and tensors under the names that transformers gives them.

    Raises:
        InputError: if weights are missing or misshapen.
    """
    return _load(
        model_class,
        source=source,
        pretrained_model_name_or_path=None,
        config=config,
        state_dict=dict(tensors),
    )


def _load(model_class: type[PreTrainedModel], *, source: str, **where: Any) -> PreTrainedModel:
    try:
        with _quiet():
            model, report = model_class.from_pretrained(
                **where, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise InputError(f"{source}: not readable as {model_class.__name__}: {_first_line(error)}") from None
    missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in UNUSED_WEIGHTS))
    if missing:
        raise InputError(
            f"{source}: not weights of {model_class.__name__}: lacks {len(missing)} tensors, as {missing[0]}"
        )
    return model.requires_grad_(False).eval()


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's bars and reports: what matters of them becomes an error of ours."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
