"""`training.compile`: one program for the batches of all sizes, and the numbers of the model as it stands."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gasm_cast.config import Recipe, to_toml
from gasm_cast.runs import Run
from gasm_cast.training import train

pytestmark = pytest.mark.slow

# In a process of its own: the shape checks of this test suite are decorators that the compiler
# cannot see through. Traced whole, but not translated to native code, which would take minutes.
PROGRAM = """
import sys
from functools import partial
from pathlib import Path

import torch

torch._dynamo.config.error_on_recompile = True
torch.compile = partial(torch.compile, backend="eager", fullgraph=True)

from gasm_cast.config import read_recipe
from gasm_cast.runs import Run
from gasm_cast.training import train

train(Run.create(Path(sys.argv[2]), read_recipe(Path(sys.argv[1]))))
"""


def test_a_smaller_batch_does_not_compile_again(recipe: Recipe, tmp_path: Path) -> None:
    # 42 clips in batches of at most 12: two of 10 and two of 11.
    training = replace(recipe.training, num_epochs=2, batch_size=12)
    plain = Run.create(tmp_path / "plain", replace(recipe, training=training))
    train(plain)
    file = tmp_path / "recipe.toml"
    file.write_text(to_toml(replace(recipe, training=replace(training, compile=True))))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), str(tmp_path / "compiled")],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    compiled = Run.open(tmp_path / "compiled")
    losses = [[step["loss"] for step in run.events("step")] for run in (plain, compiled)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
