"""`torch.compile` takes whole models and compiles once, whatever the size of the last batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own: the shape checks of this test suite are decorators that the compiler
# cannot see through.
PROGRAM = """
import sys

import torch

from gasm_cast.config import ExchangeConfig, GraphConfig, HeadConfig, ModelConfig, PeerConfig
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.models import build_model, mark_batch

kind, residual, backend = sys.argv[1:]
torch._dynamo.config.error_on_recompile = True
torch.manual_seed(0)
# As many segments as clips in the first batch: a compiler that is not told takes one for the other.
semantic, motion = StreamSpec(Grid(1, 9, 9), 24), StreamSpec(Grid(8, 1, 1), 16)
model = build_model(
    ModelConfig(
        kind=kind,
        graph=GraphConfig(width=16, num_heads=2, similarity_width=4),
        exchange=ExchangeConfig(width=16, num_heads=2, residual=residual, num_layers=2, dropout=0.0),
        head=HeadConfig(dropout=0.0),
        peer=PeerConfig(width=16, num_heads=2, num_layers=1),
    ),
    semantic=semantic,
    motion=motion,
    num_classes=5,
)
for training in (True, False):
    model.train(training)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    for batch in (8, 3):
        tokens = torch.randn(batch, 81, 24), torch.randn(batch, 8, 16)
        mark_batch(*tokens)
        with torch.inference_mode(not training):
            logits = compiled(*tokens).logits
            torch.testing.assert_close(logits, model(*tokens).logits, rtol=1e-4, atol=1e-5)
        if training:
            model.zero_grad()
            logits.sum().backward()
            assert model.prepare_semantic.scale.grad is None
            assert all(p.grad is not None for n, p in model.named_parameters() if "layer_heads" not in n)
"""


def run(kind: str, residual: str, backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, residual, backend],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("residual", ["bottleneck", "stream"])
def test_one_graph_for_all_batches(residual: str) -> None:
    run("gasm-cast", residual, backend="aot_eager")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_to_native_code() -> None:
    run("gasm-cast", "bottleneck", backend="inductor")
