"""The command `gasm-cast`: one file a command.

Each command is a module of this package with a frozen dataclass `Options`, whose
docstring and field docstrings are the help, and a function `run(options) -> exit code`;
where flags depend on a file that must be read first, also `parse(arguments) -> options`.
Only the chosen command's module is imported, and heavy libraries only inside `run`, so
that `--help` answers at once. `--json -` writes to standard output, and the lines for a
person then go to standard error.

Exit codes: 0 done; 1 done, but some clips failed or are missing; 2 bad input, nothing
done; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from gasm_cast import __version__
from gasm_cast.errors import InputError
from gasm_cast.files import DISK_FULL, STANDARD_OUTPUT

COMMANDS: dict[str, str] = {
    "demo": "the whole way on built-in videos: render, extract, train, evaluate, explain, report",
    "fit": "train on your own clips in one command: scan, extract, split, train, evaluate",
    "mini": "render Something-Something mini, the built-in data set",
    "scan": "audit a data set before anything is spent on it",
    "extract": "videos -> feature store",
    "import": "features that you already have -> feature store",
    "store": "info, verify, export, merge, subset a feature store",
    "train": "train a recipe; --sweep trains candidates side by side",
    "tune": "longer search over hyper-parameters (Optuna)",
    "evaluate": "score a run on a split",
    "predict": "classify videos with a run",
    "explain": "draw graphs and attention over the frames of a video",
    "compare": "paired differences between runs",
    "ablate": "train and tabulate the variants of a recipe",
    "runs": "list and compare runs in the terminal",
    "report": "one HTML page for a run or a comparison",
    "paper": "LaTeX tables, figures and numbers from runs",
    "bench": "parameters, FLOPs, time and memory of the models",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        print(__version__)
        return 0
    if name not in COMMANDS:
        import difflib

        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else "`gasm-cast --help` lists the commands"
        print(f"gasm-cast: unknown command {name!r}; {hint}", file=sys.stderr)
        return 2

    try:
        return dispatch(name, rest)
    except InputError as error:
        print(f"gasm-cast {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        said = "; ".join(["interrupted", *getattr(interruption, "__notes__", [])])
        print(f"gasm-cast {name}: {said}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        return 0
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        what = "" if error.filename is None else f"{error.filename}: "
        print(f"gasm-cast {name}: {what}{os.strerror(error.errno)}; free space and repeat", file=sys.stderr)
        return 2


def dispatch(name: str, arguments: Sequence[str]) -> int:
    """Run one command; what goes wrong is raised, for commands that are made of others.

    Raises:
        InputError: if something handed in is wrong.
    """
    import tyro

    module = importlib.import_module(f"gasm_cast.cli.{name}_command")
    if hasattr(module, "parse"):
        options = module.parse(arguments)
    else:
        options = tyro.cli(
            module.Options, prog=f"gasm-cast {name}", args=arguments, config=(tyro.conf.OmitArgPrefixes,)
        )
    piped = getattr(options, "json", None) in STANDARD_OUTPUT
    with contextlib.redirect_stdout(sys.stderr) if piped else contextlib.nullcontext():
        return int(module.run(options))


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: gasm-cast COMMAND [options]",
            "",
            "Video action recognition on frozen features, by graph-aware",
            "semantic-motion cross-attention.",
            "",
            *lines,
            "",
            "`gasm-cast COMMAND --help` tells more; start with `gasm-cast demo`.",
            "`--json -` writes JSON to standard output, and all else to standard error.",
        ]
    )
