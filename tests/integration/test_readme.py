"""The lines of Python in the README run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

from tests.extraction.conftest import write_clip

from gasm_cast.cli import main
from gasm_cast.config import (
    DataConfig,
    ExchangeConfig,
    GraphConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
)
from gasm_cast.models import ModelCard, save_checkpoint
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore

README = Path(__file__).parents[2] / "README.md"
CLASSES = ("pull", "push")


def write_run(root: Path) -> None:
    """A data set of two classes, its features, and a run of a model that was never trained."""
    for split, seeds in (("train", range(4)), ("validation", range(4, 6))):
        rows = [f"{seed}.webm,{CLASSES[seed % 2]}" for seed in seeds]
        for seed in seeds:
            write_clip(root / "data" / "videos" / f"{seed}.webm", seed)
        (root / "data" / f"{split}.csv").write_text("path,label\n" + "\n".join(rows))
    assert main(["extract", str(root / "data"), "--out", str(root / "store")]) == 0
    store = FeatureStore.open(root / "store")
    recipe = Recipe(
        data=DataConfig(store=root / "store", annotations=root / "data"),
        model=ModelConfig(
            graph=GraphConfig(width=16, num_heads=2, similarity_width=8),
            exchange=ExchangeConfig(width=16, num_heads=2),
        ),
        training=TrainingConfig(num_epochs=1, batch_size=2, device="cpu"),
    )
    run = Run.create(root / "runs" / "mine", recipe)
    card = ModelCard(
        recipe=recipe,
        class_names=CLASSES,
        num_groups=0,
        semantic=store.streams["semantic"],
        motion=store.streams["motion"],
        provenance=store.provenance,
        num_views=store.num_views,
        dtype=store.description.dtype,
    )
    save_checkpoint(run.best_checkpoint, card.build().state_dict(), card, epoch=1, step=1)


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(code.splitlines()) <= 15
    write_run(tmp_path)
    write_clip(tmp_path / "new_clip.mp4", 9)
    # As people write it first: a script whose lines are not below `if __name__ == "__main__"`.
    (tmp_path / "script.py").write_text(f"{code}\nprint(tuple(logits.shape))\n")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"new_clip\.mp4 \[\('pu(ll|sh)', 0\.\d+\), \('pu(ll|sh)', 0\.\d+\)\]", done.stdout)
    assert "(2, 174)" in done.stdout
    assert Run.open(tmp_path / "runs" / "again").best_checkpoint.exists()
