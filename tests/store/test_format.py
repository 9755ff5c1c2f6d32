"""The store is open to programs that know nothing of this package."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.store import FeatureStore, StoreDescription, StreamDescription

from .conftest import clip, describe, write

README = Path(__file__).parents[2] / "docs" / "feature-store.md"
RECIPE = Path(__file__).parents[2] / "recipes" / "ssv2.toml"
SSV2_CLIPS, SSV2_VALIDATION_CLIPS = 220_847, 24_777


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


def test_the_disk_that_something_something_takes_is_as_stated() -> None:
    def store_bytes(num_frames: int, num_clips: int = SSV2_CLIPS, num_views: int = 1) -> tuple[float, float]:
        """Bytes in half precision and as int8, whose tokens have a scale of four bytes each."""
        semantic = StreamSpec(Grid(num_frames, 14, 14), 768)
        motion = StreamSpec(Grid(8, 1, 1), 512)
        half, int8 = (
            StoreDescription(
                StreamDescription(semantic, {}), StreamDescription(motion, {}), dtype=dtype
            ).view_bytes
            for dtype in ("float16", "int8")
        )
        scales = 4 * (semantic.grid.num_tokens + motion.grid.num_tokens)
        return half * num_clips * num_views, (int8 + scales) * num_clips * num_views

    page, recipe = (path.read_text(encoding="utf-8") for path in (README, RECIPE))
    for num_frames in (8, 1):
        half, int8 = store_bytes(num_frames)
        row = f"{half / SSV2_CLIPS / 1e6:.3f} MB a clip, {half / 1e9:.0f} GB | {int8 / 1e9:.0f} GB |"
        assert f"| {num_frames} x 14 x 14 | {row}" in page
        assert f"{half / 1e9:.0f} GB" in recipe
    assert f"{store_bytes(8)[1] / 1e9:.0f} GB" in recipe
    half, int8 = store_bytes(8, SSV2_VALIDATION_CLIPS, 6)
    assert f"({half / 1e9:.0f} GB, {int8 / 1e9:.0f} GB as int8)" in recipe
