"""The page: self-contained, escaped, complete, and honest about what was scored."""

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from gasm_cast import report
from gasm_cast.cli.compare_command import compare_groups
from gasm_cast.config import ModelKind
from gasm_cast.errors import InputError
from gasm_cast.predictions import Predictions
from gasm_cast.report.clips import hard_cases, widest_gap
from gasm_cast.report.models import ModelSummary

from .conftest import NAMES, MakeRun, write_run, write_videos

VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """Collects elements and checks that they nest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.folder = path.parent
        self.text = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(self.text)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, attribute: str) -> list[str]:
        return [found for _, attrs in self.elements if (found := attrs.get(attribute)) is not None]


def write_page(paths: Sequence[Path], out: Path, **options: Any) -> Page:
    """The page of runs and their comparisons, as `gasm-cast report` makes it."""
    groups = report.read_groups(paths)
    report.build(groups, out, comparisons=compare_groups(groups), **options)
    return Page(out)


def text_of(page: Page) -> str:
    return " ".join(" ".join(page.words).split())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Two runs, three clips a group, and the videos of two hard cases."""
    folder = tmp_path_factory.mktemp("page")
    paths = [write_run(folder / "ours"), write_run(folder / "linear", kind="linear", skill=1.0)]
    write_videos(folder / "annotations", hard_cases([report.read_run(paths[0])], 2))
    return write_page(paths, folder / "report.html", num_clips=3)


def test_classes_that_are_their_own_verb_groups_are_shown_once(tmp_path: Path) -> None:
    names = ("fight", "calm", "run", "walk", "sit", "stand")
    own = write_run(tmp_path / "own", names=names, group_of_class=range(6), group_names=names)
    page = write_page([own], tmp_path / "own.html", num_clips=0)
    assert "Verb group" not in page.text
    assert "Top-5" in page.text
    assert page.text.count("Accuracy by layer") == 1
    few = write_run(tmp_path / "few", names=names[:2], group_of_class=range(2), group_names=names[:2])
    assert "Top-5" not in write_page([few], tmp_path / "few.html", num_clips=0).text


