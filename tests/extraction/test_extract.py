"""Videos -> store: the right numbers, whatever goes wrong on the way and however many processes work."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.extraction.conftest import write_plain
from tests.extraction.fragile import Fragile

from gasm_cast.backbones.classic_motion import ClassicMotion
from gasm_cast.backbones.classic_semantic import ClassicSemantic
from gasm_cast.errors import InputError
from gasm_cast.extraction.extracting import ExtractionSummary, extract
from gasm_cast.extraction.extractor import Extractor
from gasm_cast.extraction.options import PipelineOptions
from gasm_cast.extraction.progress import ExtractionProgress
from gasm_cast.extraction.reading import Source
from gasm_cast.extraction.sources import sources_in_folder
from gasm_cast.store import FeatureStore, fingerprint
from gasm_cast.video import Sampling, sample_clip

CLASSIC = Extractor(ClassicSemantic("middle"), ClassicMotion())


def run(
    sources: list[Source],
    store: Path,
    extractor: Extractor = CLASSIC,
    *,
    workers: int = 1,
    time_limit_sec: float = 120.0,
) -> ExtractionSummary:
    options = PipelineOptions(workers=workers, time_limit_sec=time_limit_sec)
    return extract(sources, store, extractor, options=options, samples_per_shard=2, progress=False)


def content(store: Path) -> dict[str, bytes]:
    """Bytes of every file of a store."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def clean(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of an undisturbed run."""
    store = tmp_path_factory.mktemp("clean") / "store"
    run(sources_in_folder(clips), store)
    return content(store)


def test_the_store_holds_what_the_backbones_say_of_the_sampled_frames(clips: Path, tmp_path: Path) -> None:
    extractor = Extractor(ClassicSemantic(8), ClassicMotion(), num_temporal_views=2, crops="three")
    summary = run(sources_in_folder(clips)[:2], tmp_path / "store", extractor)
    assert (summary.asked, summary.stored, summary.failed) == (2, 2, 0)
    store = FeatureStore.open(tmp_path / "store")
    assert store.num_views == 6
    for view, (place, crop) in enumerate((p, c) for p in (0, 1) for c in ("centre", "left", "right")):
        clip = sample_clip(clips / "1.webm", Sampling(view=place, num_views=2, crop=crop))  # type: ignore[arg-type]
        stored = store.read(["1"], view)
        semantic = extractor.semantic.forward(clip.frames[None]).astype(np.float16)
        np.testing.assert_array_equal(stored.semantic.numpy(), semantic)
        motion = extractor.motion.forward(clip.frames[None]).astype(np.float16)
        np.testing.assert_array_equal(stored.motion.numpy(), motion)


def test_the_fingerprint_of_classic_features_stays() -> None:
    # Models remember it: another one would make them refuse every store that there is.
    description = Extractor(ClassicSemantic(), ClassicMotion()).description()
    assert fingerprint(description.to_json()) == "03ea22771035007d"


def test_workers_do_not_change_a_byte(clips: Path, tmp_path: Path, clean: dict[str, bytes]) -> None:
    run(sources_in_folder(clips), tmp_path / "store", workers=3)
    assert content(tmp_path / "store") == clean


