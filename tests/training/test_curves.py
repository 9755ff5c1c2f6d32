"""The picture of the learning curves says what its lines are."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from gasm_cast.config import DataConfig, HeadConfig, ModelConfig, Recipe
from gasm_cast.report import style
from gasm_cast.runs import Run
from gasm_cast.training.curves import draw_curves


def test_layers_say_what_they_are_scored_on_and_single_points_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, path: drawn.append(figure))
    recipe = Recipe(data=DataConfig(store=tmp_path), model=ModelConfig(head=HeadConfig(coarse_layers=1)))
    run, other = (Run.create(tmp_path / variant / "seed-0", recipe) for variant in ("one", "other"))
    for epoch in (1, 2):
        values: dict[str, Any] = {"epoch": epoch, "step": 10 * epoch, "train_loss": 1.0, "gains": {}}
        run.log("epoch", values | {"validation_top1": 0.5, "validation_layers": [0.3, 0.4]})
        other.log("epoch", values | ({"validation_top1": 0.5} if epoch == 2 else {}))
    draw_curves([run, other], tmp_path / "curves.png")
    loss, accuracy, layers, *_ = drawn[0].axes
    legends = [legend for axes in (loss, layers) if (legend := axes.get_legend()) is not None]
    names = [[text.get_text() for text in legend.get_texts()] for legend in legends]
    assert names == [["one, seed-0", "other, seed-0"], ["layer 1, verb groups", "layer 2, classes"]]
    assert len({str(line.get_linestyle()) for line in layers.lines}) == 2
    points = [(len(line.get_xdata()), line.get_marker()) for line in accuracy.lines]  # type: ignore[arg-type]
    assert [marker for num, marker in points if num == 1] == ["o"]
