from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import pytest
from tests.video.odd_files import encode, numbered_pictures, sound_only

from gasm_cast.video.decoding import OpenVideo, count_frames, open_video


def test_a_decoder_that_needs_absent_hardware_is_named(tmp_path: Path) -> None:
    """FFmpeg's own AV1 decoder drives a graphics card; builds without dav1d have no other."""
    path = encode(tmp_path / "a.mp4", numbered_pictures(3), codec="libsvtav1")
    with open_video(path) as real:
        decoder = av.CodecContext.create(cast(Any, "av1"), "r")
        decoder.extradata = real.stream.codec_context.extradata
        stream = SimpleNamespace(codec_context=decoder, time_base=real.stream.time_base)
        video = OpenVideo(path, real.container, real.stream)
        video.stream = cast(Any, stream)
        assert list(video.frames(real.packets())) == []
    assert video.nothing_decoded().reason == "codec av1 not supported by this build of FFmpeg"


def test_packets_without_pictures_name_the_decoder_and_its_words(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.webm", numbered_pictures(3))
    with open_video(path) as video:
        packets = [av.Packet(b"\xff" * 50) for _ in range(3)]
        assert list(video.frames(cast(Any, packets))) == []
        assert video.num_damaged == 3
    assert video.nothing_decoded().reason.startswith("no frame could be decoded (vp9: Invalid data found")


def test_names_that_look_like_protocols_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("12:30.webm", "http:a.webm", "100 %d.webm", "-i.webm"):
        encode(tmp_path / name, numbered_pictures(3))
        assert count_frames(Path(name)) == 3


def test_sound_that_outlasts_the_pictures_is_no_defect(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with av.open(path, "w") as output, av.open(sound_only(tmp_path / "sound.webm")) as sound:
        picture = encode(tmp_path / "picture.webm", numbered_pictures(3))
        with av.open(picture) as pictures:
            streams = [output.add_stream_from_template(c.streams[0]) for c in (sound, pictures)]
            for container, stream in zip((sound, pictures), streams, strict=True):
                for packet in container.demux():
                    if packet.size:
                        packet.stream = stream
                        output.mux(packet)
    with open_video(path) as video:
        assert len(list(video.frames(video.packets()))) == 3
        assert video.missing_sec == 0.0


def test_small_gaps_at_the_end_are_no_defect(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.webm", numbered_pictures(40))
    with open_video(path) as video:
        packets = list(video.packets())
        assert len(list(video.frames(packets[:-2]))) == 38
        assert video.missing_sec == 0.0
    with open_video(path) as video:
        packets = list(video.packets())
        assert len(list(video.frames(packets[:-10]))) == 30
        assert video.missing_sec == pytest.approx(10 / 12, abs=0.01)
