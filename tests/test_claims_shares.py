"""Claims about a share of seeds, against scipy and by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pandas import DataFrame
from scipy import stats as scipy_stats
from test_claims_decide import NAN, TEN, claims, decided, on_curves, trials

from winit_cli.claims.claim import Portion
from winit_cli.claims.decide import decide
from winit_cli.claims.reach import seeds_for_share, share_can_be_supported


@pytest.mark.parametrize("hits", [0, 4, 12, 19, 20])
def test_a_share_of_seeds_is_scipys_binomial_test(hits: int) -> None:
    values = [0.5] * hits + [1.5] * (20 - hits)
    at_least, at_most = (decided(f"share(a < 1) {bound}", a=values) for bound in ("> 0.3", "< 0.3"))
    for row, side in ((at_least, "greater"), (at_most, "less")):
        share = scipy_stats.binomtest(hits, 20, 0.3, alternative=side)
        assert (row["n"], row["effect"], row["p"]) == (20, hits / 20, pytest.approx(share.pvalue))
    wilson = scipy_stats.binomtest(hits, 20).proportion_ci(method="wilson")
    assert (at_least["ci_low"], at_least["ci_high"]) == pytest.approx((wilson.low, wilson.high), abs=1e-12)
    verdicts = {0: ("refuted", "supported"), 4: ("undecided",) * 2, 12: ("supported", "refuted")}
    assert (at_least["verdict"], at_most["verdict"]) == verdicts.get(hits, ("supported", "refuted"))
    both = decided("share(a < 1) in [0.3, 0.8]", a=values)
    assert both["p"] == max(at_least["p"], scipy_stats.binomtest(hits, 20, 0.8, alternative="less").pvalue)
    assert both["verdict"] == {0: "refuted", 12: "supported", 20: "refuted"}.get(hits, "undecided")


def test_what_a_share_counts() -> None:
    assert decided("share(a < b) > 0.5", a=[*TEN[:8], 3, 3], b=[2.0] * 10)["effect"] == 0.8
    assert decided("share(a / b in [0.61, 0.89]) > 0.5", a=TEN, b=[2.0] * 10)["effect"] == 0.5
    assert decided("share(a > 2) > 0.5", a=[NAN, NAN, *TEN[2:]])["effect"] == 0.2, "a diverged trial has the worst loss"
    outcomes = trials("final_train_loss", {"a": TEN}).assign(outcome=["stuck"] * 9 + ["learned"])
    (row,) = decide(claims("share(a stuck) < 0.99"), {"trials": outcomes}, {}).to_dict("records")
    assert (row["effect"], row["p"]) == (0.9, pytest.approx(1 - 0.99**10))


def probed(expect: str, values: list[float | None]) -> dict[str, Any]:
    """The row of one claim about gains of trials that all went well; ``None`` is not measured."""
    rows = [
        {"label": "a", "seed": seed, "layer": "l", "metric": "layer_gain", "value": value}
        for seed, value in enumerate(values)
        if value is not None
    ]
    table = DataFrame(rows, columns=["label", "seed", "layer", "metric", "value"])
    tables = {"trials": trials("final_train_loss", {"a": [1.0] * len(values)}), "probe": table}
    (row,) = decide(claims(expect, metric="layer_gain[layer=l]"), tables, {}).to_dict("records")
    return row


@pytest.mark.parametrize("expect", ["a < 5", "a > 5", "share(a > 5) < 0.5", "share(a > 5) > 0.5", "a in [1, 5]"])
def test_what_was_not_measured_decides_nothing(expect: str) -> None:
    row = probed(expect, [None] * 12)
    assert (row["n"], row["p"], row["verdict"]) == (0, 1.0, "undecided") and math.isnan(row["effect"])
    some, all_there = probed(expect, [1.0] * 4 + [None] * 8), probed(expect, [1.0] * 4)
    assert some == all_there and some["n"] == 4


def test_a_share_of_values_that_are_no_numbers_supports_and_refutes_no_bound() -> None:
    for expect in ("share(a > 5) < 0.5", "share(a > 5) > 0.5", "share(a < 5) in [0.2, 0.8]"):
        assert probed(expect, [NAN] * 12)["verdict"] == "undecided"
    row = probed("share(a < 5) < 0.6", [NAN] * 2 + [1.0] * 2 + [9.0] * 16)
    assert (row["n"], row["effect"]) == (20, 0.1)
    assert row["p"] == pytest.approx(scipy_stats.binomtest(4, 20, 0.6, alternative="less").pvalue)
    gone = on_curves("share(a > 5) < 0.5", a=[None] * 12, b=[1.0])
    assert (gone["n"], gone["verdict"]) == (12, "undecided"), "trials that diverged before it was measured"


def test_an_interval_in_a_share_has_its_ends() -> None:
    assert probed("share(a in [0, 1e-9]) > 0.5", [0.0] * 12)["verdict"] == "supported"
    assert probed("share(a in [0, 2]) > 0.5", [2.0] * 9 + [2.5] * 3)["effect"] == 0.75
    assert on_curves("share(a / b in [0.5, 3]) > 0.5", a=[6.0] * 6, b=[2.0] * 6)["effect"] == 1.0
    assert probed("share(a < 2) > 0.5", [2.0] * 12)["effect"] == 0.0, "ties of comparisons do not hold"


@pytest.mark.parametrize("bounds", ["> 0.9", "< 0.2", "> 0.3", "in [0.4, 0.6]", "in [0.9, 1]", "in [0.2, 0.7]"])
def test_seeds_that_a_share_takes(bounds: str) -> None:
    """With so many some share is supported, with fewer none is."""
    asked = claims(f"share(a < 1) {bounds}", metric="final_train_loss")
    (statement,) = (one.statement for one in asked)
    assert isinstance(statement, Portion)
    needed = seeds_for_share(statement, 1)
    for seeds, can in ((needed, True), (needed - 1, False)):
        tables = [trials("final_train_loss", {"a": [0.5] * hits + [2.0] * (seeds - hits)}) for hits in range(seeds + 1)]
        verdicts = {decide(asked, {"trials": table}, {})["verdict"][0] for table in tables}
        assert ("supported" in verdicts) is can
    assert seeds_for_share(statement, 20) > needed
    for seeds in range(1, needed + 60):
        smallest = min(
            max(
                scipy_stats.binom.sf(hits - 1, seeds, statement.low) if statement.low is not None else 0,
                scipy_stats.binom.cdf(hits, seeds, statement.high) if statement.high is not None else 0,
            )
            for hits in range(seeds + 1)
        )
        assert share_can_be_supported(statement, seeds, 1) is bool(smallest < 0.05)
        assert seeds < needed or smallest < 0.05
