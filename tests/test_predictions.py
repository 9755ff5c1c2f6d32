"""The predictions file: what is written comes back, and other tools can read it."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gasm_cast.errors import InputError
from gasm_cast.predictions import Predictions, read_predictions, write_csv, write_predictions


def predictions(num_clips: int = 7, num_layers: int = 2) -> Predictions:
    generator = np.random.default_rng(0)
    return Predictions(
        ids=tuple(f"clip {i}" for i in range(num_clips)),
        labels=generator.integers(3, size=num_clips),
        probabilities=generator.dirichlet(np.ones(3), size=num_clips).astype(np.float32),
        layer_predictions=generator.integers(3, size=(num_clips, num_layers)),
        class_names=("up, up", "down", "Über"),
    )


@pytest.mark.parametrize(("num_clips", "num_layers"), [(7, 2), (1, 1), (5, 0)])
def test_the_file_gives_back_every_bit(tmp_path: Path, num_clips: int, num_layers: int) -> None:
    written = predictions(num_clips, num_layers)
    write_predictions(written, tmp_path / "p.parquet")
    found = read_predictions(tmp_path / "p.parquet")
    for field in dataclasses.fields(Predictions):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(written, field.name))


def test_other_tools_see_one_row_a_clip(tmp_path: Path) -> None:
    write_predictions(predictions(), tmp_path / "p.parquet")
    row = pq.read_table(tmp_path / "p.parquet").to_pylist()[3]
    assert list(row) == ["id", "label", "prediction", "correct", "probabilities", "layer_predictions"]
    assert row["prediction"] == int(np.argmax(row["probabilities"]))
    assert row["correct"] == (row["prediction"] == row["label"])


def test_csv_carries_names_and_probabilities(tmp_path: Path) -> None:
    written = predictions()
    write_csv(written, tmp_path / "p.csv")
    with open(tmp_path / "p.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == list(written.ids)
    assert [written.class_names[int(row["label"])] for row in rows] == [row["label_name"] for row in rows]
    found = np.array([[float(row[f"p{c}"]) for c in range(3)] for row in rows])
    np.testing.assert_allclose(found, written.probabilities, rtol=1e-6)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        read_predictions(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").write_text("id,label")
    with pytest.raises(InputError, match="not a Parquet file"):
        read_predictions(tmp_path / "p.parquet")