def test_each_bad_file_fails_alone_and_with_its_reason(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    bad = [
        Source("absent", None),
        Source("text", tmp_path / "text.mp4"),
        Source("hangs", write_plain(tmp_path / "dark.webm", (10, 10, 10))),
        Source("kills", write_plain(tmp_path / "bright.webm", (240, 240, 240))),
        Source("nan", write_plain(tmp_path / "yellow.webm", (200, 200, 0))),
        Source("large", write_plain(tmp_path / "magenta.webm", (200, 0, 200))),
    ]
    good = sources_in_folder(clips)
    sources = [good[0], *bad, *good[1:]]
    extractor = Extractor(Fragile("middle"), ClassicMotion())
    summary = run(sources, tmp_path / "store", extractor, workers=2, time_limit_sec=10.0)
    assert (summary.asked, summary.stored, summary.failed) == (12, 6, 6)
    nan = summary.failures.pop("nan")
    assert nan.startswith("the semantic stream holds NaN")
    large = summary.failures.pop("large")
    assert large.startswith("the semantic stream reaches 70000, more than float16 holds")
    text = summary.failures.pop("text")
    assert text.startswith("not a video")
    assert summary.failures == {
        "absent": "no such file",
        "hangs": "timed out after 10 s",
        "kills": "killed its worker (signal 9)",
    }
    store = FeatureStore.open(tmp_path / "store")
    assert list(store.ids) == [str(index) for index in range(6)]
    assert dict(store.failures) == summary.failures | {"nan": nan, "large": large, "text": text}


def test_a_full_disk_stops_with_one_line_and_the_next_call_goes_on(
    clips: Path, tmp_path: Path, clean: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left on device"):
            run(sources_in_folder(clips), tmp_path / "store")
    there = content(tmp_path / "store")
    assert list(there) == ["shards/00000.safetensors"]
    run(sources_in_folder(clips), tmp_path / "store")
    assert content(tmp_path / "store") == clean


SCRIPT = """
import sys
import gasm_cast.store.writer
gasm_cast.store.writer.SHARD_BYTES = 700_000  # two clips
from gasm_cast.cli import main
if __name__ == "__main__":
    sys.exit(main(["extract", *sys.argv[1:], "--workers", "1", "--semantic-frames", "middle"]))
"""


def start(script: Path, clips: Path, store: Path, **environment: str) -> subprocess.Popen[str]:
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, script, clips, "--out", store, "--json", store.with_suffix(".json")],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 200
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def processes_of(session: int) -> list[str]:
    """Command lines of the living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("end", "exit_code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)]
)
def test_an_interrupted_run_leaves_no_process_and_goes_on_to_the_same_store(
    end: signal.Signals, exit_code: int, clips: Path, tmp_path: Path, clean: dict[str, bytes]
) -> None:
    store = tmp_path / "store"
    with start(tmp_path / "script.py", clips, store) as process:
        wait_for(store / "shards" / "00000.safetensors")
        if end == signal.SIGINT:
            os.killpg(process.pid, end)  # as a terminal does it
        else:
            process.send_signal(end)
        errors = process.communicate()[1]
    assert process.returncode == exit_code
    assert "Traceback" not in errors
    assert not (store / "manifest.json").exists()
    deadline = time.monotonic() + 5
    while (left := processes_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    run(sources_in_folder(clips), store)
    assert content(store) == clean


def test_two_processes_make_the_store_of_one(clips: Path, tmp_path: Path, clean: dict[str, bytes]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    store = tmp_path / "store"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, tmp_path / "script.py", clips, "--out", store, "--json", tmp_path / "counts.json"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert content(store) == clean
    assert done.stdout.count("asked 6 = stored 6 + failed 0") == 1
    assert json.loads((tmp_path / "counts.json").read_text())["stored"] == 6


def test_failures_are_tried_again_by_one_process_alone(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [Source("absent", None), *sources_in_folder(clips)[:1]]
    run(sources, tmp_path / "store")
    before = content(tmp_path / "store")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="--retry-failed once without torchrun"):
        extract(sources, tmp_path / "store", CLASSIC, retry_failed=True, samples_per_shard=2, progress=False)
    monkeypatch.delenv("WORLD_SIZE")
    other = Extractor(ClassicSemantic("mean"), ClassicMotion())
    with pytest.raises(InputError, match="holds other features"):
        extract(sources, tmp_path / "store", other, retry_failed=True, samples_per_shard=2, progress=False)
    assert content(tmp_path / "store") == before


def test_failures_stay_until_they_are_asked_for_again(
    clips: Path, tmp_path: Path, clean: dict[str, bytes]
) -> None:
    sources = sources_in_folder(clips)
    away = [replace(sources[2], path=tmp_path / "away.webm")]
    assert run([*sources[:2], *away, *sources[3:]], tmp_path / "store").failures == {"2": "no such file"}
    before = (tmp_path / "store" / "shards" / "00000.safetensors").stat()
    again = run(sources, tmp_path / "store")
    assert again.failures == {"2": "no such file"}
    assert "the same call with --retry-failed does them again" in str(again)
    summary = extract(
        sources, tmp_path / "store", CLASSIC, samples_per_shard=2, retry_failed=True, progress=False
    )
    assert summary.failures == {}
    assert content(tmp_path / "store") == clean
    assert (tmp_path / "store" / "shards" / "00000.safetensors").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(("in_worker", "kept"), [(True, 4), (False, 2)])
def test_an_interruption_keeps_the_batches_that_were_done_and_says_how_many_clips(
    in_worker: bool, kept: int, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [*sources_in_folder(clips)[:2], Source("absent", None), *sources_in_folder(clips)[2:]]
    extractor = Extractor(ClassicSemantic("middle", in_worker=in_worker), ClassicMotion())
    options = PipelineOptions(workers=1, batch_size=2)  # batches only where workers leave the work to us

    def once_more(store: Path) -> ExtractionSummary:
        return extract(sources, store, extractor, options=options, progress=False)

    advance, counted = ExtractionProgress.advance, itertools.count(1)

    def interrupted(bar: ExtractionProgress, *, failed: bool) -> None:
        if next(counted) == 5:  # in the second batch, where there are batches
            raise KeyboardInterrupt
        advance(bar, failed=failed)

    with monkeypatch.context() as patch:
        patch.setattr(ExtractionProgress, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt) as interruption:
            once_more(tmp_path / "store")
    assert interruption.value.__notes__ == [f"{kept} of 7 clips are kept; the same call goes on"]
    summary = once_more(tmp_path / "store")
    assert (summary.asked, summary.earlier, summary.stored) == (7, kept, 6)
    once_more(tmp_path / "whole")
    assert content(tmp_path / "store") == content(tmp_path / "whole")


def test_clips_that_came_later_are_added(clips: Path, tmp_path: Path) -> None:
    sources = sources_in_folder(clips)
    run(sources[1:4], tmp_path / "store")
    summary = run(sources, tmp_path / "store")
    assert (summary.asked, summary.earlier, summary.stored) == (6, 3, 6)
    assert "3 were there before and were not read again" in str(summary)
    assert FeatureStore.open(tmp_path / "store").ids.tolist() == ["1", "2", "3", "0", "4", "5"]
    with pytest.raises(InputError, match="holds 1 clips that are not asked for now, '2' for one"):
        run([*sources[:2], *sources[3:]], tmp_path / "store")


def test_a_broken_file_may_be_taken_away(clips: Path, tmp_path: Path) -> None:
    sources = sources_in_folder(clips)[:3]
    run([Source("broken", None), *sources[:1]], tmp_path / "store")
    summary = run(sources, tmp_path / "store")
    assert (summary.asked, summary.earlier, summary.stored, summary.failures) == (3, 1, 3, {})
    assert list(FeatureStore.open(tmp_path / "store").failures) == ["broken"]
    extract(sources, tmp_path / "store", CLASSIC, samples_per_shard=2, retry_failed=True, progress=False)
    assert not FeatureStore.open(tmp_path / "store").failures
