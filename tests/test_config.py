import ast
import dataclasses
import inspect
import itertools
import math
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from gasm_cast.config import (
    AugmentationConfig,
    DataConfig,
    ExchangeConfig,
    GraphConfig,
    HeadConfig,
    ModelConfig,
    PeerConfig,
    Recipe,
    RecipeError,
    TrainingConfig,
    config_hash,
    from_table,
    read_recipe,
    to_table,
    to_toml,
)
from gasm_cast.errors import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_absent_fields_keep_their_defaults(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, "[model.exchange]\nnum_layers = 2\n"))
    assert recipe.model.exchange.num_layers == 2
    assert dataclasses.replace(recipe.model, exchange=ExchangeConfig()) == ModelConfig()


def test_written_recipe_reads_back_equal(tmp_path: Path) -> None:
    recipe = Recipe(
        data=DataConfig(store=Path('odd "name"/störe'), held_out=0.1),
        model=ModelConfig(kind="cast", head=HeadConfig(layer_weights=(0.1, 0.2, 0.5))),
        training=TrainingConfig(learning_rate=3e-5, precision="bf16"),
    )
    assert read_recipe(write(tmp_path, to_toml(recipe))) == recipe


def test_a_recipe_is_read_from_a_path_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "[training]\nseed = 7\n")
    assert read_recipe(str(path)) == read_recipe(path)
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe("none.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model.exchagne]\n", r"unknown key model\.exchagne; did you mean model\.exchange\?"),
        ("[training]\nlearning_rte = 1.0\n", r"did you mean training\.learning_rate\?"),
        ("[training]\nbatch_size = 'many'\n", r"training\.batch_size must be of type int, got 'many'"),
        ("[training]\nbatch_size = true\n", r"training\.batch_size must be of type int, got True"),
        ("[training]\nprecision = 'fp8'\n", r"training\.precision must be one of 'auto', 'fp32'"),
        ("[model]\ngraph = 3\n", r"model\.graph must be a table, got 3"),
        ("[model.head]\nlayer_weights = 0.3\n", r"model\.head\.layer_weights must be an array, got 0\.3"),
        ("[model.graph]\nnum_heads = 3\n", r"\[model\.graph\] num_heads must divide width, got 3 and 256"),
        ("[data]\nheld_out = 1.0\n", r"\[data\] held_out must lie in \[0, 1\), got 1\.0"),
        ("[data\n", r"not a TOML file"),
    ],
)
def test_a_wrong_recipe_names_file_key_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def test_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path / "none.toml")


def test_whole_numbers_serve_as_floats() -> None:
    assert from_table(TrainingConfig, {"learning_rate": 1}, source="flags").learning_rate == 1.0


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (GraphConfig, {"width": 0}),
        (GraphConfig, {"frame_window": -1}),
        (ExchangeConfig, {"dropout": 1.0}),
        (HeadConfig, {"layer_weights": ()}),
        (TrainingConfig, {"num_epochs": 0}),
        (TrainingConfig, {"ema_decay": 1.0}),
        (ModelConfig, {"semantic_pool": 0}),
        (PeerConfig, {"num_heads": 5}),
    ],
)
def test_values_out_of_range_are_refused(config: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        config(**values)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_number_is_endless(value: float) -> None:
    """It could be trained with, and its config.toml not be read back."""
    configs: list[Any] = [ExchangeConfig, HeadConfig, DataConfig, TrainingConfig, AugmentationConfig]
    for config in configs:
        fields = {field.name: type(field.default) for field in dataclasses.fields(config)}
        numbers = {name: value for name, kind in fields.items() if kind is float}
        lists = {name: (0.1, value) for name, kind in fields.items() if kind is tuple}
        assert numbers
        for name, given in (numbers | lists).items():
            with pytest.raises(InputError, match=name):
                config(**{name: given})


def test_hash_follows_values_only(tmp_path: Path) -> None:
    recipe = Recipe()
    shuffled = dict(reversed(to_table(recipe).items()))
    assert config_hash(from_table(Recipe, shuffled, source="test")) == config_hash(recipe)
    assert config_hash(Recipe(training=TrainingConfig(seed=1))) != config_hash(recipe)


@pytest.mark.parametrize("config", [GraphConfig, ExchangeConfig, HeadConfig, TrainingConfig, DataConfig])
def test_every_option_is_described(config: type) -> None:
    # The docstring below a field is its --help text.
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    assert isinstance(body, ast.ClassDef)
    for statement, following in itertools.pairwise(body.body):
        if isinstance(statement, ast.AnnAssign):
            assert isinstance(following, ast.Expr), ast.unparse(statement)
            assert isinstance(following.value, ast.Constant)


def test_a_model_that_does_not_exist_is_refused_from_python_too() -> None:
    # In a process of its own, since in tests jaxtyping's hook would refuse the type first.
    code = "from gasm_cast.config import ModelConfig; ModelConfig(kind='foo')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "InputError: kind must be one of gasm-cast, linear, " in done.stderr
