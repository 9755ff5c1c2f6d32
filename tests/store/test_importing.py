"""What people already have, and what is wrong with it (every refusal is named)."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from jaxtyping import Float16
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch_file

from gasm_cast.errors import InputError
from gasm_cast.geometry import Grid
from gasm_cast.store import FeatureStore, writer
from gasm_cast.store.importing import ImportedStream, import_features
from gasm_cast.store.layout import Axis, Layout, SpecialTokens, parse_axes, parse_grid
from gasm_cast.store.sources import open_source

from .conftest import MOTION, SEMANTIC, clip

Save = Callable[[Path, str, np.ndarray], None]
IDS = [f"{number}" for number in (78687, 9, 220847, 31)]


def semantic_of(name: str) -> Float16[np.ndarray, "tokens width"]:
    half: Float16[np.ndarray, "tokens width"] = clip(name, "semantic")[0].astype(np.float16)
    return half


def motion_of(name: str) -> Float16[np.ndarray, "tokens width"]:
    half: Float16[np.ndarray, "tokens width"] = clip(name, "motion")[0].astype(np.float16)
    return half


def save_npy(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", array)


def save_npz(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / f"{name}.npz", array)


def save_pt(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    torch.save(torch.from_numpy(array), folder / f"{name}.pt")


def save_pt_dictionary(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    torch.save({"features": torch.from_numpy(array)}, folder / f"{name}.pth")


def save_safetensors(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    save_file({"x": array}, folder / f"{name}.safetensors")


def save_hdf5(folder: Path, name: str, array: np.ndarray) -> None:
    with h5py.File(f"{folder}.h5", "a") as file:
        file[name] = array


def save_packed(folder: Path, name: str, array: np.ndarray) -> None:
    """One safetensors file with an entry for each id."""
    path = Path(f"{folder}.safetensors")
    save_file({**(load_file(path) if path.exists() else {}), name: array}, path)


def stream(
    path: Path,
    which: str,
    *,
    axes: tuple[Axis, ...] | None = None,
    drop: tuple[SpecialTokens, ...] = (),
    grid: Grid | None = None,
    names: str = "{id}",
    key: str | None = None,
) -> ImportedStream:
    spec = SEMANTIC if which == "semantic" else MOTION
    source = open_source(path, names=names, key=key)
    return ImportedStream(source, Layout(which, grid or spec.grid, axes, drop), "somebody's")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in IDS:
        save_npy(tmp_path / "semantic", name, semantic_of(name))
    for name in sorted(IDS):  # created in another order: files are joined by id
        save_npy(tmp_path / "motion", name, motion_of(name))
    return tmp_path / "semantic", tmp_path / "motion"


@pytest.fixture
def refused(tmp_path: Path, folders: tuple[Path, Path]) -> Callable[..., str]:
    """The reason for which one clip is refused, while the others are stored."""

    def reason(**options: Any) -> str:
        motion = options.pop("motion", {})
        import_features(
            tmp_path / "store",
            stream(folders[0], "semantic", **options),
            stream(folders[1], "motion", **motion),
        )
        store = FeatureStore.open(tmp_path / "store")
        assert sorted(store.ids) == sorted(set(IDS) - {"9"})
        return store.failures["9"]

    return reason


@pytest.mark.parametrize(
    ("save", "suffix"),
    [
        (save_npy, ""),
        (save_npz, ""),
        (save_pt, ""),
        (save_pt_dictionary, ""),
        (save_safetensors, ""),
        (save_hdf5, ".h5"),
        (save_packed, ".safetensors"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_every_kind_of_file_comes_in_bit_for_bit(tmp_path: Path, save: Save, suffix: str, dtype: Any) -> None:
    generator = np.random.default_rng(0)
    arrays = {name: generator.standard_normal((12, 20)).astype(dtype) for name in IDS}
    for name in IDS:
        save(tmp_path / "semantic", name, arrays[name])
    for name in reversed(IDS):
        save(tmp_path / "motion", name, motion_of(name).astype(dtype))
    done = import_features(
        tmp_path / "store",
        stream(tmp_path / f"semantic{suffix}", "semantic"),
        stream(tmp_path / f"motion{suffix}", "motion"),
    )
    assert not done.notes
    store = FeatureStore.open(tmp_path / "store")
    assert store.ids.tolist() == sorted(IDS)
    assert store.description.dtype == np.dtype(dtype).name
    read = store.read(IDS, dtype=torch.from_numpy(arrays["9"]).dtype)
    for place, name in enumerate(IDS):
        np.testing.assert_array_equal(read.semantic[place].numpy(), arrays[name])
        np.testing.assert_array_equal(read.motion[place].float().numpy(), motion_of(name).astype(np.float32))


def test_bfloat16_and_mixed_precision(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    (tmp_path / "bf16").mkdir()
    for name in IDS:
        tokens = torch.from_numpy(semantic_of(name)).bfloat16()
        save_torch_file({"x": tokens}, tmp_path / "bf16" / f"{name}.safetensors")
    import_features(tmp_path / "store", stream(tmp_path / "bf16", "semantic"), stream(folders[1], "motion"))
    store = FeatureStore.open(tmp_path / "store")
    assert store.description.dtype == "float32"  # holds both without loss
    expected = torch.from_numpy(semantic_of("31")).bfloat16().float()
    assert torch.equal(store.read(["31"]).semantic[0], expected)


def test_big_endian_and_fortran_order(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    for name in IDS:
        odd = np.asfortranarray(semantic_of(name).astype(">f4"))
        save_npy(tmp_path / "odd", name, odd)
    import_features(tmp_path / "store", stream(tmp_path / "odd", "semantic"), stream(folders[1], "motion"))
    store = FeatureStore.open(tmp_path / "store")
    np.testing.assert_array_equal(store.read(["9"]).semantic[0].numpy(), semantic_of("9").astype(np.float32))


def test_files_are_found_by_their_name(tmp_path: Path) -> None:
    for name in IDS:
        save_npy(tmp_path / "all", f"{name}_dino", semantic_of(name))
        save_npy(tmp_path / "all", f"{name}_rgb", motion_of(name))
    (tmp_path / "all" / "README.md").touch()
    semantic = stream(tmp_path / "all", "semantic", names="{id}_dino")
    motion = stream(tmp_path / "all", "motion", names="{id}_rgb")
    assert len(semantic.source.passed_over) == 5
    import_features(tmp_path / "store", semantic, motion)
    assert sorted(FeatureStore.open(tmp_path / "store").ids) == sorted(IDS)


def test_an_id_may_occur_twice_in_a_name(tmp_path: Path) -> None:
    for name in IDS:
        save_npy(tmp_path / name, f"{name}_dino", semantic_of(name))
    save_npy(tmp_path / "31", "9_dino", semantic_of("9"))
    source = open_source(tmp_path, names="{id}/{id}_dino")
    assert source.entries == {name: f"{name}/{name}_dino.npy" for name in IDS}
    assert source.passed_over == ("31/9_dino.npy",)


def test_subfolders_are_part_of_the_id_and_a_key_picks_the_array(tmp_path: Path) -> None:
    for name in IDS:
        (tmp_path / "semantic" / "val").mkdir(parents=True, exist_ok=True)
        arrays = {"cls": np.zeros((1, 20), np.float16), "patches": semantic_of(name)}
        np.savez(tmp_path / "semantic" / "val" / f"{name}.npz", allow_pickle=False, **arrays)
        with h5py.File(tmp_path / "motion.h5", "a") as file:
            file[f"val/{name}/rgb"] = motion_of(name)
            file[f"val/{name}/num_frames"] = 16
    semantic = stream(tmp_path / "semantic", "semantic", key="patches")
    motion = stream(tmp_path / "motion.h5", "motion", key="rgb")
    import_features(tmp_path / "store", semantic, motion)
    assert sorted(FeatureStore.open(tmp_path / "store").ids) == sorted(f"val/{name}" for name in IDS)


def test_one_sided_ids_are_failures(tmp_path: Path, folders: tuple[Path, Path], refused: Any) -> None:
    (folders[1] / "9.npy").unlink()
    assert refused() == "no motion features: motion has none of this id"


def test_streams_without_a_common_id_are_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    save_npy(tmp_path / "other", "x1", motion_of("9"))
    with pytest.raises(
        InputError, match=r"have no id in common \('\d+', 'x1', \.\.\.\); say how files are called"
    ):
        import_features(
            tmp_path / "store", stream(folders[0], "semantic"), stream(tmp_path / "other", "motion")
        )
    assert not (tmp_path / "store").exists()


def test_an_id_twice_is_refused(folders: tuple[Path, Path]) -> None:
    torch.save(torch.zeros(12, 20), folders[0] / "9.pt")
    with pytest.raises(InputError, match=r"both 9\.npy and 9\.pt are called '9'; keep one of them"):
        open_source(folders[0])


def test_a_cut_off_import_goes_on(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    streams = stream(folders[0], "semantic"), stream(folders[1], "motion")
    import_features(tmp_path / "store", *streams)
    (tmp_path / "store" / "manifest.json").unlink()
    import_features(tmp_path / "store", *streams)
    assert len(FeatureStore.open(tmp_path / "store")) == 4


def test_a_full_disk_is_no_fault_of_a_clip(
    tmp_path: Path, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = stream(folders[0], "semantic"), stream(folders[1], "motion")
    fsync, calls = os.fsync, []

    def full_at_first(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(writer, "SHARD_BYTES", 1)  # a shard for each clip
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_at_first)
        with pytest.raises(InputError, match="cannot write: No space left on device"):
            import_features(tmp_path / "store", *streams)
    import_features(tmp_path / "store", *streams)
    store = FeatureStore.open(tmp_path / "store")
    assert (len(store), dict(store.failures)) == (4, {})


class TestRefusals:
    """One file of four is odd: it is named with the reason, and the others come in."""

    def test_not_finite(self, folders: tuple[Path, Path], refused: Any) -> None:
        bad = semantic_of("9")
        bad[3, 4] = np.nan
        np.save(folders[0] / "9.npy", bad)
        assert refused().startswith("semantic/9.npy: holds NaN or infinity")

    def test_overflow(self, folders: tuple[Path, Path], refused: Any) -> None:
        bad = motion_of("9").astype(np.float32)
        bad[0, 0] = 70_000
        np.save(folders[1] / "9.npy", bad)
        # The others are half precision, so the store would be float32 and hold it; ask for half.
        store = folders[0].parent / "half"
        import_features(store, stream(folders[0], "semantic"), stream(folders[1], "motion"), dtype="float16")
        reason = FeatureStore.open(store).failures["9"]
        assert reason.startswith("motion/9.npy: reaches 70000, more than float16 holds")

    def test_objects(self, folders: tuple[Path, Path], refused: Any) -> None:
        np.save(folders[0] / "9.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
        assert refused() == (
            "semantic/9.npy: holds Python objects, which are never unpickled; save plain arrays or tensors"
        )

    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    def test_text(self, folders: tuple[Path, Path], refused: Any, suffix: str) -> None:
        (folders[0] / "9.npy").unlink()
        (folders[0] / f"9{suffix}").write_text("no array")
        assert "9" + suffix + ": not written by numpy, whatever its name" in refused()

    def test_code_in_a_checkpoint_is_never_run(self, folders: tuple[Path, Path], refused: Any) -> None:
        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return (Path.touch, (folders[0] / "it_ran",))

        (folders[0] / "9.npy").unlink()
        torch.save(Evil(), folders[0] / "9.pt")
        assert "holds Python objects, which are never unpickled" in refused()
        assert not (folders[0] / "it_ran").exists()

    @pytest.mark.parametrize("save", [save_npy, save_npz, save_pt, save_safetensors])
    @pytest.mark.parametrize("size", [0, 20, 300])
    def test_truncated(self, folders: tuple[Path, Path], refused: Any, save: Save, size: int) -> None:
        (folders[0] / "9.npy").unlink()
        save(folders[0], "9", semantic_of("9"))
        file = next(folders[0].glob("9.*"))
        file.write_bytes(file.read_bytes()[:size])
        assert refused().startswith(f"semantic/{file.name}: ")
        assert "damaged" in refused()

    def test_not_numbers(self, folders: tuple[Path, Path], refused: Any) -> None:
        np.save(folders[0] / "9.npy", np.zeros((12, 20), np.int64))
        assert refused().startswith("semantic/9.npy: holds int64, not floating-point numbers")

    def test_several_arrays(self, folders: tuple[Path, Path], refused: Any) -> None:
        (folders[0] / "9.npy").unlink()
        np.savez(folders[0] / "9.npz", allow_pickle=False, a=semantic_of("9"), b=semantic_of("9"))
        assert "holds the arrays a, b; which one to take is not said (--semantic-key" in refused()

    def test_another_width(self, folders: tuple[Path, Path], refused: Any) -> None:
        np.save(folders[0] / "9.npy", semantic_of("9")[:, :19])
        assert "has the shape [1, 12, 19], the store needs [1, 12, 20] (views, tokens, width)" in refused()

    @pytest.mark.parametrize(
        ("extra", "name", "remedy"),
        [(1, "a CLS token", "cls"), (4, "register tokens", "registers"), (5, "a CLS and 4", "cls registers")],
    )
    def test_special_tokens(
        self, folders: tuple[Path, Path], refused: Any, extra: int, name: str, remedy: str
    ) -> None:
        np.save(folders[0] / "9.npy", np.zeros((12 + extra, 20), np.float16))
        reason = refused()
        assert f"{12 + extra} tokens are the 12 of the grid 1x3x4 and {extra} in front" in reason
        assert f"look like {name}" in reason
        assert reason.endswith(f"leave them out with --semantic-drop-tokens {remedy}")

    def test_swapped_axes(self, folders: tuple[Path, Path], refused: Any) -> None:
        np.save(folders[1] / "9.npy", motion_of("9").T)
        assert refused().endswith(
            "has the shape [8, 5]: tokens should be 5, got 8; the axes look swapped: "
            "say --motion-axes channels,tokens"
        )

    def test_square(self, folders: tuple[Path, Path], refused: Any) -> None:
        np.save(folders[1] / "9.npy", np.zeros((5, 5), np.float16))
        assert "as square as it is, it does not tell tokens from channels" in refused()

    def test_unpooled(self, folders: tuple[Path, Path], refused: Any) -> None:
        np.save(folders[1] / "9.npy", np.zeros((5, 8, 7, 7), np.float16))
        reason = refused(motion={"axes": ("tokens", "channels")})
        assert "has the shape [5, 8, 7, 7], but the declared axes are tokens,channels; pool" in reason


def test_if_all_are_refused_nothing_is_written(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(
        InputError, match=r"the first 4 clips are all refused: semantic/\d+\.npy: has the shape"
    ):
        import_features(
            tmp_path / "store",
            stream(folders[0], "semantic", grid=Grid(1, 4, 4)),
            stream(folders[1], "motion"),
        )
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("tokens", [197, 201, 257, 261])
def test_the_usual_counts_of_vision_transformers(tokens: int) -> None:
    side, extra = (14, tokens - 196) if tokens < 256 else (16, tokens - 256)
    drop: tuple[SpecialTokens, ...] = ("cls",) if extra == 1 else ("cls", "registers")
    array = torch.arange(tokens * 3.0).reshape(tokens, 3)
    with pytest.raises(InputError, match=f"--semantic-drop-tokens {' '.join(drop)}"):
        Layout("semantic", Grid(1, side, side)).arrange(array)
    arranged = Layout("semantic", Grid(1, side, side), None, drop).arrange(array)
    assert torch.equal(arranged.tokens[0], array[extra:])


@pytest.mark.parametrize(
    ("shape", "axes", "grid"),
    [
        ((12, 20), "tokens,channels", (1, 3, 4)),
        ((20, 12), "channels,tokens", (1, 3, 4)),
        ((3, 4, 20), "rows,cols,channels", (1, 3, 4)),
        ((20, 2, 3, 4), "channels,frames,rows,cols", (2, 3, 4)),
        ((2, 12, 20), "frames,tokens,channels", (2, 3, 4)),
        ((4, 20, 3, 2), "cols,channels,rows,frames", (2, 3, 4)),
        ((6, 2, 12, 20), "views,frames,tokens,channels", (2, 3, 4)),
        ((2, 7, 20, 7), "frames,mean,channels,mean", (2, 1, 1)),
    ],
)
def test_axes_in_any_order_become_tokens_of_the_grid(
    shape: tuple[int, ...], axes: str, grid: tuple[int, int, int]
) -> None:
    array = torch.arange(float(np.prod(shape))).reshape(shape)
    parsed = parse_axes(axes, option="--semantic-axes")
    tokens = Layout("semantic", Grid(*grid), parsed).arrange(array).tokens
    letters = dict(zip(("views", "frames", "rows", "cols", "tokens", "channels"), "vfrcnd", strict=True))
    unique = iter("xy")
    given = "".join(letters.get(axis) or next(unique) for axis in axes.split(","))
    wanted = "".join(letter for letter in "vfrcnd" if letter in given)
    count = given.count("x") * 7 + given.count("y") * 7
    expected = torch.einsum(f"{given}->{wanted}", array) / (49 if count else 1)
    num_views = 6 if "views" in axes else 1
    torch.testing.assert_close(tokens, expected.reshape(num_views, Grid(*grid).num_tokens, 20))


@pytest.mark.parametrize("shape", [(5, 8, 1, 1), (1, 5, 1, 1, 8), (1, 1, 5, 8)])
def test_axes_of_size_one_are_squeezed_with_a_note(shape: tuple[int, ...]) -> None:
    arranged = Layout("motion", Grid(5, 1, 1), ("tokens", "channels")).arrange(torch.zeros(shape))
    assert arranged.tokens.shape == (1, 5, 8)
    assert arranged.notes == (f"squeezed {list(shape)} to [5, 8]",)


def test_a_single_token_is_not_squeezed_away() -> None:
    layout = Layout("motion", Grid(1, 1, 1), ("tokens", "channels"))
    assert layout.arrange(torch.zeros(1, 8)).tokens.shape == (1, 1, 8)
    assert layout.arrange(torch.zeros(1, 8, 1, 1)).tokens.shape == (1, 1, 8)


def test_a_grid_may_be_given_short() -> None:
    assert [parse_grid(text, option="--g") for text in ("8", "14x14", "8x14x14")] == [
        Grid(8, 1, 1),
        Grid(1, 14, 14),
        Grid(8, 14, 14),
    ]
    for text in ("", "8x", "axb", "1x2x3x4", "0x1x1", "-1"):
        with pytest.raises(InputError, match="--g: got"):
            parse_grid(text, option="--g")


@pytest.mark.parametrize(
    "axes", ["tokens", "tokens,tokens,channels", "time,channels", "", "channels,channels"]
)
def test_wrong_axes_are_refused(axes: str) -> None:
    with pytest.raises(InputError, match="--motion-axes: got"):
        parse_axes(axes, option="--motion-axes")


def test_axes_that_do_not_make_up_the_grid_are_refused() -> None:
    with pytest.raises(InputError, match="leave out sides of the grid 2x3x4"):
        Layout("semantic", Grid(2, 3, 4), ("rows", "cols", "channels"))
    with pytest.raises(InputError, match="`tokens` stands for rows and cols together"):
        Layout("semantic", Grid(2, 3, 4), ("rows", "tokens", "channels"))
    with pytest.raises(InputError, match="needs the axis `tokens`"):
        Layout("semantic", Grid(1, 3, 4), ("rows", "cols", "channels"), ("cls",))


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "features.csv").touch()
    with pytest.raises(InputError, match=r"features\.csv: not one of \.h5, \.hdf5, \.safetensors"):
        open_source(tmp_path / "features.csv")
    with pytest.raises(InputError, match=r"no features named \{id\}; it holds features\.csv"):
        open_source(tmp_path)
    with pytest.raises(InputError, match=r"file names need \{id\}"):
        open_source(tmp_path, names="rgb")
    (tmp_path / "features.h5").write_bytes(b"not hdf5")
    with pytest.raises(InputError, match=r"features\.h5: cut short or damaged"):
        open_source(tmp_path / "features.h5")
