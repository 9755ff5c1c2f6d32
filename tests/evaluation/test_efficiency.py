"""Costs of models side by side: operations and memory are counted, not guessed."""

import math
from dataclasses import replace

import pytest

from gasm_cast.config import ExchangeConfig, GraphConfig, HeadConfig, ModelConfig, PeerConfig
from gasm_cast.evaluation.efficiency import Measurement, Settings, measure, measure_peak
from gasm_cast.evaluation.efficiency_tables import cost_table, figures
from gasm_cast.geometry import Grid, StreamSpec

SEMANTIC, MOTION = StreamSpec(Grid(1, 3, 3), 24), StreamSpec(Grid(8, 1, 1), 16)
QUICK = Settings(num_steps=1, peak=False, num_classes=5)


def ours(residual: str) -> ModelConfig:
    return ModelConfig(
        graph=GraphConfig(width=8, num_heads=2, similarity_width=4, semantic_num_similar=2),
        exchange=ExchangeConfig(width=8, num_heads=2, residual=residual),  # type: ignore[arg-type]
    )


def cross_attention_flops(num_layers: int) -> int:
    """Products of plain bidirectional cross-attention without feed-forward, and of its classifier."""
    tokens = {"s": SEMANTIC.grid.num_tokens, "m": MOTION.grid.num_tokens}
    widths = {"s": SEMANTIC.width, "m": MOTION.width}
    flops = 0
    for query, context in (("s", "m"), ("m", "s")):
        n, t, d, c = tokens[query], tokens[context], widths[query], widths[context]
        query_and_out = 2 * (2 * n * d * d)
        key_and_value = 2 * (2 * t * c * d)
        scores_and_mixing = 2 * (2 * n * t * d)
        flops += query_and_out + key_and_value + scores_and_mixing
    return num_layers * flops + 2 * (24 + 8 * 16) * QUICK.num_classes


@pytest.fixture(scope="module")
def rows() -> dict[str, Measurement]:
    configs = {
        "linear": ModelConfig(kind="linear"),
        "bottleneck": ours("bottleneck"),
        "stream": ours("stream"),
        "cross-attention": ModelConfig(kind="cross-attention", peer=PeerConfig(feed_forward=False)),
    }
    return {row.name: row for row in measure(configs, SEMANTIC, MOTION, 2, QUICK)}


def test_flops_are_those_of_a_count_by_hand(rows: dict[str, Measurement]) -> None:
    assert rows["linear"].flops == 2 * (24 + 8 * 16) * 5
    assert rows["cross-attention"].flops == cross_attention_flops(PeerConfig().num_layers)


def test_the_bottleneck_form_keeps_less_than_the_stream_form(rows: dict[str, Measurement]) -> None:
    assert 0 < rows["linear"].saved_bytes < rows["bottleneck"].saved_bytes < rows["stream"].saved_bytes


def test_rows_say_what_was_measured(rows: dict[str, Measurement]) -> None:
    row = rows["linear"]
    weights, biases, norms = 152 * 5, 5, 2 * 152
    assert row.parameters in (weights + biases, weights + biases + norms)
    assert (row.grid, row.batch_size, row.peak_bytes) == (Grid(1, 3, 3), 2, None)
    for each in rows.values():
        assert math.isfinite(each.train_step_sec)
        assert math.isfinite(each.forward_sec)


def test_layers_that_answer_verb_groups_are_measured_too() -> None:
    coarse = replace(ours("bottleneck"), head=HeadConfig(coarse_layers=1))
    (row,) = measure({"ours": coarse}, SEMANTIC, MOTION, 1, replace(QUICK, num_groups=3))
    (fine,) = measure({"ours": ours("bottleneck")}, SEMANTIC, MOTION, 1, QUICK)
    assert fine.flops > row.flops > 0  # five classes are more than three groups


def test_settings_say_what_the_times_are_of() -> None:
    assert replace(QUICK, precision="bf16").describe().endswith("thread(s), bf16, processor time")


def test_bfloat16_runs_too() -> None:
    settings = Settings(num_steps=1, peak=False, num_classes=5, precision="bf16")
    (row,) = measure({"ours": ours("bottleneck")}, SEMANTIC, MOTION, 2, settings)
    assert row.flops > 0


def test_the_peak_of_a_fresh_process_holds_what_the_step_keeps() -> None:
    semantic = StreamSpec(Grid(1, 16, 16), 192)
    config = ModelConfig(kind="cross-attention")
    (row,) = measure({"plain": config}, semantic, MOTION, 8, QUICK)
    # The graph of the step must fit under the peak; the measure's grain is a page.
    assert measure_peak(config, semantic, MOTION, 8, QUICK) > 0.5 * row.saved_bytes > 20e6


def test_the_table_divides_by_the_reference(rows: dict[str, Measurement]) -> None:
    lines = cost_table(list(rows.values())).splitlines()
    assert lines[0] == "**1x3x3, 2 clip(s) a step**"
    assert lines[-1].endswith("| 1.000, 1.000, 1.000 |")
    assert len(lines) == 4 + len(rows)
    alone = cost_table([rows["linear"]]).splitlines()[-1]
    assert alone.endswith("| - |")


def test_figures_hold_every_quantity_once(rows: dict[str, Measurement]) -> None:
    found = figures(list(rows.values()), [])
    assert len({row["name"] for row in found}) == len(found) == 5 * len(rows)  # the peak was not measured
    flops = next(row for row in found if row["name"] == "linear, 1x3x3, flops")
    assert flops == {
        "name": "linear, 1x3x3, flops",
        "value": 1520.0,
        "unit": "FLOP",
        "target": None,
        "met": None,
        "peer": None,
    }
