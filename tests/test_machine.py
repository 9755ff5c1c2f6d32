"""The number of cores, on systems that tell a process its share and on those that do not."""

import os

import pytest

from gasm_cast.machine import num_cores


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not tell")
def test_a_process_held_to_one_core_has_one() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(("counted", "expected"), [(6, 6), (None, 1)])
def test_where_the_system_does_not_tell_all_cores_count(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert num_cores() == expected
