"""What packages offer lazily is there, is what they say, and costs nothing before it is asked for."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

PACKAGES = (
    "gasm_cast",
    "gasm_cast.ablation",
    "gasm_cast.evaluation",
    "gasm_cast.extraction",
    "gasm_cast.visualization",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_offers_what_it_lists_to_people_and_to_type_checkers(name: str) -> None:
    package = importlib.import_module(name)
    (block,) = [node for node in ast.parse(inspect.getsource(package)).body if isinstance(node, ast.If)]
    checked = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(checked) == sorted(package.__all__) == dir(package)
    for offered, module in checked.items():
        value = getattr(package, offered)
        assert value is getattr(importlib.import_module(str(module)), offered)
        assert not inspect.ismodule(value)
        assert inspect.getdoc(value)


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'trian'"):
        from gasm_cast import trian  # type: ignore[attr-defined]  # noqa: F401


def test_importing_the_packages_imports_nothing_heavy() -> None:
    code = (
        f"import sys, {', '.join(PACKAGES)}; dir(gasm_cast);"
        "heavy = {'torch', 'numpy', 'av', 'cv2', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
