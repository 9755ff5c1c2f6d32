"""A file that hangs, crashes or raises fails alone, and nothing is left running."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gasm_cast.extraction.workers import Failed, WorkerPool


def behave(task: str | int) -> object:
    match task:
        case "hang":
            time.sleep(60)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leave":
            os._exit(3)
        case "raise":
            raise KeyError("lost")
        case "pid":
            return os.getpid()
        case "threads":
            return os.environ["OMP_NUM_THREADS"]
        case "slow":
            time.sleep(0.2)
    return task


def run(tasks: list[str | int], *, num_workers: int = 2, time_limit_sec: float = 20.0) -> list[object]:
    with WorkerPool(behave, num_workers=num_workers, time_limit_sec=time_limit_sec, num_ahead=4) as pool:
        return list(pool.map(tasks))


def test_results_come_in_the_order_of_the_tasks() -> None:
    assert run(["slow", 1, 2, "slow", 4, 5, 6]) == ["slow", 1, 2, "slow", 4, 5, 6]


def test_a_hanging_task_is_given_up_and_its_worker_replaced() -> None:
    assert run([0, "hang", 2, 3, 4], time_limit_sec=3.0) == [0, Failed("timed out after 3 s"), 2, 3, 4]


def test_a_task_that_kills_its_worker_fails_alone() -> None:
    outcomes = run([0, "die", 2, "leave", 4, 5], num_workers=1)
    assert outcomes == [
        0,
        Failed("killed its worker (signal 9)"),
        2,
        Failed("killed its worker (exit code 3)"),
        4,
        5,
    ]


def test_an_exception_fails_its_task_and_shows_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([0, "raise", 2], num_workers=1) == [0, Failed("KeyError: 'lost'"), 2]
    assert "behave" in capfd.readouterr().err


def test_workers_are_kept_and_single_threaded() -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    pids = run(["pid"] * 6, num_workers=1)
    assert len(set(pids)) == 1
    assert pids[0] != os.getpid()
    assert run(["threads"]) == ["1"]
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_no_more_tasks_are_begun_than_allowed_ahead() -> None:
    begun: list[int] = []

    def tasks() -> Iterator[str | int]:
        for task in range(20):
            begun.append(task)
            yield task

    with WorkerPool(behave, num_workers=1, time_limit_sec=20.0, num_ahead=3) as pool:
        results = pool.map(tasks())
        assert next(results) == 0
        assert len(begun) == 3


def test_closing_early_ends_the_processes() -> None:
    with WorkerPool(behave, num_workers=2, time_limit_sec=60.0, num_ahead=4) as pool:
        results = pool.map(["pid", "hang", "hang", "hang"])
        pid = next(results)
        start = time.monotonic()
    assert time.monotonic() - start < 10
    assert isinstance(pid, int)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, time
            from gasm_cast.extraction.workers import WorkerPool

            def work(task):
                if task:
                    time.sleep(60)
                return os.getpid()

            if __name__ == "__main__":
                with WorkerPool(work, num_workers=1, time_limit_sec=60.0, num_ahead=1) as pool:
                    for pid in pool.map([0, 1]):
                        print(pid, flush=True)
            """
        )
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("wrong", [{"num_workers": 0}, {"num_ahead": 0}, {"time_limit_sec": 0.0}])
def test_a_pool_without_workers_time_or_room_is_refused(wrong: dict[str, float]) -> None:
    settings = {"num_workers": 1, "num_ahead": 1, "time_limit_sec": 1.0} | wrong
    with pytest.raises(ValueError, match="above 0"):
        WorkerPool(behave, **settings)  # type: ignore[arg-type]


def test_a_worker_that_cannot_start_is_no_fault_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    # The module of `behave` is then not found, under either name that pytest may give it.
    inside = {str(Path(__file__).parents[up]) for up in (1, 2)} | {""}
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in inside])
    with pytest.raises(RuntimeError, match=r"could not start \(exit code 1\)"):
        run([1])
