"""The predictions file of an evaluated split: one row a clip, as Parquet or CSV.

Columns: `id`, `label`, `prediction`, `correct`, `probabilities` (a list, one a class) and
`layer_predictions` (a list, one an earlier layer; a class or, for coarse layers, a verb
group). The names of the classes lie in the file's own metadata under `class_names`.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int

from gasm_cast.errors import InputError
from gasm_cast.files import atomic_path


@dataclass(frozen=True)
class Predictions:
    """Predictions of one split, clip by clip."""

    ids: tuple[str, ...]
    labels: Int[np.ndarray, " clips"]
    probabilities: Float[np.ndarray, "clips classes"]
    layer_predictions: Int[np.ndarray, "clips layers"]
    class_names: tuple[str, ...]

    @property
    def predictions(self) -> Int[np.ndarray, " clips"]:
        """The most probable class of each clip; the lower index on a tie."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def correct(self) -> Bool[np.ndarray, " clips"]:
        """Whether that is the label."""
        return np.asarray(self.predictions == self.labels)


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write the Parquet file.

    Raises:
        InputError: if the file cannot be written.
    """
    table = pa.table(
        {
            "id": pa.array(predictions.ids, pa.string()),
            "label": pa.array(predictions.labels, pa.int32()),
            "prediction": pa.array(predictions.predictions, pa.int32()),
            "correct": pa.array(predictions.correct, pa.bool_()),
            "probabilities": pa.array(list(predictions.probabilities), pa.list_(pa.float32())),
            "layer_predictions": pa.array(list(predictions.layer_predictions), pa.list_(pa.int32())),
        },
        metadata={"class_names": json.dumps(predictions.class_names)},
    )
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def write_csv(predictions: Predictions, path: Path) -> None:
    """Write the same rows as CSV, with names beside indices and one column a probability.

    Raises:
        InputError: if the file cannot be written.
    """
    names = predictions.class_names
    heading = ["id", "label", "label_name", "prediction", "prediction_name", "correct"]
    heading += [f"layer_{layer + 1}" for layer in range(predictions.layer_predictions.shape[1])]
    heading += [f"p{c}" for c in range(len(names))]
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        for row, clip in enumerate(predictions.ids):
            label, said = int(predictions.labels[row]), int(predictions.predictions[row])
            writer.writerow(
                [clip, label, names[label], said, names[said], int(label == said)]
                + predictions.layer_predictions[row].tolist()
                + [f"{p:.7g}" for p in predictions.probabilities[row].tolist()]
            )


def read_predictions(path: Path) -> Predictions:
    """Read the Parquet file back.

    Raises:
        InputError: if it is missing or not such a file.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; `gasm-cast evaluate RUN` writes it") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is not a Parquet file: {error}; evaluate the run again") from None
    names = json.loads((table.schema.metadata or {}).get(b"class_names", b"[]"))
    return Predictions(
        ids=tuple(table["id"].to_pylist()),
        labels=table["label"].to_numpy().astype(np.int64),
        probabilities=_matrix(table["probabilities"]).astype(np.float32),
        layer_predictions=_matrix(table["layer_predictions"]).astype(np.int64),
        class_names=tuple(names),
    )


def _matrix(lists: pa.ChunkedArray) -> Float[np.ndarray, "rows columns"] | Int[np.ndarray, "rows columns"]:
    """A column of equally long lists as one array; the flat view spares a million small objects."""
    flat: np.ndarray = lists.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(lists), -1)
