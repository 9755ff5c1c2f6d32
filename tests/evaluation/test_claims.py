"""Verdicts follow from figures alone, here made-up ones."""

import pytest

from gasm_cast.evaluation.claims import CLAIMS, Claim, contenders, decide, decide_growth
from gasm_cast.evaluation.efficiency import Measurement
from gasm_cast.evaluation.efficiency_tables import figures, verdict_table
from gasm_cast.evaluation.growth import RATIO_AT, Growth
from gasm_cast.geometry import Grid


def row(name: str, grid: str = "1x14x14", **figures_of_row: float | None) -> Measurement:
    made_up = {"parameters": 1, "flops": 1.0, "forward_sec": 1.0, "train_step_sec": 1.0, "saved_bytes": 1}
    figures = made_up | {"peak_bytes": None} | figures_of_row
    tokens = Grid(*map(int, grid.split("x")))
    return Measurement(name=name, grid=tokens, batch_size=1, **figures)  # type: ignore[arg-type]


RATIO = Claim("operations", "flops", "ours", "theirs", "1x14x14", 0.5)
BOUND = Claim("parameters", "parameters", "ours", None, "1x14x14", 100.0)


@pytest.mark.parametrize(("flops", "met"), [(49.0, True), (50.0, True), (51.0, False)])
def test_a_ratio_is_met_up_to_its_target(flops: float, met: bool) -> None:
    (verdict,) = decide([row("ours", flops=flops), row("theirs", flops=100.0)], [RATIO])
    assert verdict.value == flops / 100
    assert verdict.met is met


@pytest.mark.parametrize(("parameters", "met"), [(100, True), (101, False)])
def test_a_bound_needs_no_peer(parameters: int, met: bool) -> None:
    (verdict,) = decide([row("ours", parameters=parameters)], [BOUND])
    assert (verdict.value, verdict.met) == (parameters, met)


def test_what_was_not_measured_gets_no_verdict() -> None:
    assert decide([row("ours")], [RATIO]) == []
    assert decide([row("theirs")], [RATIO, BOUND]) == []
    assert decide([row("ours"), row("theirs", grid="8x14x14")], [RATIO]) == []


@pytest.mark.parametrize("theirs", [None, 0])
def test_a_peak_is_judged_only_where_it_was_measured(theirs: int | None) -> None:
    claim = Claim("peak", "peak_bytes", "ours", "theirs", "1x14x14", 0.4)
    assert decide([row("ours", peak_bytes=30), row("theirs", peak_bytes=theirs)], [claim]) == []
    (verdict,) = decide([row("ours", peak_bytes=30), row("theirs", peak_bytes=100)], [claim])
    assert (verdict.value, verdict.met) == (0.3, True)


def test_claims_against_cross_attention_compare_like_with_like() -> None:
    models = contenders(768)
    for claim in CLAIMS:
        peer = models[claim.peer or claim.ours]
        if peer.kind == "cross-attention":
            assert (models[claim.ours].exchange.feed_forward == "both") is peer.peer.feed_forward
            assert models[claim.ours].exchange.feed_forward != "motion"


def test_each_of_them_is_judged_against_absorbed_projections_too() -> None:
    models, judged = contenders(768), {False: set[object](), True: set[object]()}
    for claim in CLAIMS:
        peer = models[claim.peer or claim.ours]
        if peer.kind == "cross-attention":
            judged[peer.peer.absorbed].add((claim.name, claim.ours, claim.grid, claim.target))
    assert judged[True] == judged[False] != set()


def test_no_two_figures_of_the_claims_have_one_name() -> None:
    names = [(claim.name, claim.ours, claim.peer) for claim in CLAIMS]
    assert len(set(names)) == len(names)


def test_every_claim_speaks_of_rows_of_the_table() -> None:
    names = set(contenders(768))
    for claim in CLAIMS:
        assert {claim.ours, claim.peer or claim.ours} <= names
    assert contenders(96)["attentive-probe"].peer.width == 96


def test_growth_is_judged_by_its_slope_and_by_both_forms_of_all_pairs() -> None:
    linear = Growth((784, RATIO_AT), (1.0, 4.0), (None, None), (None, 10.0), (None, 40.0))
    verdicts = decide_growth(linear)
    assert [(verdict.value, verdict.met) for verdict in verdicts[1:]] == [(0.4, False), (0.1, True)]
    assert verdicts[0].met
    square = Growth((784, RATIO_AT), (1.0, 16.0), (None, None), (None, 17.0), (None, 18.0))
    assert [verdict.met for verdict in decide_growth(square)] == [False, False, False]
    assert len(decide_growth(Growth((784, RATIO_AT), (1.0, 4.0), *((None, None),) * 3))) == 1


def test_verdicts_are_written_in_words_and_for_machines() -> None:
    verdicts = decide([row("ours", flops=60.0, parameters=7), row("theirs", flops=100.0)], [RATIO, BOUND])
    lines = verdict_table(verdicts).splitlines()
    assert lines[-2] == "| operations | ours | theirs | - | 0.5 | 0.6 | not met |"
    assert lines[-1].endswith("| 7 | met |")
    assert figures([], verdicts)[0] == {
        "name": "operations: ours",
        "value": 0.6,
        "unit": "1",
        "target": 0.5,
        "met": False,
        "peer": "theirs",
    }
