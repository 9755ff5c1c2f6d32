"""Commands that are made of other commands: each step is shown as a person would type it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich.console import Console

from gasm_cast.cli import dispatch
from gasm_cast.cli.lines import say


def step(console: Console, name: str, *arguments: object, allowed: Sequence[int] = (0,)) -> int:
    """Print a command, then run it.

    Args:
        console: Where to print it.
        name: The command.
        arguments: Its arguments, turned into text.
        allowed: Exit codes after which the next step makes sense.

    Raises:
        InputError: if something handed in is wrong.
        SystemExit: with the command's exit code, if that is not allowed.
    """
    words = [str(argument) for argument in arguments]
    say(console, f"\n$ gasm-cast {name} {shlex.join(words)}", style="bold")
    code = dispatch(name, words)
    if code not in allowed:
        raise SystemExit(code)
    return code
