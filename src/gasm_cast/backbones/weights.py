"""Weights from a file, a folder or the hub, read without running code from them.

Files are safetensors, or PyTorch's own format read with `weights_only`, which builds
tensors and plain containers and nothing else. What is found is known by the hash of its
content, so that the same weights are recognised wherever they lie.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gasm_cast.errors import InputError

WRAPPERS = ("state_dict", "model_state", "model")
"""Keys under which training code puts the tensors of a checkpoint."""


@dataclass(frozen=True)
class WeightSource:
    """Weights on this machine.

    Attributes:
        path: The file, or the folder with `config.json`.
        name: File name, folder name or hub id.
        revision: Commit on the hub, if they came from there.
        sha256: Hash of the file, or of the folder's configuration and weight files.
    """

    path: Path
    name: str
    revision: str | None
    sha256: str

    def describe(self) -> dict[str, Any]:
        """For a manifest: no folder of this machine."""
        return {"weights": self.name, "revision": self.revision, "sha256": self.sha256}


def find_weights(weights: str | Path | None, *, default_hub_id: str) -> WeightSource:
    """Locate weights for a model that the hub has; download them if they are asked for by hub id.

    Args:
        weights: A file, a folder, a hub id, or None for the default.
        default_hub_id: The id that None stands for.

    Raises:
        InputError: if there is no such file, folder or id, or the hub cannot be reached.
    """
    if weights is None:
        return _from_hub(default_hub_id)
    if Path(weights).exists():
        return local_weights(Path(weights))
    if isinstance(weights, str) and weights.count("/") == 1 and not weights.startswith((".", "/", "~")):
        return _from_hub(weights)
    raise InputError(f"{weights}: no such file or folder of weights")


def local_weights(path: Path) -> WeightSource:
    """A file, or a folder as `save_pretrained` writes it.

    Raises:
        InputError: if it does not exist, or the folder lacks its configuration or its tensors.
    """
    if path.is_file():
        return WeightSource(path, path.name, None, _sha256([path]))
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder of weights")
    files = _weight_files(path)
    if not (path / "config.json").is_file() or not files:
        raise InputError(
            f"{path}: a folder of weights holds config.json and *.safetensors (or pytorch_model*.bin), "
            f"this one does not; give the weights file itself, or the right folder"
        )
    return WeightSource(path, path.resolve().name, None, _sha256([path / "config.json", *files]))


def _weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


def _from_hub(hub_id: str) -> WeightSource:
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=["config.json", "*.safetensors*"]))
        if not _weight_files(folder):
            folder = Path(snapshot_download(hub_id, allow_patterns=["config.json", "pytorch_model*"]))
    except (OSError, HFValidationError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"cannot get {hub_id} from the hub: {reason}; where there is a network, "
            f"`hf download {hub_id} --local-dir FOLDER`, then give FOLDER as the weights"
        ) from None
    found = local_weights(folder)
    return WeightSource(folder, hub_id, folder.name, found.sha256)


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a weights file by name; a usual wrapper around them is taken off.

    Raises:
        InputError: if the file cannot be read without unpickling objects, or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: not a file of tensors alone, and objects are not unpickled; "
            f"where it can be trusted, save its state_dict as .safetensors"
        ) from None
    except (SafetensorError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is cut short"
        raise InputError(f"{path}: not a readable weights file: {reason}") from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: expected tensors by name, got {type(content).__name__}")
    strange = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise InputError(f"{path}: expected tensors by name, but {_few(strange)} are none")
    return dict(content)


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Copy tensors into a module that must want just these.

    `num_batches_tracked` may be missing: files older than PyTorch 0.4.1 lack it, and it
    plays no part in evaluation.

    Raises:
        InputError: if names or shapes differ.
    """
    wanted = module.state_dict()
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = [key for key in wanted if key not in tensors and key not in counters]
    unexpected = [key for key in tensors if key not in wanted]
    reshaped = [
        f"{key} {tuple(tensors[key].shape)} for {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    for problem, keys in (("lacks", missing), ("has unknown", unexpected), ("has misshapen", reshaped)):
        if keys:
            raise InputError(f"{source}: not weights of this backbone: {problem} {_few(keys)}")
    module.load_state_dict({**{key: wanted[key] for key in counters}, **tensors})


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