@pytest.fixture(scope="module")
def page_of_seeds(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Three seeds of a model, three of a second and one of a third."""
    folder = tmp_path_factory.mktemp("seeds")
    paths = [write_run(folder / f"ours-{seed}", seed=seed) for seed in range(3)]
    paths += [write_run(folder / f"linear-{seed}", kind="linear", seed=seed, skill=1.0) for seed in range(3)]
    paths.append(write_run(folder / "cast", kind="cast", skill=1.5))
    return write_page(paths, folder / "report.html", num_clips=3)


def test_it_loads_nothing(page: Page) -> None:
    for address in page.values("src") + page.values("href") + page.values("xlink:href"):
        assert address.startswith(("data:", "#")), address
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", page.text)  # only references inside its own figures
    assert "@import" not in page.text


def test_clips_are_shown_where_their_videos_are_at_hand(page: Page) -> None:
    cards = [attrs for tag, attrs in page.elements if tag == "article" and attrs.get("class") == "card"]
    strips = [attrs for tag, attrs in page.elements if tag == "img" and attrs.get("class") != "still"]
    stills = {attrs["alt"] for tag, attrs in page.elements if attrs.get("class") == "still"}
    assert len(cards) == 9  # 3 hard cases, 3 that one model gets right and 3 that the other does
    shown = {attrs["alt"] for attrs in strips}
    ours = report.read_run(page.folder / "ours")
    assert shown == {f"clip {clip}" for clip in hard_cases([ours], 2)}
    assert stills == {f"Four frames of {alt}" for alt in shown}
    assert page.words.count("video not at hand") == 9 - len(strips)


def test_explained_clips_show_each_picture_and_the_gif_as_a_player(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("ours")
    folder = run / "explanations" / "000001"
    folder.mkdir(parents=True)
    pixels = np.zeros((20, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "graph.png"), pixels)
    frames = [Image.fromarray(pixels + 40 * number) for number in range(3)]
    frames[0].save(folder / "layers.gif", save_all=True, append_images=frames[1:])
    meta = {
        "id": "000001",
        "label": NAMES[0],
        "prediction": NAMES[1],
        "probability": 0.42,
        "faithfulness": {"faithfulness": -0.25},
        "pictures": [
            {"file": "graph.png", "title": "Graph", "alt": "Lines."},
            {"file": "layers.gif", "title": "Over time", "alt": "The clip playing."},
        ],
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    page = write_page([run], tmp_path / "report.html")
    assert [attrs["id"] for tag, attrs in page.elements if attrs.get("role") == "tab"] == [
        "tab-1-1",
        "tab-1-2",
    ]
    assert {attrs["alt"] for tag, attrs in page.elements if tag == "img"} == {"Lines.", "The clip playing."}
    assert [attrs["data-frames"] for _, attrs in page.elements if "data-frames" in attrs] == ["3"]
    assert any(f"gasm-cast says “{NAMES[1]}” with 42%. Faithfulness −0.250" in words for words in page.words)


def test_ids_are_unique_and_references_lead_somewhere(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    references = [address[1:] for address in page.values("href") if address.startswith("#")]
    references += page.values("aria-labelledby") + page.values("aria-controls") + page.values("for")
    assert set(references) <= set(ids)


def test_pictures_have_words(page: Page) -> None:
    for tag, attributes in page.elements:
        if tag == "svg" and attributes.get("role"):
            assert attributes.get("aria-label"), attributes
        if tag == "img":
            assert attributes.get("alt"), attributes


def test_class_names_cannot_become_markup(page: Page) -> None:
    assert "<something>" not in page.text.split('<script type="application/json"')[0]
    assert any(NAMES[4] in words for words in page.words)


def test_it_says_what_was_not_scored(page: Page) -> None:
    text = text_of(page)
    assert "60 of 61 clips of the split were scored; 1 could not be decoded" in text
    assert "no video stream" in text


def test_every_model_and_class_is_listed_with_its_recipe(page: Page) -> None:
    text = " ".join(page.words)
    for name in ("ours", "linear"):
        run = report.read_run(page.folder / name)
        assert run.recipe_hash in text
        assert f"{100 * run.metrics['top1']['value']:.1f}" in text
    assert [tag for tag, attrs in page.elements if tag == "tr" and attrs.get("data-class") in NAMES] == [
        "tr"
    ] * 5


def test_verb_groups_stand_with_their_intervals(page: Page) -> None:
    groups = report.read_run(page.folder / "ours").metrics["groups"]
    labels = page.values("aria-label")
    for group in groups:
        low, high = (f"{100 * end:.1f}" for end in group["top1"]["interval"])
        value = f"{100 * group['top1']['value']:.1f}"
        assert any(label.startswith(f"{value}%, interval {low} to {high}; linear ") for label in labels)


def test_one_point_makes_no_picture(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run("ours")
    titles = ("Accuracy by layer, classes", "Accuracy by layer, verb groups", "Accuracy on validation over")
    full = write_page([path], tmp_path / "full.html").text
    assert all(title in full for title in titles)
    metrics_path = path / "evaluation" / "validation" / "metrics.json"
    metrics = json.loads(metrics_path.read_text())
    for layer in metrics["layers"][:-1]:  # as of layers that were trained on verb groups
        layer["top1"] = None
    metrics_path.write_text(json.dumps(metrics))
    events = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for event in events[:-1]:  # as of training that looks at validation once, at the end
        event.pop("validation_top1", None)
    (path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    text = write_page([path], tmp_path / "bare.html").text
    assert [title in text for title in titles] == [False, True, False]
    assert "Training loss over" in text


def test_the_same_runs_make_the_same_page(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("ours")
    texts = [write_page([run], tmp_path / name).text for name in ("a.html", "b.html")]
    assert texts[0] == texts[1]
    assert str(Path.cwd()) not in texts[0]  # where the run began is the user's own business


def test_a_name_cannot_end_the_script(make_run: MakeRun, tmp_path: Path) -> None:
    names = ["</script><b>", *NAMES[1:]]
    page = write_page([make_run("ours", names=names)], tmp_path / "report.html")
    assert page.text.count("</script>") == 2


def test_174_classes_fit_into_a_page_that_can_be_mailed(make_run: MakeRun, tmp_path: Path) -> None:
    names = [f"Doing the thing of number {c} with something" for c in range(174)]
    path = make_run("large", names=names, group_of_class=np.arange(174) % 3, num_clips=2000)
    write_page([path], tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 2_000_000


def test_hard_cases_are_wrong_and_ordered_by_confidence(make_run: MakeRun) -> None:
    run = report.read_run(make_run("ours"))
    p = run.predictions
    found = [p.ids.index(clip) for clip in hard_cases([run], 8)]
    confidence = [float(p.probabilities[i].max()) for i in found]
    assert confidence == sorted(confidence, reverse=True)
    assert all(p.labels[i] != p.predictions[i] for i in found)
    wrong = p.labels != p.predictions
    assert confidence[0] == p.probabilities[wrong].max()


def test_hard_cases_of_several_seeds_are_wrong_in_all_of_them(make_run: MakeRun) -> None:
    runs = [report.read_run(make_run(f"ours-{seed}", seed=seed)) for seed in range(3)]
    wrong = np.logical_and.reduce([~run.predictions.correct for run in runs])
    ids = runs[0].predictions.ids
    assert sorted(hard_cases(runs, 1000)) == sorted(ids[i] for i in np.flatnonzero(wrong))
    assert 0 < wrong.sum() < min((~run.predictions.correct).sum() for run in runs)


def test_the_widest_gap_comes_first(make_run: MakeRun) -> None:
    a = ModelSummary("a", tuple(report.read_run(make_run(f"a-{seed}", seed=seed)) for seed in range(2)))
    b = ModelSummary("b", (report.read_run(make_run("b", kind="linear", skill=1.0)),))

    def share(model: ModelSummary, clip: str) -> float:
        def of(p: Predictions) -> float:
            row = p.ids.index(clip)
            return float(p.probabilities[row, p.labels[row]])

        return float(np.mean([of(run.predictions) for run in model.runs]))

    found = widest_gap(a.first.predictions.ids[:20], a, b, 6)
    gaps = [share(a, clip) - share(b, clip) for clip in found]
    assert gaps == sorted(gaps, reverse=True)
    rest = set(a.first.predictions.ids[:20]) - set(found)
    assert gaps[-1] > max(share(a, clip) - share(b, clip) for clip in rest)


def test_a_model_of_several_seeds_is_shown_by_its_mean(page_of_seeds: Page) -> None:
    groups = report.read_groups([page_of_seeds.folder / f"ours-{seed}" for seed in range(3)])
    top1 = [run.metrics["top1"]["value"] for run in groups["gasm-cast"]]
    text = text_of(page_of_seeds)
    assert f"gasm-cast recognises {100 * np.mean(top1):.1f}% of the clips" in text
    assert f"the mean of 3 seeds ({100 * min(top1):.1f} to {100 * max(top1):.1f})" in text
    marks = [title for title in page_of_seeds.values("title") if title.startswith("a seed")]
    assert len(marks) == 6  # the seeds of the two models that have several


def test_every_other_model_has_its_own_clips_and_its_own_mark(page_of_seeds: Page) -> None:
    text = text_of(page_of_seeds)
    for other in ("linear", "cast"):
        assert f"Right in more seeds of gasm-cast than of {other}" in text
        assert f"Right in more seeds of {other} than of gasm-cast" in text
    assert "than of gasm-cast, seed" not in text
    row = next(
        attrs["aria-label"] or ""
        for _, attrs in page_of_seeds.elements
        if attrs.get("class") == "track" and "linear" in (attrs.get("aria-label") or "")
    )
    assert len(row.split("; ")) == 3  # the value, and a mark for each of the others
    colors = {
        (attrs["title"] or "").split()[0]: re.findall(r"var\(--(\w+)\)", attrs["style"] or "")[-1]
        for _, attrs in page_of_seeds.elements
        if attrs.get("class") == "tick" and "title" in attrs
    }
    assert len({colors["linear"], colors["cast"]}) == 2


def test_the_best_of_the_others_is_the_best_mean_and_not_the_luckiest_seed(
    make_run: MakeRun, tmp_path: Path
) -> None:
    paths = [make_run("ours")]
    skills = {"linear": (0.4, 3.0), "cast": (2.2, 2.2)}
    kinds: tuple[ModelKind, ...] = ("linear", "cast")
    for kind in kinds:
        paths += [
            make_run(f"{kind}-{seed}", kind=kind, seed=seed, skill=skill)
            for seed, skill in enumerate(skills[kind])
        ]
    top1 = {path.name: report.read_run(path).metrics["top1"]["value"] for path in paths}
    assert top1["linear-1"] > max(top1["cast-0"], top1["cast-1"])
    assert "points less than cast, the best of the others" in text_of(write_page(paths, tmp_path / "r.html"))


@pytest.mark.parametrize("option", [{"split": "test"}, {}])
def test_a_run_that_was_not_evaluated_is_refused(
    make_run: MakeRun, tmp_path: Path, option: dict[str, Any]
) -> None:
    path = make_run("ours")
    if not option:
        path = tmp_path / "nothing"
    with pytest.raises(InputError, match=r"gasm-cast (evaluate|train)"):
        report.read_run(path, **option)


def test_runs_of_other_classes_cannot_share_a_page(make_run: MakeRun, tmp_path: Path) -> None:
    a = report.read_run(make_run("a"))
    b = report.read_run(make_run("b", names=NAMES[::-1]))
    with pytest.raises(InputError, match="different classes"):
        report.build({"a": [a], "b": [b]}, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
