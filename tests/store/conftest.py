"""Small stores of known numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32

from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.store import FeatureStore, StoredDtype, StoreDescription, StoreWriter, StreamDescription

SEMANTIC = StreamSpec(Grid(1, 3, 4), 20)
MOTION = StreamSpec(Grid(5, 1, 1), 8)

MakeStore = Callable[..., FeatureStore]


def describe(*, num_views: int = 1, dtype: StoredDtype = "float16", revision: str = "v1") -> StoreDescription:
    return StoreDescription(
        semantic=StreamDescription(SEMANTIC, {"name": "seer", "revision": revision}),
        motion=StreamDescription(MOTION, {"name": "mover"}),
        preprocessing={"num_frames": 16},
        num_views=num_views,
        dtype=dtype,
    )


def clip(name: str, stream: str, num_views: int = 1) -> Float32[np.ndarray, "views tokens width"]:
    """Features that depend on nothing but the id, and that half precision holds exactly."""
    spec = SEMANTIC if stream == "semantic" else MOTION
    generator = np.random.default_rng([len(stream), *name.encode()])
    values = generator.integers(-1000, 1000, (num_views, spec.grid.num_tokens, spec.width))
    return (values / 256).astype(np.float32)


def write(
    path: Path,
    ids: Sequence[str],
    description: StoreDescription | None = None,
    *,
    failures: Sequence[str] = (),
    samples_per_shard: int = 4,
    stop_after: int | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> StoreWriter:
    description = description or describe()
    with StoreWriter(
        path,
        description,
        asked=ids,
        samples_per_shard=samples_per_shard,
        rank=rank,
        world_size=world_size,
    ) as writer:
        for name in writer.todo[:stop_after]:
            if name in failures:
                writer.fail(name, f"cannot decode {name}")
            else:
                views = description.num_views
                writer.add(name, clip(name, "semantic", views), clip(name, "motion", views))
    return writer


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


@pytest.fixture
def ids() -> list[str]:
    return [f"clip-{number}" for number in np.random.default_rng(3).permutation(30)]
