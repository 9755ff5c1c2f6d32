from pathlib import Path

import cv2
import pytest

from gasm_cast.cli import main
from gasm_cast.errors import InputError
from gasm_cast.minidata import contact_sheet


def test_sheet_has_a_row_of_frames_for_each_class(draw: Path, tmp_path: Path) -> None:
    contact_sheet(draw, tmp_path / "sheet.png", num_frames=4)
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None
    rows = 1  # two classes, side by side
    assert picture.shape[0] == rows * (150 + 22 + 4)
    assert picture.shape[1] >= 2 * 4 * 200
    assert picture[:150].std() > 20


def test_sheet_of_an_unfinished_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished draw"):
        contact_sheet(tmp_path, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("name", ["sheet.xyz", "sheet"])
def test_a_sheet_of_no_known_kind_is_refused_before_anything_is_rendered(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mini", "--out", str(tmp_path / "mini"), "--contact-sheet", str(tmp_path / name)]) == 2
    assert "the suffix names no kind of picture" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_command_draws_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mini"
    arguments = ["--train-per-class", "1", "--validation-per-class", "0", "--test-per-class", "0"]
    sheet = tmp_path / "sheet.png"
    code = main(
        [
            "mini",
            "--out",
            str(out),
            *arguments,
            "--num-classes",
            "2",
            "--workers",
            "1",
            "--contact-sheet",
            str(sheet),
        ]
    )
    assert code == 0
    assert "2 classes, 2 + 0 + 0 clips" in capsys.readouterr().out
    assert sheet.exists()


def test_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mini", "--out", str(tmp_path / "mini"), "--num-classes", "99"]) == 2
    assert capsys.readouterr().err == "gasm-cast mini: mini has 2 to 32 classes, got 99\n"
