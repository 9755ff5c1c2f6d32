"""Spawned workers import the functions of these tests by their module's name."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def workers_import_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
