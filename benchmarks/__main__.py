"""`python -m benchmarks [NAME...]`: run benchmarks one after the other; each takes `--json`.

All are modules of this folder but `model`, which is the command `gasm-cast bench model`.

What a benchmark compares with is listed in `benchmarks/requirements.txt`; a peer that is not installed is
reported as absent.
"""

import subprocess
import sys
from pathlib import Path

NAMES = ("decoding", "store", "extraction", "backbone_throughput", "training", "model")


def main() -> int:
    """Run the named benchmarks, or all; figures go to runs/benchmarks/NAME.json."""
    folder = Path("runs/benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    code = 0
    for name in sys.argv[1:] or NAMES:
        program = ["gasm_cast", "bench", "model"] if name == "model" else [f"benchmarks.{name}"]
        print(f"\n$ python -m {' '.join(program)}", flush=True)
        command = [sys.executable, "-m", *program, "--json", str(folder / f"{name}.json")]
        code = subprocess.run(command, check=False).returncode or code
    return code


if __name__ == "__main__":
    sys.exit(main())
