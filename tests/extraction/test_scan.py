import json
import os
import shutil
from pathlib import Path

import pytest
from tests.video.odd_files import BAD, GOOD, cut, encode, flip_bytes, numbered_pictures, textured_pictures

from gasm_cast.annotations import read_annotations, video_files, write_annotations
from gasm_cast.cli import main
from gasm_cast.errors import InputError
from gasm_cast.extraction.scanning import Scan, scan


def run(path: Path, videos: Path | None = None, *, decode: bool = True) -> Scan:
    return scan(path, videos, decode=decode, num_workers=2, time_limit_sec=20.0)


def found(result: Scan) -> dict[str, list[str]]:
    """Names of the files, ids or classes found, by kind."""
    return {
        kind: sorted(Path(finding.subject).name for finding in findings)
        for kind, findings in result.by_kind().items()
    }


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("video") / "a.webm", numbered_pictures(24))


def write_ssv2(folder: Path, splits: dict[str, dict[str, str]], labels: list[str]) -> None:
    (folder / "videos").mkdir(parents=True)
    (folder / "labels.json").write_text(json.dumps({name: str(i) for i, name in enumerate(labels)}))
    for split, clips in splits.items():
        entries = [{"id": clip, "template": template} for clip, template in clips.items()]
        (folder / f"{split}.json").write_text(json.dumps(entries))


def test_five_labels_four_videos_and_one_more(tmp_path: Path, video: Path) -> None:
    write_ssv2(tmp_path, {"train": dict.fromkeys("12345", "Holding [something]")}, ["Holding something", "B"])
    for name in ("1", "2", "3", "4", "99"):
        shutil.copy(video, tmp_path / "videos" / f"{name}.webm")
    result = run(tmp_path, decode=False)
    assert found(result) == {
        "no file for id": ["5"],
        "file without label": ["99.webm"],
        "class without clips": ["B"],
    }
    assert result.has_problems
    assert result.files == {}


def test_a_class_without_clips_in_two_splits_is_one_finding(tmp_path: Path, video: Path) -> None:
    splits = {"train": {"1": "Holding [something]"}, "validation": {"2": "Holding [something]"}}
    write_ssv2(tmp_path, splits, ["Holding something", "B"])
    for name in ("1", "2"):
        shutil.copy(video, tmp_path / "videos" / f"{name}.webm")
    (finding,) = run(tmp_path, decode=False).findings
    assert (finding.subject, finding.split) == ("B", "train, validation")


