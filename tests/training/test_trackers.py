"""Where curves go."""

from __future__ import annotations

import subprocess
import sys


def test_training_imports_no_tracker_and_no_plotting_before_they_are_used() -> None:
    program = "import sys, gasm_cast.training; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "gasm_cast.training.trackers" in imported
    assert not imported & {"torch.utils.tensorboard", "matplotlib"}
