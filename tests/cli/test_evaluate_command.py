"""What `evaluate` prints."""

import numpy as np
import pytest

from gasm_cast.cli.evaluate_command import _print
from gasm_cast.evaluation.summary import Classes, summarize


@pytest.mark.parametrize(("num_classes", "shown"), [(5, False), (6, True)])
def test_top5_is_printed_where_it_tells_something(
    num_classes: int, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"class{c}" for c in range(num_classes))
    labels = np.arange(num_classes)
    metrics = summarize(np.eye(num_classes, dtype=np.float32), [], labels, Classes.of_names(names))
    about = {"model": "linear", "split": "validation", "num_asked": num_classes, "failed": [], "missing": []}
    _print({**about, "crops": "centre", "training_crops": "centre", "num_views": 1, **metrics})
    said = capsys.readouterr().out
    assert "top-1" in said
    assert ("top-5" in said) == shown
