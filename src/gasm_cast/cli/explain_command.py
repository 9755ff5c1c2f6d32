"""`gasm-cast explain`: draw graphs and attention over the frames of a video."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from gasm_cast.errors import InputError

if TYPE_CHECKING:
    from gasm_cast.classifying import Storage
    from gasm_cast.config import DataConfig
    from gasm_cast.models.checkpoints import LoadedModel
    from gasm_cast.store import Features, FeatureStore
    from gasm_cast.video import Sampling
    from gasm_cast.visualization.clip import ShownClip


@dataclass(frozen=True, kw_only=True)
class Options:
    """Draw graphs and attention over the frames of a video.

    Writes into RUN/explanations/ID/: which patches each motion segment reads in each layer
    (PNG, GIF, MP4), the graph of a patch, the learned similarity, what patches read, and
    whether the attended patches matter to the answer; every number in arrays.npz.
    """

    path: Positional[Path]
    """Run folder."""
    clip: Positional[str]
    """A video file, or the id of a clip of the run's data."""
    patch: str | None = None
    """ROW,COL or FRAME,ROW,COL of the patch to follow, from 0; by default the one most read."""
    out: Path | None = None
    """Folder to write instead."""
    view: int = 0
    """Which view of the clip."""
    semantic_weights: str | None = None
    """Where the semantic backbone's weights lie, if it needs a file of yours."""
    motion_weights: str | None = None
    """The same for the motion backbone."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where backbones run."""


def run(options: Options) -> int:
    """Explain one clip."""
    from gasm_cast.annotations import coarse_groups
    from gasm_cast.models.checkpoints import load_checkpoint
    from gasm_cast.runs import Run
    from gasm_cast.visualization.explaining import explain
    from gasm_cast.visualization.faithfulness import measure
    from gasm_cast.visualization.writing import replace_explanation, require_own_folder

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Run.open(options.path)
    loaded = load_checkpoint(folder.best_checkpoint)
    if options.out is not None:
        require_own_folder(options.out)
    features, clip = _clip(options, loaded, folder.data)
    chosen = None if options.patch is None else _token(options.patch, loaded)
    explanation = explain(
        loaded.model,
        features.semantic,
        features.motion,
        class_names=loaded.class_names,
        group_names=coarse_groups(loaded.class_names)[1],
    )
    token = explanation.most_read_token() if chosen is None else chosen
    faithfulness = measure(loaded.model, features.semantic, features.motion, explanation)
    name = clip.name.replace("/", "__")
    out = options.out or folder.path / "explanations" / name
    replace_explanation(out, explanation, clip, faithfulness, token=token)
    print(clip.title(explanation.answer))
    if clip.flaws:
        print(f"{options.clip}: {'; '.join(clip.flaws)}")
    if faithfulness is not None:
        print(
            f"faithfulness {faithfulness.faithfulness:+.3f} (insertion {faithfulness.insertion:.3f}, "
            f"deletion {faithfulness.deletion:.3f}, random {faithfulness.random_area:.3f})"
        )
    print(f"written to {out}")
    return 0


def _token(patch: str, loaded: LoadedModel) -> int:
    from gasm_cast.visualization.patches import token_at

    numbers = patch.replace(" ", "").split(",")
    if len(numbers) not in (2, 3) or not all(number.isdecimal() for number in numbers):
        raise InputError(f"--patch takes ROW,COL or FRAME,ROW,COL, such as 3,10, got {patch!r}")
    *frame, row, col = map(int, numbers)
    return token_at(loaded.model.semantic_grid, row, col, *frame)


def _clip(options: Options, loaded: LoadedModel, data: DataConfig) -> tuple[Features, ShownClip]:
    """Features and frames of what was asked for: a file, else an id."""
    from gasm_cast.classifying import storage_of
    from gasm_cast.store import FeatureStore

    store = FeatureStore.open(data.store) if (data.store / "manifest.json").exists() else None
    storage = storage_of(loaded, data.store)
    views = _shown_views(loaded, storage.num_views)
    if not 0 <= options.view < len(views):
        raise InputError(f"--view must be 0 to {len(views) - 1}, got {options.view}")
    shown = views[options.view]
    if Path(options.clip).is_file():
        return _of_file(options, loaded, storage, shown)
    if store is None:
        raise InputError(f"{options.clip}: no such video, and the run's store {data.store} is not there")
    if options.clip not in store.ids and options.clip not in store.failures:
        raise InputError(
            f"{options.clip}: no such video file, and no such id in the run's store {data.store}"
        )
    return _of_id(options, store, data, shown)


def _of_file(
    options: Options, loaded: LoadedModel, storage: Storage, shown: Sampling
) -> tuple[Features, ShownClip]:
    from gasm_cast.extraction.extractor import Extractor
    from gasm_cast.extraction.temporary import features_of_video
    from gasm_cast.visualization.clip import ShownClip

    path = Path(options.clip)
    extractor = Extractor.like(
        loaded.provenance,
        num_views=storage.num_views,
        semantic_weights=options.semantic_weights,
        motion_weights=options.motion_weights,
        device=options.device,
    )
    if storage.assumed:
        print(storage.assumed, file=sys.stderr)
    features = features_of_video(path, extractor, dtype=storage.dtype, view=options.view)
    return features, ShownClip.of_video(path.stem, None, path, shown)


def _of_id(
    options: Options, store: FeatureStore, data: DataConfig, shown: Sampling
) -> tuple[Features, ShownClip]:
    from gasm_cast.annotations import available_splits, read_annotations
    from gasm_cast.visualization.clip import ShownClip

    name = options.clip
    features = store.read([name], options.view)
    path, label = None, None
    for split in available_splits(data.annotations) if data.annotations.exists() else ():
        table = read_annotations(data.annotations, split)
        if name in table.ids:
            row = table.ids.index(name)
            path = table.paths[row]
            label = table.class_names[table.labels[row]] if table.labelled else None
    if path is None:
        print(f"{name}: its video was not found, so the pictures have grey frames", file=sys.stderr)
        return features, ShownClip.without_video(name, label)
    return features, ShownClip.of_video(name, label, path, shown)


def _shown_views(loaded: LoadedModel, num_views: int) -> tuple[Sampling, ...]:
    """The views of a clip in a size for people."""
    from gasm_cast.extraction.options import CROPS
    from gasm_cast.video import spread_views
    from gasm_cast.visualization.clip import SHOWN_PX

    crops = CROPS.get(loaded.provenance["preprocessing"].get("crops"), ("centre",))
    return spread_views(num_views // len(crops), crops, size_px=SHOWN_PX)
