"""One clip has one answer, whoever asks and whatever else is asked."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gasm_cast.errors import InputError
from gasm_cast.evaluation.scoring import Scores, score, score_early
from gasm_cast.models.checkpoints import load_checkpoint
from gasm_cast.store import FeatureStore

from .conftest import MakeRun


def assert_same(a: Scores, b: Scores) -> None:
    assert a.ids == b.ids
    np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=0, atol=1e-6)
    for first, second in zip(a.layer_probabilities, b.layer_probabilities, strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-6)


def test_batch_size_and_order_do_not_matter(
    make_run: MakeRun, store: FeatureStore, scored_ids: list[str]
) -> None:
    model = load_checkpoint(make_run().best_checkpoint).model
    whole = score(model, store, scored_ids, num_views=2)
    assert_same(score(model, store, scored_ids, num_views=2, batch_size=1), whole)
    assert_same(score(model, store, scored_ids, num_views=2, batch_size=5), whole)
    shuffled = np.random.default_rng(0).permutation(len(scored_ids))
    again = score(model, store, [scored_ids[i] for i in shuffled], num_views=2, batch_size=3)
    np.testing.assert_allclose(again.probabilities, whole.probabilities[shuffled], rtol=0, atol=1e-6)


def test_softmax_is_averaged_over_views(
    make_run: MakeRun, store: FeatureStore, scored_ids: list[str]
) -> None:
    model = load_checkpoint(make_run().best_checkpoint).model
    scores = score(model, store, scored_ids, num_views=2)
    with torch.no_grad():
        views = [
            model(*vars(store.read(scored_ids, view=view)).values()).logits.softmax(-1) for view in (0, 1)
        ]
    assert (views[0] - views[1]).abs().max() > 1e-3
    np.testing.assert_allclose(scores.probabilities, (views[0] + views[1]) / 2, rtol=0, atol=1e-6)
    assert len(scores.ids) == len(scored_ids)  # clips are counted, not views


def test_a_model_in_training_is_scored_without_dropout_and_left_in_training(
    make_run: MakeRun, store: FeatureStore, scored_ids: list[str]
) -> None:
    model = load_checkpoint(make_run().best_checkpoint).model
    quiet = score(model, store, scored_ids)
    assert_same(score(model.train(), store, scored_ids), quiet)
    assert model.training


def test_early_scores_are_those_of_each_clip_alone(
    make_run: MakeRun, store: FeatureStore, scored_ids: list[str]
) -> None:
    model = load_checkpoint(make_run().best_checkpoint).model
    confidence = 0.5
    early = score_early(model, store, scored_ids, confidence, num_views=2, batch_size=5)
    assert len(np.unique(early.layers_used)) > 1, (
        "choose a confidence that some clips reach and others do not"
    )
    for clip, probabilities, layers in zip(scored_ids, early.probabilities, early.layers_used, strict=True):
        features = [store.read([clip], view) for view in (0, 1)]
        views = [model.predict_early(of.semantic, of.motion, confidence) for of in features]
        alone = sum(view.logits.softmax(-1)[0] for view in views) / 2
        np.testing.assert_allclose(probabilities, alone, rtol=0, atol=1e-6)
        assert layers.tolist() == [int(view.layers_used) for view in views]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_scores_early_as_the_processor_does(
    make_run: MakeRun, store: FeatureStore, scored_ids: list[str]
) -> None:
    model = load_checkpoint(make_run().best_checkpoint).model
    here = score_early(model, store, scored_ids, 0.5)
    there = score_early(model.to("cuda"), store, scored_ids, 0.5, device="cuda")
    np.testing.assert_allclose(there.probabilities, here.probabilities, rtol=0, atol=1e-4)


def test_a_clip_that_is_not_finite_is_named(
    make_run: MakeRun, store: FeatureStore, scored_ids: list[str]
) -> None:
    model = load_checkpoint(make_run().best_checkpoint).model
    model.register_forward_hook(
        lambda module, given, output: output._replace(
            logits=torch.where(torch.arange(len(output.logits))[:, None] == 2, float("nan"), output.logits)
        )
    )
    with pytest.raises(
        InputError, match=f"1 of {len(scored_ids)} clips .* first {scored_ids[2]}; `gasm-cast s"
    ):
        score(model, store, scored_ids)
    with pytest.raises(
        InputError, match=f"in bf16, first {scored_ids[2]}; try fp32; `gasm-cast store verify`"
    ):
        score(model, store, scored_ids, precision="bf16")


def test_no_clips_and_unknown_clips_are_refused(make_run: MakeRun, store: FeatureStore) -> None:
    model = load_checkpoint(make_run().best_checkpoint).model
    with pytest.raises(ValueError, match="no clips"):
        score(model, store, [])
    with pytest.raises(InputError, match="elsewhere"):
        score(model, store, ["elsewhere"])


def test_processes_share_the_clips_and_all_receive_all_scores(
    make_run: MakeRun, store: FeatureStore, scored_ids: list[str]
) -> None:
    """5 clips in 2 processes, where padding would score 6; and 1 clip, so that one has none."""
    path, root = make_run().best_checkpoint, store.path.parent
    script = Path(__file__).with_name("score_in_process.py")
    processes = [
        subprocess.Popen([sys.executable, script, str(rank), "2", root, path, *scored_ids[:5]])
        for rank in range(2)
    ]
    model = load_checkpoint(path).model
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    for num_clips in (5, 1):
        alone = score(model, store, scored_ids[:num_clips], num_views=2)
        for rank in range(2):
            with np.load(root / f"rank{rank}-{num_clips}.npz") as arrays:
                found = Scores(alone.ids, arrays["arr_0"], (arrays["arr_1"], arrays["arr_2"]))
            assert_same(found, alone)
