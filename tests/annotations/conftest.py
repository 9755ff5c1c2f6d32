import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

Entry = tuple[str, str]
LABELS = {"Pushing something": "0", "Pulling something": "1", "Holding something": "2"}


@pytest.fixture(scope="session")
def ssv2_names() -> tuple[str, ...]:
    """The 174 classes in their official order."""
    path = Path(__file__).parent / "something-something-v2-labels.json"
    index_of = json.loads(path.read_text())
    return tuple(sorted(index_of, key=lambda name: int(index_of[name])))


@pytest.fixture
def write_ssv2(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder in SSv2's layout: (id, template with brackets) a clip."""

    def write(
        splits: Mapping[str, Sequence[Entry]] | None = None,
        labels: object = LABELS,
        prefix: str = "",
        folder: Path = tmp_path,
    ) -> Path:
        splits = {"train": [("1", "Pushing [something]")]} if splits is None else splits
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{prefix}labels.json").write_text(json.dumps(labels))
        for split, entries in splits.items():
            rows = [{"id": i, "label": "x", "template": t, "placeholders": ["a cup"]} for i, t in entries]
            (folder / f"{prefix}{split}.json").write_text(json.dumps(rows))
        return folder

    return write
