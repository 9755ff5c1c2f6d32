"""What fit refuses before it reads a video, and the recipes it chooses between."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from tests.video.odd_files import encode, numbered_pictures

from gasm_cast.annotations import ClipTable, read_annotations, split_table
from gasm_cast.cli import dispatch, main
from gasm_cast.cli.fit_command import Options, _write_splits, fit_recipes
from gasm_cast.config import read_recipe, to_toml
from gasm_cast.errors import InputError
from gasm_cast.extraction.options import ExtractorOptions


def write_videos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"never decoded here")
    return folder


def test_a_folder_with_one_sub_folder_is_no_list_of_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = write_videos(tmp_path / "clips", "videos/1.mp4", "videos/2.mp4")
    assert main(["fit", str(clips), "--out", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert "'videos'" in message
    assert "--labels" in message
    assert not (tmp_path / "run").exists()


def test_a_folder_of_videos_without_classes_is_told_of_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    assert main(["fit", str(tmp_path / "videos"), "--out", str(tmp_path / "out")]) == 2
    assert "--labels LIST of `path,label`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_list_with_one_label_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = write_videos(tmp_path / "clips", "1.mp4", "2.mp4")
    (tmp_path / "labels.csv").write_text("1,run\n2,run\n")
    labels = ["--labels", str(tmp_path / "labels.csv")]
    assert main(["fit", str(clips), "--out", str(tmp_path / "run"), *labels]) == 2
    message = capsys.readouterr().err
    assert "labels.csv" in message
    assert "'run'" in message


def test_a_folder_that_fit_did_not_make_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = write_videos(tmp_path / "clips", "a/1.mp4", "a/2.mp4", "b/3.mp4", "b/4.mp4")
    write_videos(tmp_path / "precious", "letter.mp4")
    assert main(["fit", str(clips), "--out", str(tmp_path / "precious")]) == 2
    assert "was not made by fit" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["letter.mp4"]


def splits_of(clips: Path, validation: float) -> dict[str, ClipTable]:
    table = read_annotations(clips, "all", clips)
    return split_table(table, {"train": 1 - validation, "validation": validation}, by="block")


def test_the_same_call_may_come_again_but_not_another_split(tmp_path: Path) -> None:
    names = [f"{folder}/{number}.mp4" for folder in "ab" for number in range(4)]
    clips = write_videos(tmp_path / "clips", *names)
    out = tmp_path / "run"
    annotations = out / "data" / "annotations"
    for _ in range(2):
        _write_splits(out, annotations, splits_of(clips, 0.25))
    before = (annotations / "train.csv").read_text()
    with pytest.raises(InputError, match="other clips, labels or splits"):
        _write_splits(out, annotations, splits_of(clips, 0.5))
    assert (annotations / "train.csv").read_text() == before


class StoppedError(Exception):
    """The steps after the split are not taken here."""


def fit_up_to_extraction(
    monkeypatch: pytest.MonkeyPatch, clips: Path, out: Path, *flags: str
) -> tuple[list[str], int]:
    """The commands that fit came to, and its exit code where it ended before extraction."""
    steps: list[str] = []

    def step(console: Console, name: str, *arguments: object, allowed: Sequence[int]) -> int:
        steps.append(name)
        if name == "extract":
            raise StoppedError
        return dispatch(name, [str(argument) for argument in arguments])

    monkeypatch.setattr("gasm_cast.cli.steps.step", step)
    code = 0
    with contextlib.suppress(StoppedError):
        code = main(["fit", str(clips), "--out", str(out), *flags])
    return steps, code


@pytest.fixture
def half_broken(tmp_path: Path) -> Path:
    """Eight clips of two classes; the last three of one cannot be read, a clip of the other is a copy."""
    for number in range(4):
        for folder in "ab":
            path = tmp_path / "clips" / folder / f"{number}.webm"
            path.parent.mkdir(parents=True, exist_ok=True)
            encode(path, numbered_pictures(17 + number + 5 * (folder == "b")))
    shutil.copy(tmp_path / "clips" / "b" / "0.webm", tmp_path / "clips" / "b" / "3.webm")
    return write_videos(tmp_path / "clips", "a/7.webm", "a/8.webm", "a/9.webm")


def test_splits_are_drawn_from_clips_that_can_be_read(
    half_broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clips, out = Path(half_broken.name), Path("run")
    assert fit_up_to_extraction(monkeypatch, clips, out) == (["scan", "extract"], 0)
    train, validation = (
        read_annotations(out / "data" / "annotations", split) for split in ("train", "validation")
    )
    assert set(validation.ids) == {"a/3", "b/3"}
    assert set(train.ids) == {f"{folder}/{number}" for folder in "ab" for number in range(3)}
    shown = capsys.readouterr().out
    assert "left out: a/9: not a video" in shown
    assert "file without label" not in shown
    assert "1 clip(s) of the evaluation are the same file as a training clip (first b/3)" in shown

    (half_broken / "a" / "2.webm").write_bytes(b"away for a moment")  # the same call keeps its splits
    monkeypatch.chdir(half_broken)
    assert fit_up_to_extraction(monkeypatch, Path(), tmp_path / out) == (["extract"], 0)


def test_a_class_that_cannot_be_read_is_named(
    half_broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_videos(half_broken, "a/1.webm", "a/2.webm", "a/3.webm")
    assert fit_up_to_extraction(monkeypatch, half_broken, tmp_path / "run") == (["scan"], 2)
    assert "class 'a': 1 of its 7 clips can be read, and two are needed" in capsys.readouterr().err


def test_probes_are_decayed_more_the_fewer_clips_there_are(tmp_path: Path) -> None:
    options = Options(videos=tmp_path, out=tmp_path / "run")
    few, many = (fit_recipes(options, num)["linear"].training for num in (150, 15_000))
    assert few.weight_decay == pytest.approx(100 * many.weight_decay)
    tiny = fit_recipes(options, 4)["linear"].training
    assert tiny.weight_decay * tiny.learning_rate < 1  # a step must not turn the weights round


def test_probes_of_few_clips_do_not_have_a_weight_for_each_time_step(tmp_path: Path) -> None:
    recipes = fit_recipes(Options(videos=tmp_path, out=tmp_path / "run"), 150)
    assert {name: recipe.model.head.temporal for name, recipe in recipes.items()} == {
        "motion-only": "statistics",
        "linear": "statistics",
        "gasm-cast": "concat",
    }


@pytest.mark.parametrize(("device", "kind"), [("auto", "auto"), ("cpu", "cpu"), ("cuda:1", "cuda")])
def test_training_is_where_extraction_is(tmp_path: Path, device: str, kind: str) -> None:
    options = Options(videos=tmp_path, out=tmp_path / "run", extractor=ExtractorOptions(device=device))
    assert {recipe.training.device for recipe in fit_recipes(options, 150).values()} == {kind}


def test_a_device_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    options = Options(videos=tmp_path, out=tmp_path / "run", extractor=ExtractorOptions(device="tpu"))
    with pytest.raises(InputError, match="got 'tpu'"):
        fit_recipes(options, 150)


@pytest.mark.parametrize("name", ["motion-only", "linear", "gasm-cast"])
def test_recipes_are_of_the_model_they_are_named_after_and_survive_their_file(
    tmp_path: Path, name: str
) -> None:
    recipe = fit_recipes(Options(videos=tmp_path, out=tmp_path / "run"), 150)[name]
    assert recipe.model.kind == name
    (tmp_path / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    assert read_recipe(tmp_path / "recipe.toml") == recipe
