import errno
import subprocess
import sys
from pathlib import Path

import pytest

from gasm_cast import cli
from gasm_cast.cli import COMMANDS, main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in text


def test_help_imports_neither_torch_nor_the_commands() -> None:
    code = (
        "import sys; from gasm_cast.cli import main; main(['--help']);"
        "heavy = {'torch', 'numpy', 'av', 'cv2', 'tyro', 'transformers', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_unknown_command_is_met_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extarct"]) == 2
    assert "unknown command 'extarct'; did you mean extract?" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_without_torch(name: str) -> None:
    code = (
        f"import sys; from gasm_cast.cli import main\n"
        f"try: main([{name!r}, '--help'])\n"
        f"except SystemExit as end: assert not end.code, end.code\n"
        f"sys.exit('imported torch' if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"gasm-cast evaluate: {tmp_path} is not a run folder")


def test_a_full_disk_is_one_line_wherever_it_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, arguments: list[str]) -> int:
        raise OSError(errno.ENOSPC, "a library's own words", "events.tfevents")

    monkeypatch.setattr(cli, "dispatch", full)
    assert main(["train", "recipe.toml"]) == 2
    expected = "gasm-cast train: events.tfevents: No space left on device; free space and repeat"
    assert capsys.readouterr().err.strip() == expected
