"""The store is open to programs that know nothing of this package."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

from gasm_cast.store import FeatureStore

from .conftest import clip, describe, write

README = Path(__file__).parents[2] / "docs" / "feature-store.md"


def code_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_ten_lines_with_safetensors_and_json_read_a_clip(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ["78687", *ids], failures=ids[2:3])
    code = code_blocks()[0]
    assert len([line for line in code.splitlines() if line]) == 10
    assert re.findall(r"^(?:import|from) (\w+)", code, flags=re.MULTILINE) == ["json", "safetensors"]
    code = code.replace('"78687"', repr(ids[7]))
    check = "import sys, numpy; numpy.save('read', semantic); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{code}\n{check}"], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), clip(ids[7], "semantic")[0])


def test_the_other_lines_of_the_readme_run(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ["78687", "42326", *ids])
    code = code_blocks()[1]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_int8_decodes_as_the_readme_says(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids, describe(dtype="int8"))
    store = FeatureStore.open(tmp_path / "store")
    with safe_open(store.shard_paths[1], "np") as shard:
        stored = shard.get_tensor("semantic")[2].astype(np.float32)
        token_scale = shard.get_tensor("semantic_token_scale")[2]
        channel_scale = shard.get_tensor("semantic_channel_scale")
    value = stored * token_scale[:, None] * channel_scale
    np.testing.assert_array_equal(store.read([ids[6]]).semantic[0].numpy(), value)


def test_data_starts_on_a_page(tmp_path: Path, ids: list[str]) -> None:
    write(tmp_path / "store", ids)
    for shard in (tmp_path / "store" / "shards").iterdir():
        header = int.from_bytes(shard.read_bytes()[:8], "little")
        assert (8 + header) % 4096 == 0
