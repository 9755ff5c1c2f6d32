"""Runs are gathered into models, and every model has a name of its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gasm_cast.config import ModelKind, read_recipe, to_toml
from gasm_cast.report import read_groups, read_run

from .conftest import write_run


def test_models_have_the_names_of_their_study_and_all_names_differ(tmp_path: Path) -> None:
    study = tmp_path / "study"
    variants: list[tuple[str, str, ModelKind]] = [
        ("base", "base", "gasm-cast"),
        ("linear", "linear", "linear"),
        ("linear, time pooled", "linear-time-pooled", "linear"),
        ("no graph", "no-graph", "gasm-cast"),
    ]
    rows: list[dict[str, object]] = []
    for name, folder, kind in variants:
        paths = [write_run(study / folder / f"seed-{seed}", kind=kind, seed=seed) for seed in (0, 1)]
        runs = [f"{path.parent.name}/{path.name}" for path in paths]
        rows.append({"name": name, "runs": runs, "comparison": None if name == "base" else {}})
    (study / "ablation.json").write_text(json.dumps(rows))
    groups = read_groups([study])
    assert list(groups) == ["gasm-cast", "linear", "linear, time pooled", "no graph"]
    assert [run.name for run in groups["linear, time pooled"]] == [
        "linear, time pooled, seed 0",
        "linear, time pooled, seed 1",
    ]
    # Runs of no study are told apart by their folders, and by their hash where that is not enough.
    others = [write_run(tmp_path / folder, kind="linear") for folder in ("a/probe", "b/probe", "c/other")]
    hashes = [read_groups([path])["linear"][0].recipe_hash for path in others]
    assert list(read_groups([study, *others]))[4:] == [
        f"linear (probe) ({hashes[0]})",
        f"linear (probe) ({hashes[1]})",
        "linear (other)",
    ]


def test_settings_that_do_not_change_a_model_do_not_part_its_runs(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / f"seed-{seed}", seed=seed) for seed in (0, 1)]

    def change(**training: Any) -> None:
        config = paths[1] / "config.toml"
        recipe = read_recipe(config)
        data = replace(recipe.data, annotations=tmp_path / "seed-1" / ".." / "annotations")
        config.write_text(to_toml(replace(recipe, data=data, training=replace(recipe.training, **training))))

    change(tracker="wandb", validate_every=0)
    assert [len(runs) for runs in read_groups(paths).values()] == [2]
    change(weight_decay=0.0)
    assert [len(runs) for runs in read_groups(paths).values()] == [1, 1]


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        ("data/ssv2/annotations", "ssv2"),
        ("runs/mine/data/annotations", "mine"),
        ("data/mini", "mini"),
        ("annotations", "annotations"),
    ],
)
def test_a_data_set_is_called_after_the_folder_with_a_name_of_its_own(
    tmp_path: Path, annotations: str, name: str
) -> None:
    run = read_run(write_run(tmp_path / "run"))
    data = replace(run.recipe.data, annotations=Path(annotations))
    assert replace(run, recipe=replace(run.recipe, data=data)).dataset == name
