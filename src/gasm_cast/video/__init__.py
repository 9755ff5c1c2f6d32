"""Video files to clips: decode, sample, resize."""

from gasm_cast.video.clips import WHOLE, Clip, sample_clip, sample_views
from gasm_cast.video.decoding import VideoError, count_frames
from gasm_cast.video.inspection import VideoInfo, inspect_video
from gasm_cast.video.pixels import RESIZE_RULE
from gasm_cast.video.sampling import Crop, Sampling, segment_indices, spread_views

__all__ = [
    "RESIZE_RULE",
    "WHOLE",
    "Clip",
    "Crop",
    "Sampling",
    "VideoError",
    "VideoInfo",
    "count_frames",
    "inspect_video",
    "sample_clip",
    "sample_views",
    "segment_indices",
    "spread_views",
]
