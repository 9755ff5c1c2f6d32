"""`gasm-cast evaluate`: score a run on a split."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    from gasm_cast.annotations import ClipTable
    from gasm_cast.config import DataConfig
    from gasm_cast.store import FeatureStore

MOST_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Options:
    """Score a run on a split.

    Writes metrics.json and predictions.parquet into RUN/evaluation/SPLIT/. Every clip of the
    split is accounted for: scored, failed (it could not be decoded) or missing (its features
    are not in the store).

    Exit code 1 says that some clips have no score; they are listed with their reasons.
    """

    path: Positional[Path]
    """Run folder."""
    split: str | None = None
    """Split to score; the recipe's validation split by default."""
    store: Path | None = None
    """Feature store, where it is not the recipe's; it may have other views and crops of the clips."""
    annotations: Path | None = None
    """Annotations, where they are not the recipe's."""
    views: int | None = None
    """Stored views of each clip to average; all by default."""
    batch_size: int = 64
    """Clips a forward pass."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic; auto is bf16 on GPUs that have it and fp32 elsewhere."""
    csv: bool = False
    """Write predictions.csv as well."""
    json: Path | None = None
    """Write the headline numbers there."""


def run(options: Options) -> int:
    """Evaluate; 1 if some clips have no score."""
    from dataclasses import replace

    from gasm_cast.annotations import read_annotations
    from gasm_cast.devices import resolve_precision
    from gasm_cast.evaluation import protocol
    from gasm_cast.files import write_text
    from gasm_cast.models.checkpoints import load_checkpoint
    from gasm_cast.runs import Run
    from gasm_cast.store import FeatureStore
    from gasm_cast.training.devices import launch

    folder = Run.open(options.path)
    data = folder.data
    own_data = options.store is None and options.annotations is None
    annotations, features = options.annotations or data.annotations, options.store or data.store
    replace(data, store=features, annotations=annotations).require_found()
    table = read_annotations(annotations, options.split or data.validation_split, test_answers=True)
    table.require_labels()
    loaded = load_checkpoint(folder.best_checkpoint)
    store = FeatureStore.open(features)

    config = replace(
        folder.recipe.training,
        device=options.device,
        precision=options.precision,
        num_devices=1,
        num_nodes=1,
    )
    fabric = launch(config)  # joins the processes of torchrun, where it is run under it
    evaluation = protocol.evaluate(
        loaded,
        store,
        table,
        settings=protocol.Settings(
            num_views=options.views,
            batch_size=options.batch_size,
            device=str(fabric.device),
            precision=resolve_precision(options.precision, fabric.device),
        ),
        held_out=_held_out(data, store) if own_data and data.held_out else None,
    )
    if fabric.is_global_zero:
        replaced = protocol.find_replaced(evaluation, folder)
        written = protocol.write(evaluation, folder, as_csv=options.csv)
        _warn_of_shared_clips(table, data, annotations)
        _print(evaluation.record)
        print(f"written to {written}")
        if replaced:
            print(f"  in the place of an evaluation made otherwise: {'; '.join(replaced)}")
        if options.json is not None:
            write_text(options.json, json.dumps(evaluation.headline, indent=2) + "\n")
    return 0 if evaluation.complete else 1


def _held_out(data: DataConfig, store: FeatureStore) -> ClipTable:
    """The training clips that the run did not learn from, to fit the temperature on."""
    from gasm_cast.training.clips import hold_out, read_clips

    return hold_out(read_clips(data, data.train_split, store).clips, data.held_out)[1]


def _warn_of_shared_clips(table: ClipTable, data: DataConfig, annotations: Path) -> None:
    """Warn of scored clips that the run was trained on, as far as annotations are there to tell."""
    from gasm_cast.annotations import available_splits, read_annotations

    trained_by = data.annotations if data.annotations.exists() else annotations
    if data.train_split not in available_splits(trained_by):
        return
    shared = sorted(set(table.ids) & set(read_annotations(trained_by, data.train_split).ids))
    if shared:
        print(
            f"warning: {len(shared)} of {len(table)} clips of split {table.split!r} are training clips as "
            f"well (first {shared[0]}); this accuracy is not that on new clips",
            file=sys.stderr,
        )


def _print(record: Mapping[str, Any]) -> None:
    failed, missing = record["failed"], record["missing"]
    print(
        f"{record['model']}, split {record['split']!r}: {record['num_asked']} clips asked for, "
        f"{record['num_scored']} scored, {len(failed)} failed, {len(missing)} missing"
    )
    if record["crops"] != record["training_crops"]:
        print(
            f"  scores are means over {record['num_views']} views of each clip (crops: {record['crops']}); "
            f"the model learnt from crops: {record['training_crops']}"
        )
    for word, clips in (("failed", failed), ("missing", missing)):
        for clip in clips[:MOST_SHOWN]:
            print(f"  {word}: {clip['id']}: {clip['reason']}")
        if len(clips) > MOST_SHOWN:
            print(f"  and {len(clips) - MOST_SHOWN} more; metrics.json lists all")
    unseen = [of_class["name"] for of_class in record["classes"] if not of_class["support"]]
    if unseen:
        print(f"  {len(unseen)} of {len(record['classes'])} classes have no scored clip, first {unseen[0]!r}")
    for name, key in (("top-1", "top1"), ("top-5", "top5"), ("mean class", "mean_class_accuracy")):
        if key == "top5" and len(record["classes"]) <= 5:  # always 100%
            continue
        low, high = (100 * end for end in record[key]["interval"])
        print(f"  {name:<12}{100 * record[key]['value']:5.1f}  [{low:.1f}, {high:.1f}]")
    calibration = record["calibration"]
    mended = ""
    if calibration["temperature"] is not None:
        error = 100 * calibration["with_temperature"]["expected_error"]
        mended = f"  ({error:.1f} with temperature {calibration['temperature']:.2f})"
    print(f"  {'ECE':<12}{100 * calibration['expected_error']:5.1f}{mended}")
    for layer in record["layers"][:-1]:
        score, of = (layer["top1"], "") if layer["top1"] else (layer["group_top1"], "  of verb groups")
        print(f"  {layer['name']:<12}{100 * score['value']:5.1f}{of}")