def test_a_folder_named_from_here_is_the_folder_that_annotations_name_from_the_root(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("run/a", "run/b", "walk/c"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / "clips" / f"{name}.webm")
    monkeypatch.chdir(tmp_path)
    table = read_annotations(Path("clips"), "all")
    write_annotations(Path("splits"), {"train": table.select([0, 2], "train")})
    assert found(run(Path("splits"), Path("clips"), decode=False)) == {"file without label": ["b.webm"]}


def test_ids_and_contents_in_two_splits(tmp_path: Path, video: Path) -> None:
    splits = {
        "train": {"1": "A", "2": "A", "3": "A", "6": "A"},
        "validation": {"3": "A", "4": "A"},
        "test": {"5": "A"},
    }
    write_ssv2(tmp_path, splits, ["A"])
    for number, name in enumerate("123456"):
        other = encode(tmp_path / "videos" / f"{name}.webm", numbered_pictures(20 + number))
        if name in "46":
            shutil.copy(tmp_path / "videos" / "1.webm", other)
    result = run(tmp_path)
    assert found(result) == {
        "id in two splits": ["3"],
        "same video in two splits": ["4"],
        "same video twice": ["6"],
    }
    (twin,) = result.by_kind()["same video in two splits"]
    assert (twin.split, twin.detail) == ("validation", "is 1 of train")


def test_every_odd_file_has_its_place_and_none_stops_the_scan(tmp_path: Path) -> None:
    for kind in (*GOOD, *BAD):
        kind.make(tmp_path / kind.name)
    flip_bytes(
        encode(tmp_path / "flipped.mp4", textured_pictures(), codec="libx264", options={"preset": "medium"})
    )
    cut(encode(tmp_path / "half.webm", textured_pictures()), 0.6)
    encode(tmp_path / "turned.mp4", numbered_pictures(20), codec="libx264", rotation_degrees=90)
    result = run(tmp_path)
    assert found(result) == {
        "empty file": ["empty.webm"],
        "unreadable": sorted(kind.name for kind in BAD if kind.name != "empty.webm"),
        "damaged or truncated": ["flipped.mp4", "half.webm"],
        "short": ["fifteen-frames.webm", "five-frames.webm", "nine-frames.webm", "one-frame.webm"],
        "odd frame rate": ["no-stamps.h264", "variable-rate.webm"],
        "turned": ["turned.mp4"],
    }
    reasons = {Path(f.subject).name: f.detail for f in result.findings}
    for kind in BAD:
        assert reasons[kind.name] == kind.reason
    assert len(result.files) == len(GOOD) + len(BAD) + 3
    assert reasons["turned.mp4"] == "shown at 96x128"
    by_name = {path.name: report.video for path, report in result.files.items()}
    for good in GOOD:
        facts = by_name[good.name]
        assert facts is not None
        assert facts.num_frames == len(good.shown)


def test_a_file_that_hangs_is_given_up(tmp_path: Path, video: Path) -> None:
    shutil.copy(video, tmp_path / "a.webm")
    os.mkfifo(tmp_path / "hang.webm")  # opening it for reading waits for a writer that never comes
    result = scan(tmp_path, num_workers=1, time_limit_sec=2.0)
    (given_up,) = result.by_kind()["gave up"]
    assert given_up.subject == str(tmp_path / "hang.webm")
    assert given_up.detail == "timed out after 2 s"
    assert [path.name for path in result.files] == ["a.webm"]


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path: Path, video: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shutil.copy(video, tmp_path / "a" / "1.webm")
    (tmp_path / "a" / "gone.webm").symlink_to(tmp_path / "nowhere.webm")
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "a" / "to-b").symlink_to("../b")
    (tmp_path / "b" / "to-a").symlink_to("../a")
    for folder in (tmp_path, tmp_path / "a"):  # as a folder per class, and as a folder of videos
        (gone,) = (finding for finding in run(folder).findings if finding.kind == "unreadable")
        assert (Path(gone.subject).name, gone.detail) == ("gone.webm", "No such file or directory")
        matched = run(folder, decode=False)
        assert found(matched)["no file for id"] == ["gone"]
    assert sorted(video_files(tmp_path)) == [
        tmp_path / "a" / "1.webm",
        tmp_path / "a" / "gone.webm",
        tmp_path / "b" / "to-a" / "1.webm",
        tmp_path / "b" / "to-a" / "gone.webm",
    ]


def test_every_two_files_of_one_id_are_found(tmp_path: Path, video: Path) -> None:
    for name in ("1.webm", "1.mkv", "2.webm", "2.mkv", "3.webm"):
        shutil.copy(video, tmp_path / name)
    result = run(tmp_path, decode=False)
    assert found(result) == {"id of two files": ["1.webm", "2.webm"]}
    assert result.has_problems


def test_the_command_shows_writes_and_exits(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    for name in ("run/a", "walk/b"):
        (folder / name).parent.mkdir(parents=True)
        encode(folder / f"{name}.webm", numbered_pictures(20 if name == "run/a" else 24))
    assert main(["scan", str(folder)]) == 0
    assert "nothing to remark" in capsys.readouterr().out
    (folder / "run" / "empty.webm").touch()
    assert main(["scan", str(folder), "--json", str(tmp_path / "scan.json"), "--workers", "1"]) == 1
    shown = capsys.readouterr().out
    assert "problem  empty file" in shown
    assert "2 of 3 files decode: 20 to 24 frames" in shown
    content = json.loads((tmp_path / "scan.json").read_text())
    assert content["problems"] is True
    assert content["counts"] == {"empty file": 1}
    assert content["splits"] == [
        {"split": "all", "num_clips": 3, "num_files": 3, "class_counts": {"run": 2, "walk": 1}}
    ]
    reports = {Path(report["file"]).name: report for report in content["files"]}
    assert reports["a.webm"]["num_frames"] == 20
    assert reports["empty.webm"]["reason"] == "empty file"


def test_broken_annotations_are_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="no annotations"):
        run(tmp_path)
    write_ssv2(tmp_path, {"train": {"1": "Holdin [something]"}}, ["Holding something"])
    assert main(["scan", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "'Holdin [something]' (1 clip; closest: 'Holding something')" in message
