"""Study files are read strictly, and say what is compared with what."""

from pathlib import Path

import pytest

from gasm_cast.ablation.study import read_study
from gasm_cast.errors import InputError


def test_variants_differ_from_the_base_in_what_they_set(study_file: Path) -> None:
    study = read_study(study_file)
    base, no_graph, linear = study.variants
    assert [variant.name for variant in study.variants] == ["base", "no graph", "linear"]
    assert (base.recipe.model.graph.enabled, no_graph.recipe.model.graph.enabled) == (True, False)
    assert no_graph.recipe.model.exchange == base.recipe.model.exchange
    assert linear.recipe.model.kind == "linear"
    assert study.seeds == (0, 1)
    assert read_study(study_file, seeds=(7,)).seeds == (7,)
    assert [variant.name for variant in study.only(["linear"]).variants] == ["base", "linear"]


def added(text: str) -> str:
    return f'\n[[variants]]\nname = "new"\n{text}\n'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (added('set = { "model.graph.num_head" = 2 }'), r"variant 'new'.*model.graph.num_head.*num_heads"),
        (added('set = { "model.graph.width" = "wide" }'), r"variant 'new'.*must be of type int"),
        (added('set = { "model.graph.enabled" = false }'), "'new' is the same recipe as 'no graph'"),
        (added("set = {}"), "'new' is the same recipe as 'base'"),
        (added('set = {}\ncolour = "red"'), "variant 3: unknown key 'colour'"),
        (added("set = 3"), "variant 3: set must be of type dict"),
        (added(""), "variant 3: set is missing"),
        (
            '[[variants]]\nname = "No graph!"\nset = { "model.semantic_pool" = 2 }',
            "share the folder 'no-graph'",
        ),
        ("[[variants", "not a TOML file"),
    ],
)
def test_mistakes_are_named(study_file: Path, change: str, message: str) -> None:
    study_file.write_text(study_file.read_text() + change)
    with pytest.raises(InputError, match=message):
        read_study(study_file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1]", "", "seeds is missing"),
        ("[study]", "[studies]", "unknown key 'studies'"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "different whole numbers"),
        ("seeds = [0, 1]", 'seeds = ["a"]', "different whole numbers"),
        ("seeds = [0, 1]", "seed = [0]", "unknown key 'seed'"),
        ("[base.model.graph]", "[base.model.grap]", r"base.model.grap; did you mean base.model.graph"),
    ],
)
def test_mistakes_in_the_base_are_named(study_file: Path, old: str, new: str, message: str) -> None:
    study_file.write_text(study_file.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_study(study_file)


def test_unknown_variants_and_files_are_refused(study_file: Path) -> None:
    with pytest.raises(InputError, match="no variant 'grph'; the study has 'base', 'no graph', 'linear'"):
        read_study(study_file).only(["grph"])
    with pytest.raises(InputError, match="no such study"):
        read_study(study_file.with_name("other.toml"))


def test_shipped_studies_can_be_read() -> None:
    shipped = Path(__file__).parents[2] / "recipes"
    ablation = read_study(shipped / "ablation.toml")
    assert len(ablation.seeds) >= 3
    studies = (read_study(shipped / name) for name in ("baselines.toml", "baselines-wide.toml"))
    kinds = {variant.recipe.model.kind for study in studies for variant in study.variants}
    assert len(kinds) == 10  # GASM-CAST and every peer
