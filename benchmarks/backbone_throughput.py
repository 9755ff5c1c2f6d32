"""DINOv2-B inside the extraction pipeline against the bare model's forward on the same batches.

    python -m benchmarks.backbone_throughput --json backbone_throughput.json

Weights are random: speed does not depend on them. The bare forward gets batches of
normalised pixels that lie ready in memory. The pipeline decodes video files in one worker
process, computes the classic motion stream there, sends the frames over, normalises them
and runs the same model; decoding is hidden if it costs nothing on top. Both use the same
number of torch threads, one core is left to the worker. They take turns; medians of rounds
are compared. `--semantic-frames middle` looks at one frame a clip, which is the hardest
case: the least computation to hide behind.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.decoding import write_videos
from transformers import Dinov2Config, Dinov2Model

from gasm_cast.backbones import load_backbone
from gasm_cast.backbones.classic_motion import ClassicMotion
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.pipeline import Pipeline
from gasm_cast.extraction.reading import Source

BATCH_SIZE = 8
NUM_BATCHES = 3
NUM_ROUNDS = 3


def bare_sec(model: Dinov2Model, size_px: int, device: torch.device) -> float:
    """Seconds of a batch for the model alone."""
    pixels = torch.randn(BATCH_SIZE, 3, size_px, size_px, device=device)
    stamps = [time.perf_counter()]
    with torch.inference_mode():
        for _ in range(NUM_BATCHES):
            model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state.cpu()
            stamps.append(time.perf_counter())
    return (stamps[-1] - stamps[0]) / NUM_BATCHES


def pipeline_sec(extractor: Extractor, sources: list[Source]) -> float:
    """Seconds of a batch in the pipeline, from the first batch on: before it the worker starts."""
    stamps = []
    options = PipelineOptions(workers=1, batch_size=BATCH_SIZE)
    for number, _ in enumerate(Pipeline(extractor, options).run([sources]), start=1):
        if number % BATCH_SIZE == 1:  # a batch is handed out as soon as it is computed
            stamps.append(time.perf_counter())
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Dinov2Model(Dinov2Config(image_size=518)).save_pretrained(folder / "dinov2-base")
        semantic: Any = load_backbone(
            "dinov2-base", stream="semantic", weights=folder / "dinov2-base", semantic_frames="middle"
        )
        extractor = Extractor(semantic, ClassicMotion())
        videos = write_videos(folder)["VP9 426x240"]
        num_clips = (NUM_BATCHES + 1) * BATCH_SIZE
        sources = [Source(f"{number}", videos[number % len(videos)]) for number in range(num_clips)]
        size_px, device = semantic.input_size_px, semantic.placement.device
        bare_sec(semantic.model, size_px, device)
        rounds = [
            (bare_sec(semantic.model, size_px, device), pipeline_sec(extractor, sources))
            for _ in range(NUM_ROUNDS)
        ]
    bare, pipeline = (BATCH_SIZE / statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = float(np.median([piped / alone for alone, piped in rounds]))
    results: list[dict[str, Any]] = [
        {
            "name": "DINOv2-B, bare forward",
            "value": bare,
            "unit": "clips/s",
            "target": None,
            "met": None,
            "peer": "-",
        },
        {
            "name": "DINOv2-B, pipeline",
            "value": pipeline,
            "unit": "clips/s",
            "target": None,
            "met": None,
            "peer": "-",
        },
        {
            "name": "pipeline over bare forward, time of a batch",
            "value": ratio,
            "unit": "x",
            "target": 1.05,
            "met": ratio <= 1.05,
            "peer": "transformers Dinov2Model",
        },
    ]
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    for result in results:
        print(f"{result['name']:46} {result['value']:8.3f} {result['unit']:8} {result['met']}")


if __name__ == "__main__":
    main()
