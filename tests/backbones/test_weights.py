import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gasm_cast.backbones.weights import find_weights, load_exactly, local_weights, read_tensors
from gasm_cast.errors import InputError

TENSORS = {"a": torch.arange(3.0), "b.c": torch.ones(2, 2)}


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state", "model"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pyth", ".bin"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pytorch_files(wrapper: str | None, suffix: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    content: Any = TENSORS if wrapper is None else {wrapper: TENSORS, "epoch": 3}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    torch.testing.assert_close(read_tensors(path), TENSORS)


def test_safetensors_files(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w.safetensors")
    torch.testing.assert_close(read_tensors(tmp_path / "w.safetensors"), TENSORS)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("plain_pickle", [True, False])
def test_no_code_runs(plain_pickle: bool, tmp_path: Path) -> None:
    content = {"a": torch.zeros(1), "trap": Trap(tmp_path / "sprung")}
    if plain_pickle:
        (tmp_path / "w.pt").write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"objects are not unpickled.*\.safetensors"):
        read_tensors(tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".pt", b""),
        (".pt", b"<html>404</html>"),
        (".pt", b"PK\x03\x04 cut short"),
        (".safetensors", b""),
        (".safetensors", b"version https://git-lfs.github.com/spec/v1"),
    ],
)
def test_unreadable_files_are_named(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)) as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


def test_other_contents_are_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(InputError, match="expected tensors by name, got list"):
        read_tensors(tmp_path / "list.pt")
    torch.save({"a": torch.zeros(1), "epoch": 1, "lr": 0.1}, tmp_path / "mixed.pt")
    with pytest.raises(InputError, match="but epoch, lr are none"):
        read_tensors(tmp_path / "mixed.pt")


def test_loading_wants_just_the_right_tensors() -> None:
    module = nn.BatchNorm1d(3)
    state = {key: torch.rand(3) for key in ("weight", "bias", "running_mean", "running_var")}
    load_exactly(module, state, source="w.pt")
    torch.testing.assert_close(module.running_var, state["running_var"])
    with pytest.raises(InputError, match=r"w\.pt: not weights of this backbone: lacks bias, running_mean"):
        load_exactly(module, {"weight": state["weight"], "running_var": torch.rand(3)}, source="w.pt")
    with pytest.raises(InputError, match="has unknown other"):
        load_exactly(module, {**state, "other": torch.rand(3)}, source="w.pt")
    with pytest.raises(InputError, match=r"has misshapen bias \(4,\) for \(3,\)"):
        load_exactly(module, {**state, "bias": torch.rand(4)}, source="w.pt")
    many = {f"k{i}": torch.rand(1) for i in range(9)}
    with pytest.raises(InputError, match="unknown k0, k1, k2 and 6 more"):
        load_exactly(module, {**state, **many}, source="w.pt")


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.pt").write_bytes(b"abc")
    one, two = (local_weights(tmp_path / folder / "w.pt") for folder in ("one", "two"))
    assert one.describe() == two.describe()
    # `printf abc | sha256sum`
    assert one.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_offline_says_how_to_fetch() -> None:
    with pytest.raises(InputError) as caught:
        find_weights(None, default_hub_id="someone/no-such-model")
    assert "\n" not in str(caught.value)
    assert "hf download someone/no-such-model --local-dir FOLDER" in str(caught.value)


def test_a_path_is_not_taken_for_a_hub_id(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", "./none/here", "none.pt", "a/b/c"):
        with pytest.raises(InputError, match="no such file or folder"):
            find_weights(missing, default_hub_id="someone/no-such-model")
