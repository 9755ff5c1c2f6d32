"""The clip itself, frame by frame, with what each layer reads: GIF and MP4."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gasm_cast.palette import ACCENT, RULE
from gasm_cast.visualization.clip import ShownClip
from gasm_cast.visualization.explaining import Explanation, part_of_frame
from gasm_cast.visualization.layers import heat_scale, layer_name, map_at_frame
from gasm_cast.visualization.style import axes_at, heat_over, look, show, text_at

_PANEL_IN = 2.4
_DPI = 100
_LAST_MS = 900
_SLOWEST_MS, _FASTEST_MS = 500, 60


def animate(explanation: Explanation, clip: ShownClip) -> UInt8[np.ndarray, "frames height width 3"]:
    """One picture a frame of the clip: the frame, and beside it each layer's reading of its segment."""
    num_layers = len(explanation.layers)
    width, height = 0.2 + (1 + num_layers) * _PANEL_IN, 0.58 + _PANEL_IN + 0.2
    high = heat_scale(explanation)
    num_segments = explanation.motion_grid.num_frames
    with look():
        figure = Figure(figsize=(width, height), dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        text_at(figure, 0.14, 0.1, clip.title(explanation.answer), fontsize=11, fontweight="bold")
        images = []
        for column in range(1 + num_layers):
            axes = axes_at(figure, 0.14 + column * _PANEL_IN, 0.66, _PANEL_IN - 0.08)
            show(axes, clip.frames[0], "frame" if column == 0 else layer_name(column - 1, num_layers))
            images.append(axes.images[0])
        track = axes_at(figure, 0.14, height - 0.12, width - 0.36, 0.05)
        track.set_xlim(0, len(clip.frames))
        track.axis("off")
        track.barh(0, len(clip.frames), color=RULE)
        done = track.barh(0, 0, color=ACCENT)[0]
        pictures = []
        for index, frame in enumerate(clip.frames):
            images[0].set_data(frame)
            for layer in range(num_layers):
                weights = map_at_frame(explanation, layer, part_of_frame(index, num_segments), index)
                if weights is not None:
                    images[layer + 1].set_data(heat_over(frame, weights, low=1.0, high=high))
            done.set_width(index + 1)
            canvas.draw()  # type: ignore[no-untyped-call]
            pictures.append(np.array(canvas.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]
    return np.stack(pictures)


def write_gif(path: Path, pictures: UInt8[np.ndarray, "frames height width 3"], clip: ShownClip) -> None:
    """A GIF in the clip's own time that repeats for ever."""
    images = [
        Image.fromarray(picture).quantize(256, dither=Image.Dither.FLOYDSTEINBERG) for picture in pictures
    ]
    images[0].save(path, save_all=True, append_images=images[1:], duration=_durations_ms(clip), loop=0)


def write_mp4(path: Path, pictures: UInt8[np.ndarray, "frames height width 3"], clip: ShownClip) -> None:
    """The same as H.264, which every browser plays."""
    _, height, width, _ = pictures.shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = height // 2 * 2, width // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        time_ms = 0
        durations = _durations_ms(clip)
        # The last picture is written twice: a file ends with the start of its last frame.
        for picture, duration in zip([*pictures, pictures[-1]], [*durations, 0], strict=True):
            frame = av.VideoFrame.from_ndarray(picture[: stream.height, : stream.width], "rgb24")
            frame.pts, frame.time_base = time_ms, stream.time_base
            time_ms += duration
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _durations_ms(clip: ShownClip) -> list[int]:
    steps = np.clip(1000 * np.diff(clip.times_sec), _FASTEST_MS, _SLOWEST_MS).round().astype(int).tolist()
    return [*steps, _LAST_MS]
