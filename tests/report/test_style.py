"""A figure can be read wherever it is shown."""

from pathlib import Path

import numpy as np
from PIL import Image

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
