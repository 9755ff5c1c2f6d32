"""What commands print stays as it is, whatever folders are called."""

import ast
from pathlib import Path

import pytest
from rich.console import Console

from gasm_cast import cli
from gasm_cast.cli import main
from gasm_cast.cli.lines import say
from gasm_cast.cli.steps import step
from gasm_cast.config import Recipe
from gasm_cast.runs import Run

FOLDER = "[red]"


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = f"next: gasm-cast predict {FOLDER}/run VIDEO... " + "long " * 40
    say(Console(), line, style="bold")
    assert capsys.readouterr().out == line + "\n"


def test_a_step_names_its_folder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gasm_cast.cli.steps.dispatch", lambda name, words: 0)
    step(Console(), "report", f"{FOLDER}/run")
    assert capsys.readouterr().out == f"\n$ gasm-cast report '{FOLDER}/run'\n"


def test_the_list_of_runs_names_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [str(Run.create(Path(FOLDER) / name, Recipe()).path) for name in "ab"]
    assert main(["runs", "list", FOLDER]) == 0
    assert main(["runs", "compare", *paths]) == 0
    listed, compared = capsys.readouterr().out.split("┏")
    assert listed.count(FOLDER) == compared.count(FOLDER) == 2


@pytest.mark.parametrize(
    "path", sorted(Path(str(cli.__file__)).parent.glob("*_command.py")), ids=lambda path: path.stem
)
def test_commands_print_text_by_that_one_function(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printed = [
        argument
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "print"
        for argument in call.args
    ]
    assert not [node for node in printed if isinstance(node, ast.JoinedStr)]
