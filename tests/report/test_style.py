"""A figure can be read wherever it is shown."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gasm_cast import palette
from gasm_cast.report import figures, style


def test_a_png_is_dark_on_white_on_any_page(tmp_path: Path) -> None:
    style.save(figures.forest(["a"], [1.0], [(0.5, 1.5)], "x"), tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        on_black = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    light = np.asarray(on_black.convert("L"))
    assert light[0, 0] == np.median(light) == 255
    assert light.min() < 64  # letters


def test_one_far_row_does_not_squeeze_the_others() -> None:
    values = [-50.0, -4.0, 2.0]
    intervals = [(value - 1, value + 1) for value in values]
    (axes,) = figures.forest(["far", "near", "ahead"], values, intervals, "points", reference=0.0).axes
    assert axes.get_xlim()[0] > -10
    assert [text.get_text() for text in axes.texts] == ["← −50.0"]

    (axes,) = figures.forest(["far", "near", "ahead"], values, intervals, "points").axes
    assert axes.get_xlim()[0] < -50
    assert not axes.texts


def test_letters_without_a_font_are_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(style._SETTINGS, "font.family", ("DejaVu Sans",))
    palette._say_that_letters_lack.cache_clear()
    matrix = np.array([[3, 1], [0, 2]])
    for name in ("a.png", "b.pdf"):  # warnings are errors here
        figure = figures.confusion(matrix, ["\u65e5\u672c", "calm"], np.arange(2))
        style.to_svg(figure, "title", "description")
        style.save(figure, tmp_path / name)
    assert capsys.readouterr().err.count("no font on this machine has them") == 1


def test_letters_that_dejavu_lacks_are_of_the_first_font_that_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import matplotlib.font_manager

    serif = next(font for font in matplotlib.font_manager.fontManager.ttflist if font.name == "DejaVu Serif")
    monkeypatch.setattr(matplotlib.font_manager, "findSystemFonts", lambda: [serif.fname])
    assert palette.font_families.__wrapped__() == ("DejaVu Sans",)
    monkeypatch.setattr(palette, "_WIDE_FONTS", ("Other", "DejaVuSerif"))
    assert palette.font_families.__wrapped__() == ("DejaVu Sans", "DejaVu Serif")


def test_cells_hold_their_counts_where_they_have_room() -> None:
    def counts(matrix: np.ndarray) -> set[str]:
        size = len(matrix)
        (axes,) = figures.confusion(matrix, ["name"] * size, np.arange(size)).axes
        return {text.get_text() for text in axes.texts}

    assert counts(np.array([[1234, 0], [2, 56]])) == {"1234", "2", "56"}
    assert counts(np.eye(40, dtype=np.int64) * 1234) == set()


def test_marks_on_the_frame_are_whole() -> None:
    bins = {"edges": [0, 0.5, 1], "count": [0, 4], "confidence": [None, 1.0], "accuracy": [None, 1.0]}
    diagram = figures.reliability(bins, "model").axes[0]
    (line,) = [line for line in diagram.lines if line.get_label() == "model"]
    assert not line.get_clip_on()
