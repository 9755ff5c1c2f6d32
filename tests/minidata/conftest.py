"""One tiny draw that the tests of this room share: it is rendered once a session."""

from pathlib import Path

import pytest

from gasm_cast.minidata import generate

NUM_CLASSES = 2
CLIPS = (2, 1, 1)


@pytest.fixture(scope="session")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, two clips each to train on, one each to validate and test, by one process."""
    out = tmp_path_factory.mktemp("mini") / "draw"
    generate(out, seed=5, num_classes=NUM_CLASSES, clips_per_class=CLIPS)
    return out
