"""Does a trained model see time? Clips played backwards should become the opposite action.

    python -m benchmarks.time_reversal RUN [RUN...] --json time_reversal.json

Takes every clip of the run's validation split whose class has an opposite (pushing from left to
right and from right to left, covering and uncovering, ...), writes it backwards without loss,
extracts it as the run's features were extracted, and counts, among the clips that a model gets
right forwards, how many it calls the opposite backwards.

A second count reverses only the order of the stored tokens and leaves each as it is. There the
descriptors still see things move forwards, so that the order of tokens is all that changes; a
model without positions whose head pools over time cannot notice it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from einops import rearrange

from gasm_cast.annotations import read_annotations
from gasm_cast.evaluation.scoring import score
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.reading import Source
from gasm_cast.extraction.temporary import temporary_store
from gasm_cast.geometry import Grid
from gasm_cast.models.checkpoints import LoadedModel, load_checkpoint
from gasm_cast.runs import Run
from gasm_cast.store import FeatureStore

OPPOSITES = (
    ("Pushing something from left to right", "Pushing something from right to left"),
    ("Pulling something from left to right", "Pulling something from right to left"),
    ("Moving something up", "Moving something down"),
    ("Moving something towards the camera", "Moving something away from the camera"),
    ("Approaching something with your camera", "Moving away from something with your camera"),
    ("Putting something into something", "Taking something out of something"),
    ("Covering something with something", "Uncovering something"),
    ("Putting something on a surface", "Picking something up"),
)
"""Each is roughly the other backwards; both directions are counted."""


@dataclass(frozen=True)
class Clips:
    """Clips that have an opposite."""

    ids: list[str]
    paths: list[Path]
    labels: np.ndarray
    opposites: np.ndarray


def clips_with_opposites(run: Run) -> Clips:
    """From the run's validation split."""
    data = run.recipe.data
    table = read_annotations(data.annotations, data.validation_split)
    table.require_labels()
    names = list(table.class_names)
    opposite = {
        names.index(a): names.index(b)
        for pair in OPPOSITES
        for a, b in (pair, pair[::-1])
        if a in names and b in names
    }
    chosen = [place for place, label in enumerate(table.labels) if int(label) in opposite]
    labels = np.array([int(table.labels[place]) for place in chosen])
    return Clips(
        [str(table.ids[place]) for place in chosen],
        [path for place in chosen if (path := table.paths[place]) is not None],
        labels,
        np.array([opposite[label] for label in labels.tolist()]),
    )


def write_backwards(source: Path, target: Path) -> None:
    """All frames of a video in the other order, lossless."""
    with av.open(str(source)) as video:
        frames = [frame.reformat(format="yuv420p") for frame in video.decode(video=0)]
        rate = video.streams.video[0].average_rate
    with av.open(str(target), "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for place, frame in enumerate(reversed(frames)):
            again = av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
            again.pts = place
            out.mux(stream.encode(again))
        out.mux(stream.encode(None))


def answers(loaded: LoadedModel, store: FeatureStore, ids: Sequence[str]) -> np.ndarray:
    """Predicted classes."""
    classes: np.ndarray = score(loaded.model, store, ids).probabilities.argmax(axis=1)
    return classes


def answers_to_reversed_tokens(loaded: LoadedModel, store: FeatureStore, ids: Sequence[str]) -> np.ndarray:
    """Predicted classes when frames and segments come in the other order, each as it is."""
    features = store.read(np.array(ids))
    grids = (store.streams["semantic"].grid, store.streams["motion"].grid)
    semantic, motion = (
        _reverse(tokens.float(), grid)
        for tokens, grid in zip((features.semantic, features.motion), grids, strict=True)
    )
    with torch.inference_mode():
        classes: np.ndarray = loaded.model.eval()(semantic, motion).logits.argmax(dim=1).numpy()
    return classes


def _reverse(tokens: torch.Tensor, grid: Grid) -> torch.Tensor:
    frames = rearrange(tokens, "b (f n) c -> b f n c", f=grid.num_frames)
    return rearrange(frames.flip(1), "b f n c -> b (f n) c")


def main(paths: list[Path], json_path: Path | None) -> None:
    """Measure, print, and write the rows as JSON."""
    torch.set_num_threads(1)
    runs = [Run.open(path) for path in paths]
    clips = clips_with_opposites(runs[0])
    stores = {run.recipe.data.store: FeatureStore.open(run.recipe.data.store) for run in runs}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="gasm-cast-backwards-") as name:
        sources = []
        for clip, path in zip(clips.ids, clips.paths, strict=True):
            target = Path(name) / f"{clip}.mkv"
            write_backwards(path, target)
            sources.append(Source(clip, target))
        for place, store in stores.items():
            of_store = [run for run in runs if run.recipe.data.store == place]
            loaded = [load_checkpoint(run.best_checkpoint) for run in of_store]
            extractor = Extractor.like(loaded[0].provenance, num_views=store.num_views)
            with temporary_store(sources, extractor, dtype=store.description.dtype) as (backwards, summary):
                assert not summary.failed, summary.failures
                for run, model in zip(of_store, loaded, strict=True):
                    rows += compare(run, model, store, backwards, clips)
    for line in rows:
        print(f"{line['name']:<90} {line['value']:.3f}")
    if json_path is not None:
        json_path.write_text(json.dumps(rows, indent=2) + "\n")


def compare(
    run: Run, loaded: LoadedModel, store: FeatureStore, backwards: FeatureStore, clips: Clips
) -> list[dict[str, Any]]:
    """Shares of one model."""
    forwards = answers(loaded, store, clips.ids)
    right = forwards == clips.labels
    reversed_clips = answers(loaded, backwards, clips.ids)
    reversed_tokens = answers_to_reversed_tokens(loaded, store, clips.ids)
    shares = {
        "right forwards, of clips with an opposite": right.mean(),
        "clip backwards: called the opposite, of those": (reversed_clips == clips.opposites)[right].mean(),
        "clip backwards: called as before, of those": (reversed_clips == clips.labels)[right].mean(),
        "tokens backwards: called otherwise, of those": (reversed_tokens != clips.labels)[right].mean(),
        "tokens backwards: called the opposite, of those": (reversed_tokens == clips.opposites)[right].mean(),
    }
    return [
        {
            "name": f"{run.path.parent.name}/{run.path.name}: {name}",
            "value": float(share),
            "unit": f"of {len(right) if 'forwards' in name else right.sum()} clips",
            "target": None,
            "met": None,
            "peer": None,
        }
        for name, share in shares.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="trained runs on the same annotations")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    main(options.runs, options.json)
