"""The choice between recipes: made on training clips only, by blocks, repeatable."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gasm_cast.ablation.choosing import NUM_FOLDS, Tried, choose
from gasm_cast.ablation.study import Variant
from gasm_cast.annotations import read_annotations
from gasm_cast.config import HeadConfig, ModelConfig, ModelKind, Recipe, TrainingConfig
from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid, StreamSpec
from gasm_cast.store import StoreDescription, StoreWriter, StreamDescription

SPEC = StreamSpec(Grid(2, 1, 1), 4)
NUM_TRAIN = 20


def write_data(folder: Path, num_train: int = NUM_TRAIN) -> Recipe:
    """Two classes that motion tells apart and semantics do not; the validation labels are unusable."""
    rng = np.random.default_rng(0)
    ids = [f"clip{number}" for number in range(num_train)]
    labels = [number % 2 for number in range(num_train)]
    description = StoreDescription(
        StreamDescription(SPEC, {"name": "noise"}),
        StreamDescription(SPEC, {"name": "signal"}),
        dtype="float32",
    )
    with StoreWriter(folder / "store", description, asked=ids) as writer:
        for name, label in zip(ids, labels, strict=True):
            noise = rng.standard_normal((2, 2, 4)).astype(np.float32)
            writer.add(name, noise[0], noise[1] + np.float32(8 * label))
    (folder / "annotations").mkdir()
    lines = [f"{name},{'ab'[label]}" for name, label in zip(ids, labels, strict=True)]
    (folder / "annotations" / "train.csv").write_text("\n".join(lines) + "\n")
    (folder / "annotations" / "labels.json").write_text(json.dumps({"a": "0", "b": "1"}))
    (folder / "annotations" / "validation.csv").write_text("clip0,no such class\n")
    recipe = Recipe(
        model=ModelConfig(kind="semantic-only", head=HeadConfig(norm="none", dropout=0.0)),
        training=TrainingConfig(
            num_epochs=4, batch_size=8, base_batch_size=8, learning_rate=0.05, tracker="none"
        ),
    )
    data = replace(recipe.data, store=folder / "store", annotations=folder / "annotations")
    return replace(recipe, data=data)


def variants(recipe: Recipe) -> list[Variant]:
    kinds: tuple[ModelKind, ...] = ("semantic-only", "motion-only")
    return [Variant(kind, "", replace(recipe, model=replace(recipe.model, kind=kind))) for kind in kinds]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return write_data(tmp_path_factory.mktemp("choosing"))


def test_the_variant_that_holds_for_other_blocks_is_chosen(recipe: Recipe, tmp_path: Path) -> None:
    lines: list[str] = []
    choice = choose(variants(recipe), tmp_path, all_folds=True, say=lines.append)
    assert choice.chosen.name == "motion-only"
    motion, semantic = choice.ranking
    assert motion.accuracy == 1
    assert semantic.accuracy < 1
    assert motion.num_clips == semantic.num_clips == NUM_TRAIN
    assert motion.interval.low > 0.8
    assert len(lines) == NUM_FOLDS
    written = json.loads((tmp_path / "choice.json").read_text())
    assert [tried["variant"] for tried in written["tried"]] == ["motion-only", "semantic-only"]
    assert written["chosen"] == "motion-only"


def tried(recipe: Recipe, *wrong: int) -> Tried:
    correct = np.ones(40, dtype=bool)
    correct[list(wrong)] = False
    return Tried(Variant("any", "", recipe), correct, log_loss=1.0)


def test_level_is_what_one_standard_error_of_the_paired_difference_allows(recipe: Recipe) -> None:
    best = tried(recipe, 0)
    assert best.is_level_with(best)
    assert tried(recipe, 1, 2).is_level_with(best)  # 1/40 behind, with an error of 0.043
    assert not tried(recipe, 0, 1, 2).is_level_with(best)  # 2/40, with 0.034: agreement makes it sure
    assert not tried(recipe, *range(1, 10)).is_level_with(best)


def test_of_level_variants_the_simplest_is_taken(recipe: Recipe, tmp_path: Path) -> None:
    motion = variants(recipe)[1]
    longer = replace(motion.recipe, training=replace(motion.recipe.training, num_epochs=12))
    simple, longer_one = replace(motion, name="simple"), Variant("longer", "", longer)
    choice = choose([simple, longer_one], tmp_path, all_folds=False, say=lambda line: None)
    assert [one.variant.name for one in choice.ranking] == ["longer", "simple"]
    assert [one.accuracy for one in choice.ranking] == [1, 1]
    assert choice.chosen is simple


def test_folds_are_blocks_in_order_of_name(recipe: Recipe, tmp_path: Path) -> None:
    choose(variants(recipe)[:1], tmp_path, all_folds=True, say=lambda line: None)
    first = read_annotations(tmp_path / "fold-0" / "annotations", "validation")
    assert sorted(first.ids) == ["clip0", "clip1", "clip2", "clip3"]
    assert not set(first.ids) & set(read_annotations(tmp_path / "fold-0" / "annotations", "train").ids)


def test_many_clips_are_answered_for_by_the_last_block_only(recipe: Recipe, tmp_path: Path) -> None:
    choice = choose(variants(recipe), tmp_path, all_folds=False, say=lambda line: None)
    assert choice.chosen.name == "motion-only"
    assert choice.ranking[0].num_clips == NUM_TRAIN // NUM_FOLDS
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [f"fold-{NUM_FOLDS - 1}"]


def test_a_finished_choice_is_not_trained_again(recipe: Recipe, tmp_path: Path) -> None:
    first = choose(variants(recipe), tmp_path, all_folds=False, say=lambda line: None)
    checkpoint = next(tmp_path.rglob("best.pt"))
    written = checkpoint.stat().st_mtime_ns
    again = choose(variants(recipe), tmp_path, all_folds=False, say=lambda line: None)
    assert checkpoint.stat().st_mtime_ns == written
    assert [tried.record for tried in again.ranking] == [tried.record for tried in first.ranking]


def test_a_variant_that_diverges_is_named_and_the_others_go_on(recipe: Recipe, tmp_path: Path) -> None:
    good, bad = variants(recipe)[1], variants(recipe)[0]
    wild = replace(bad.recipe.training, learning_rate=1e38)
    bad = replace(bad, recipe=replace(bad.recipe, training=wild))
    choice = choose([bad, good], tmp_path, all_folds=False, say=lambda line: None)
    assert choice.chosen.name == "motion-only"
    assert list(choice.diverged) == ["semantic-only"]
    with pytest.raises(InputError, match="every model diverged"):
        choose([bad], tmp_path / "alone", all_folds=False, say=lambda line: None)


def test_a_class_of_one_clip_is_refused(tmp_path: Path) -> None:
    recipe = write_data(tmp_path, num_train=3)
    with pytest.raises(InputError, match="class 'b' has a single clip"):
        choose(variants(recipe), tmp_path / "choice", all_folds=True, say=lambda line: None)
