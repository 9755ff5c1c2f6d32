import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gasm_cast.errors import InputError
from gasm_cast.minidata import TEMPLATES, generate, generating
from gasm_cast.minidata.clips import ClipKey

JSON_FILES = ("labels.json", "train.json", "validation.json", "test.json", "test-answers.csv", "mini.json")
NUM_CLASSES = 2
CLIPS = (2, 1, 1)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def assert_equal_draws(first: Path, second: Path) -> None:
    for name in JSON_FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    videos = sorted(path.name for path in (first / "videos").iterdir())
    assert videos == sorted(path.name for path in (second / "videos").iterdir())
    for name in videos:
        np.testing.assert_array_equal(decoded(first / "videos" / name), decoded(second / "videos" / name))


def test_same_seed_gives_the_same_draw_whatever_the_number_of_processes(draw: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", seed=5, num_classes=NUM_CLASSES, clips_per_class=CLIPS, num_workers=2)
    assert_equal_draws(draw, tmp_path / "again")


def test_annotations_are_as_something_something_has_them(draw: Path) -> None:
    names = [template.name for template in TEMPLATES[:NUM_CLASSES]]
    assert read(draw / "labels.json") == {name: str(index) for index, name in enumerate(names)}
    for split, count in (("train", 2), ("validation", 1)):
        entries = read(draw / f"{split}.json")
        assert len(entries) == count * NUM_CLASSES
        for entry in entries:
            assert list(entry) == ["id", "label", "template", "placeholders"]
            assert entry["template"].replace("[", "").replace("]", "") in names
            assert entry["template"].count("[") == len(entry["placeholders"])
            assert all(thing in entry["label"] for thing in entry["placeholders"])
            assert "[" not in entry["label"]
    test = read(draw / "test.json")
    assert all(list(entry) == ["id"] for entry in test)
    answers = [line.split(";") for line in (draw / "test-answers.csv").read_text().splitlines()]
    assert [row[0] for row in answers] == [entry["id"] for entry in test]
    assert sorted(row[1] for row in answers) == sorted(names)


def test_record_names_the_real_indices(draw: Path) -> None:
    record = read(draw / "mini.json")
    assert record["complete"] is True
    assert record["seed"] == 5
    found = {entry["name"]: entry["something_something_v2_index"] for entry in record["classes"]}
    assert found == {template.name: template.index for template in TEMPLATES[:NUM_CLASSES]}


def test_every_annotated_clip_is_a_video_of_the_promised_form(draw: Path) -> None:
    record = read(draw / "mini.json")["clips"]
    ids = [entry["id"] for name in ("train", "validation", "test") for entry in read(draw / f"{name}.json")]
    assert sorted(ids) == sorted(record)
    assert sorted(f"{i}.webm" for i in ids) == sorted(path.name for path in (draw / "videos").iterdir())
    for clip_id in ids:
        with av.open(str(draw / "videos" / f"{clip_id}.webm")) as container:
            stream = container.streams.video[0]
            assert container.format.name == "matroska,webm"
            assert stream.codec_context.name.startswith(("vp9", "libvpx-vp9"))
            assert stream.average_rate == 12
            assert (stream.width, stream.height) == (record[clip_id]["width_px"], 240)
            assert stream.width in (320, 426)
            frames = sum(1 for _ in container.decode(stream))
        assert frames == record[clip_id]["num_frames"]
        assert 2 <= frames / 12 <= 4


def test_larger_draw_keeps_the_clips_of_the_smaller(draw: Path, tmp_path: Path) -> None:
    out = tmp_path / "grown"
    shutil.copytree(draw, out)
    before = {path.name: path.read_bytes() for path in (out / "videos").iterdir()}
    summary = generate(out, seed=5, num_classes=NUM_CLASSES + 1, clips_per_class=(2, 1, 0))
    assert summary.num_rendered == 3
    assert not (out / "test.json").exists()
    for name, content in before.items():
        assert (out / "videos" / name).read_bytes() == content


def test_interrupted_draw_has_no_annotations_and_is_taken_up_again(
    draw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "torn"
    shutil.copytree(draw, out)
    lost = sorted((out / "videos").iterdir())[:2]
    for path in lost:
        path.unlink()
    render_clip = generating._render_clip
    rendered: list[str] = []

    def interrupted(folder: Path, seed: int, key: ClipKey) -> None:
        if rendered:
            raise KeyboardInterrupt
        rendered.append(key.id)
        render_clip(folder, seed, key)

    monkeypatch.setattr(generating, "_render_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(out, seed=5, num_classes=NUM_CLASSES, clips_per_class=CLIPS)
    assert not any((out / name).exists() for name in JSON_FILES if name != "mini.json")
    assert read(out / "mini.json")["complete"] is False
    monkeypatch.undo()
    summary = generate(out, seed=5, num_classes=NUM_CLASSES, clips_per_class=CLIPS)
    assert summary.num_rendered == 1
    assert_equal_draws(draw, out)


def test_failed_encoding_leaves_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half a video")
        raise RuntimeError("encoder")

    monkeypatch.setattr(generating, "write_webm", breaks)
    with pytest.raises(RuntimeError, match="encoder"):
        generate(tmp_path / "out", num_classes=2, clips_per_class=(1, 0, 0))
    assert list((tmp_path / "out" / "videos").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "classes, got 1"),
        ({"num_classes": len(TEMPLATES) + 1}, "classes, got"),
        ({"clips_per_class": (-1, 1, 1)}, "train must be 0 to"),
        ({"clips_per_class": (1, 1, 30_001)}, "test must be 0 to"),
        ({"clips_per_class": (0, 0, 0)}, "no clips asked for"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"num_workers": 0}, "at least one worker"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_folder_with_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="holds no draw of mini"):
        generate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    with pytest.raises(InputError, match="is a file"):
        generate(tmp_path / "photo.jpg")


def test_draw_of_another_seed_is_refused_and_left_alone(draw: Path) -> None:
    before = (draw / "mini.json").read_bytes()
    with pytest.raises(InputError, match=r"'seed': 5.*'seed': 6"):
        generate(draw, seed=6)
    assert (draw / "mini.json").read_bytes() == before
    assert (draw / "train.json").exists()
