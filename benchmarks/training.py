"""Training: what a sweep saves, where the time of a step goes, and the parts of a projection.

    python -m benchmarks.training --json training.json

Features are noise of the default shapes, `[196, 768]` and `[8, 512]` in half precision: how long
a step takes does not depend on what they say. Costs are processor seconds on one thread, since
they hold on a machine that is busy with other things too; the runs of their own are trained one
half before and one half after the sweep they are compared with.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gasm_cast.config import DataConfig, ExchangeConfig, GraphConfig, ModelConfig, Recipe, TrainingConfig
from gasm_cast.files import write_text
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore, StoreDescription, StoreWriter, StreamDescription
from gasm_cast.training import read_grid, sweep, train
from gasm_cast.training.batches import TrainingClips
from gasm_cast.training.devices import launch
from gasm_cast.training.setup import build_learner, read_data
from gasm_cast.training.statistics import ChannelStatistics

NUM_CLIPS = 240
NUM_CLASSES = 12
GRID = ["training.learning_rate=1e-4,3e-4,1e-3,3e-3", "training.weight_decay=0.01,0.05,0.2"]
MOTION = StreamSpec(Grid(8, 1, 1), 512)

Row = dict[str, Any]


def write_data(folder: Path, semantic: StreamSpec, num_clips: int) -> DataConfig:
    """A store of noise, and annotations with its clips in one split."""
    noise = np.random.default_rng(0).standard_normal(4_000_000, dtype=np.float32).astype(np.float16)
    ids = [str(number) for number in range(num_clips)]
    description = StoreDescription(
        StreamDescription(semantic, {"name": "noise"}), StreamDescription(MOTION, {"name": "noise"})
    )
    with StoreWriter(folder / "store", description, asked=ids) as writer:
        for number, name in enumerate(ids):
            start = number * 7919 % 1_000_000
            tokens = [
                noise[start : start + spec.grid.num_tokens * spec.width].reshape(-1, spec.width).copy()
                for spec in (semantic, MOTION)
            ]
            writer.add(name, *tokens)
    (folder / "annotations").mkdir()
    classes = [f"Doing {number} to something" for number in range(NUM_CLASSES)]
    (folder / "annotations" / "labels.json").write_text(
        json.dumps({name: str(index) for index, name in enumerate(classes)})
    )
    entries = [{"id": name, "template": classes[index % NUM_CLASSES]} for index, name in enumerate(ids)]
    (folder / "annotations" / "train.json").write_text(json.dumps(entries))
    return DataConfig(store=folder / "store", annotations=folder / "annotations", held_out=0.1)


def processor_sec(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure_sweep(name: str, recipe: Recipe, folder: Path) -> list[Row]:
    """Twelve candidates side by side against twelve runs of their own."""
    candidates = read_grid(GRID, recipe)

    def alone(number: int) -> float:
        return processor_sec(
            lambda: train(Run.create(folder / f"{name}-{number}", candidates[number].recipe))
        )

    half = len(candidates) // 2
    first = [alone(number) for number in range(half)]
    kept = processor_sec(lambda: sweep(candidates, folder / f"{name}-kept", drop=False))
    dropped = processor_sec(lambda: sweep(candidates, folder / f"{name}-dropped"))
    separate = sum(first) + sum(alone(number) for number in range(half, len(candidates)))
    peer = f"{len(candidates)} runs of their own"
    return [
        row(f"sweep of {len(candidates)}, {name}, halved twice", dropped / separate, "ratio", 0.6, peer),
        row(f"sweep of {len(candidates)}, {name}, all to the end", kept / separate, "ratio", None, peer),
    ]


def measure_step(name: str, recipe: Recipe, num_batches: int = 3) -> list[Row]:
    """Processor seconds of a clip: reading, preparing, the step; and the FLOPs of the step."""
    fabric = launch(recipe.training)
    data = read_data(recipe, with_validation=False)
    clips = TrainingClips(data.store, data.learn, recipe, rank=0, num_processes=1)
    statistics_ = ChannelStatistics(data.store, data.learn)
    learner = build_learner(fabric, recipe, data, clips, statistics=statistics_, say=lambda line: None)
    batches = clips.epoch(0, first_step=0, device=fabric.device)
    preparing, stepping = [], []
    flops = 0
    for _, batch in zip(range(num_batches + 1), batches, strict=False):
        num = len(batch.ids)
        preparing.append(processor_sec(lambda batch=batch: learner.prepare(batch)) / num)  # type: ignore[misc]
        prepared = learner.prepare(batch)
        start = time.process_time()
        learner.accumulate(batch, prepared)
        learner.finish(batch)
        stepping.append((time.process_time() - start) / num)
        if not flops:  # the first batch warms up; its times are left out below
            with FlopCounterMode(display=False) as counter:
                learner.accumulate(batch, prepared)
            flops = counter.get_total_flops() // num
            learner.finish(batch)
    prepare, step = statistics.median(preparing[1:]), statistics.median(stepping[1:])
    return [
        row(f"prepare, {name}", 1e3 * prepare, "processor ms a clip"),
        row(f"training step, {name}", 1e3 * step, "processor ms a clip"),
        row(f"products of a training step, {name}", flops / 1e9, "GFLOP a clip"),
        row(f"rate of a training step, {name}", flops / step / 1e9, "GFLOP/s on one core"),
    ]


def measure_reading(name: str, store: FeatureStore) -> list[Row]:
    rows = np.random.default_rng(0).permutation(len(store))
    pieces = [rows[start : start + 32] for start in range(0, len(rows), 32)]

    def one_pass() -> None:
        for batch in store.batches(pieces):
            assert batch.features.semantic is not None

    one_pass()
    seconds = statistics.median(processor_sec(one_pass) for _ in range(3)) / len(store)
    return [row(f"read warm, {name}", 1e3 * seconds, "processor ms a clip")]


def measure_waiting(recipe: Recipe, folder: Path) -> list[Row]:
    short = replace(recipe, training=replace(recipe.training, num_epochs=1))
    result = train(Run.create(folder / "waiting", short))
    return [row("wait for data in training, gasm-cast", result.wait_share, "share of the time")]


def row(name: str, value: float, unit: str, target: float | None = None, peer: str | None = None) -> Row:
    met = None if target is None else value <= target
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met, "peer": peer}


def main(json_path: Path | None) -> None:
    torch.set_num_threads(1)
    training = TrainingConfig(
        num_epochs=4, batch_size=32, base_batch_size=32, warmup_epochs=1.0, validate_every=0, tracker="none"
    )
    narrow = ModelConfig(
        semantic_pool=2,
        graph=GraphConfig(width=64, num_heads=4, similarity_width=32),
        exchange=ExchangeConfig(width=64, num_heads=4),
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        short, long = folder / "short", folder / "long"
        mean = write_data(short, StreamSpec(Grid(1, 14, 14), 768), NUM_CLIPS)
        resolved = write_data(long, StreamSpec(Grid(8, 14, 14), 768), 24)
        full = Recipe(data=mean, training=replace(training, batch_size=8))
        rows = [
            *measure_sweep(
                "linear", Recipe(data=mean, model=ModelConfig(kind="linear"), training=training), folder
            ),
            *measure_sweep(
                "gasm-cast, 7x7, width 64", Recipe(data=mean, model=narrow, training=training), folder
            ),
            *measure_reading("1x14x14", FeatureStore.open(mean.store)),
            *measure_step("gasm-cast 1x14x14", full),
            *measure_reading("8x14x14", FeatureStore.open(resolved.store)),
            *measure_step(
                "gasm-cast 8x14x14", replace(full, data=resolved, training=replace(training, batch_size=2))
            ),
            *measure_waiting(full, folder),
        ]
    for entry in rows:
        verdict = (
            ""
            if entry["met"] is None
            else f"  target {entry['target']}: {'met' if entry['met'] else 'NOT met'}"
        )
        print(f"{entry['name']:<52} {entry['value']:10.3f} {entry['unit']}{verdict}")
    if json_path is not None:
        write_text(json_path, json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows there")
    main(parser.parse_args().json)
