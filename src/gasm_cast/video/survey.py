"""What the packets of a video tell before any of them is decoded: how many, and when."""

from __future__ import annotations

from dataclasses import dataclass

from av.packet import Packet
from av.video.stream import VideoStream

from gasm_cast.video.decoding import OpenVideo

READ_AHEAD_BYTES = 32 * 2**20
"""Packets are kept up to this size, so that a usual clip is opened and read once."""


@dataclass(frozen=True)
class Clock:
    """When frames are shown, in seconds from the first frame on."""

    first_stamp: int
    time_base_sec: float
    frame_sec: float
    """Mean duration of a frame."""
    stamped: bool
    """Whether every packet has a time stamp; if not, frames are taken as evenly spaced."""

    def time_sec(self, stamp: int | None, position: int) -> float:
        """Time of the frame at `position` with time stamp `stamp`."""
        if stamp is None or not self.stamped:
            return position * self.frame_sec
        return (stamp - self.first_stamp) * self.time_base_sec


@dataclass(frozen=True)
class Survey:
    """Result of reading all packets."""

    num_expected: int
    """Frames in the span asked for, if each packet shows one."""
    clock: Clock
    packets: list[Packet[VideoStream]] | None
    """The packets themselves, if they fit `READ_AHEAD_BYTES`."""


def survey(video: OpenVideo, span_sec: tuple[float, float]) -> Survey:
    """Read all packets of `video` and count those shown in [start, end)."""
    packets: list[Packet[VideoStream]] | None = []
    num_bytes = 0
    stamps: list[int | None] = []
    for packet in video.packets():
        num_bytes += packet.size
        if num_bytes > READ_AHEAD_BYTES:
            packets = None
        if packets is not None:
            packets.append(packet)
        if not packet.is_discard:  # to be decoded for the sake of others, never shown
            stamps.append(packet.pts)
    rate = video.stream.average_rate or video.stream.guessed_rate
    clock = Clock(
        first_stamp=min((stamp for stamp in stamps if stamp is not None), default=0),
        time_base_sec=float(video.stream.time_base or 0),
        frame_sec=float(1 / rate) if rate else 0.0,
        stamped=None not in stamps,
    )
    start, end = span_sec
    times = (clock.time_sec(stamp, position) for position, stamp in enumerate(stamps))
    return Survey(sum(start <= time < end for time in times), clock, packets)
