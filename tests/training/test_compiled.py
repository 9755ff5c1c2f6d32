"""`training.compile`: one program for the batches of all sizes, and the numbers of the model as it stands."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from gasm_cast.config import ModelKind, Recipe, to_toml
from gasm_cast.runs import Run
from gasm_cast.training import train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# In a process of its own: the shape checks of this test suite are decorators that the compiler
# cannot see through. Traced whole, but not translated to native code, which would take minutes.
PROGRAM = """
import sys
from functools import partial
from pathlib import Path

import torch

torch._dynamo.config.error_on_recompile = True
torch.compile = partial(torch.compile, backend="eager")

from gasm_cast.config import read_recipe
from gasm_cast.runs import Run
from gasm_cast.training import train

for path in map(Path, sys.argv[1:]):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    train(Run.create(path.with_suffix(""), read_recipe(path)))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"]
"""


def test_a_smaller_batch_does_not_compile_again(recipe: Recipe, tmp_path: Path) -> None:
    # 42 clips in batches of at most 12: two of 10 and two of 11.
    training = replace(recipe.training, num_epochs=2, batch_size=12)
    files = []
    for kind in get_args(ModelKind):
        head = recipe.model.head if kind == "gasm-cast" else replace(recipe.model.head, coarse_layers=0)
        plain = replace(recipe, training=training, model=replace(recipe.model, kind=kind, head=head))
        train(Run.create(tmp_path / "plain" / kind, plain))
        files.append(tmp_path / f"{kind}.toml")
        files[-1].write_text(to_toml(replace(plain, training=replace(training, compile=True))))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *files], capture_output=True, text=True, check=False, timeout=880
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for file in files:
        runs = [Run.open(tmp_path / "plain" / file.stem), Run.open(file.with_suffix(""))]
        losses = [[step["loss"] for step in run.events("step")] for run in runs]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4), file.stem
