"""Frames into a webm file, as Something-Something V2 has them: VP9, 4:2:0, 12 frames a second."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8


def write_webm(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "rows cols 3"]],
    *,
    width_px: int,
    height_px: int,
    frames_per_sec: int,
    quantizer: int,
) -> None:
    """Encode frames, one thread, at constant quality; equal frames give equal files.

    Args:
        path: File to write; its name ends in .webm.
        frames: RGB.
        width_px: Even.
        height_px: Even.
        frames_per_sec: Rate.
        quantizer: 0 (best) to 63; larger values show more of the codec's blocks.
    """
    with av.open(str(path), "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libvpx-vp9",
            rate=frames_per_sec,
            options={
                "deadline": "realtime",
                "cpu-used": "8",
                "row-mt": "0",
                "lag-in-frames": "0",
                "crf": str(quantizer),
                "b": "0",
            },
        )
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
