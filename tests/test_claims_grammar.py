"""The text of claims: every form, labels of all kinds, and what is said of a wrong one, with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from winit_cli.claims.check import Known, check, stored_claims
from winit_cli.claims.claim import Claim, Comparison, Portion, Share, Term, Value, Within
from winit_cli.claims.entry import Entry, Given
from winit_cli.claims.grammar import parse
from winit_cli.claims.metrics import METRICS, OUTCOMES
from winit_cli.claims.scan import ClaimError

LABELS = (
    *("kaiming_normal", "xavier_normal", "zeros", "xavier", "xavier gain relu", "normal", "normal std=0.01"),
    *("xavier-tanh", "0.5", "2x gain", "deep@depth=2", "deep@depth=22", "deep@depth=22,width=64"),
)
ONE = Known(LABELS, (0.05,))


def claim(expect: str, about: Known = ONE, **entry: Any) -> Claim:
    """The one claim that this entry makes."""
    (found,), faults = check([Given(0, Entry(expect=expect, **entry))], about)
    assert faults == []
    return found


def wrong(expect: str, about: Known = ONE, **entry: Any) -> str:
    """The one fault of this entry, without its path."""
    claims, faults = check([Given(0, Entry(expect=expect, **entry))], about)
    assert claims == () and len(faults) == 1
    return faults[0][1]


def term(label: str, metric: str = "loss_area", lr: float | None = 0.05, **keys: Any) -> Term:
    return Term(label, metric, keys, lr, 0)


def value(*terms: Term, operator: Any = "") -> Value[Term]:
    return Value(terms, operator)


def test_a_comparison_of_two_labels() -> None:
    found = claim("kaiming_normal < xavier_normal", metric="final_train_loss")
    left, right = (value(term(label, "final_train_loss")) for label in ("kaiming_normal", "xavier_normal"))
    assert found.statement == Comparison(left, "<", right)
    assert (found.text, found.metric) == ("kaiming_normal < xavier_normal", "final_train_loss")


def test_a_comparison_with_a_number_on_either_side() -> None:
    accuracy = value(term("zeros", "final_test_accuracy"))
    assert claim("zeros final_test_accuracy < 0.2").statement == Comparison(accuracy, "<", 0.2)
    assert claim(" .2>zeros final_test_accuracy ").statement == Comparison(0.2, ">", accuracy)
    for text, number in {"1e-3": 1e-3, "-2.": -2.0, "+3": 3.0, "-.5E1": -5.0}.items():
        assert claim(f"zeros loss_area > {text}").statement == Comparison(value(term("zeros")), ">", number)


def test_a_ratio_in_an_interval() -> None:
    text = "kaiming_normal grad_norm[param=layers.0.weight,step=0] / xavier_normal in [700, 2900]"
    terms = [term(label, "grad_norm", param="layers.0.weight", step=0) for label in ("kaiming_normal", "xavier_normal")]
    found = claim(text)
    assert found.statement == Within(value(*terms, operator="/"), 700.0, 2900.0)
    assert found.metric == "grad_norm[param=layers.0.weight,step=0]"
    for other in ("kaiming_normal / xavier_normal grad_norm [ param = layers.0.weight ] in[7e2 ,2900]",):
        assert claim(other).statement == found.statement
    for ellipsis in ("…", " …", "...", " ... "):
        assert claim(text.replace(" in", f"{ellipsis} in")).statement == found.statement


def test_differences() -> None:
    found = claim("xavier-tanh - zeros > kaiming_normal - normal", metric="loss_area").statement
    assert found == Comparison(
        value(term("xavier-tanh"), term("zeros"), operator="-"),
        ">",
        value(*map(term, ("kaiming_normal", "normal")), operator="-"),
    )


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("word", ["", "is "])
def test_an_outcome(outcome: str, word: str) -> None:
    found = claim(f"xavier gain relu {word}{outcome}")
    assert found.statement == Share(term("xavier gain relu", "outcome"), outcome)
    assert found.metric == "outcome"


def test_a_share_of_seeds() -> None:
    less = Comparison(value(term("zeros")), "<", 2.0)
    assert claim("share(zeros loss_area < 2) > 0.9").statement == Portion(less, 0.9, None)
    assert claim("share (zeros loss_area<2) < .5").statement == Portion(less, None, 0.5)
    assert claim("share(zeros < 2) in [0, 0.5]", metric="loss_area").statement == Portion(less, None, 0.5)
    within = Within(value(term("zeros"), term("normal"), operator="/"), 1.0, 2.0)
    assert claim("share(zeros loss_area / normal in [1, 2]) in [0.1, 1]").statement == Portion(within, 0.1, None)
    assert claim("share(zeros loss_area / normal in [1, 2]) in [.1, .2]").statement == Portion(within, 0.1, 0.2)
    stuck = Portion(Share(term("zeros", "outcome"), "stuck"), 0.9, None)
    assert claim("share(zeros is stuck) > 0.9").statement == claim("share( zeros stuck )>0.9").statement == stuck
    both = claim("share(zeros < normal) > 0.9", metric="loss_area").statement
    assert both == Portion(Comparison(value(term("zeros")), "<", value(term("normal"))), 0.9, None)
    assert claim("share < 2", Known(["share"], (0.05,)), metric="loss_area").terms[0].label == "share"


@pytest.mark.parametrize("label", [*(label for label in LABELS if label != "0.5"), *(f"'{label}'" for label in LABELS)])
def test_every_label_is_found(label: str) -> None:
    for text in (f"{label} loss_area<1", f"{label}/orthogonal loss_area < 2", f"2<{label} loss_area", f"{label}… < 1"):
        found = claim(text, Known([*LABELS, "orthogonal"], (0.05,)), metric="loss_area")
        assert found.terms[0].label == label.strip("'")


def test_a_number_is_a_number_even_if_a_label_is_written_so() -> None:
    assert claim("zeros loss_area < 0.5").statement == Comparison(value(term("zeros")), "<", 0.5)
    assert claim("zeros loss_area < '0.5'").terms[1].label == "0.5"


def test_the_longest_label_is_taken() -> None:
    terms = claim("xavier < xavier gain relu", metric="loss_area").terms
    assert [one.label for one in terms] == ["xavier", "xavier gain relu"]
    assert claim("normal std=0.01 loss_area < 1").terms[0].label == "normal std=0.01"
    assert claim("deep@depth=22,width=64 loss_area < 1").terms[0].label == "deep@depth=22,width=64"


def test_a_term_takes_the_nearest_metric_with_its_keys() -> None:
    found = claim("zeros train_loss[step=5] - normal < xavier train_loss[step=9] - kaiming_normal").terms
    assert [one.keys["step"] for one in found] == [5, 5, 9, 9]
    found = claim("zeros / normal < xavier loss_area", metric="final_train_loss").terms
    assert {one.metric for one in found} == {"loss_area"}
    found = claim("zeros grad_norm[param=head.bias] > zeros [step=100]").terms
    assert [dict(one.keys) for one in found] == [{"param": "head.bias", "step": 0}, {"param": "head.bias", "step": 100}]
    assert claim("zeros > normal", metric="train_loss[step=3]").metric == "train_loss[step=3]"


def test_the_learning_rate_of_a_term() -> None:
    two = Known(LABELS, (0.05, 0.1))
    assert [one.lr for one in claim("zeros loss_area[lr=1e-1] < normal", two).terms] == [0.1, 0.1]
    assert [one.lr for one in claim("zeros[lr=0.1] < normal", two, metric="loss_area", lr=0.05).terms] == [0.1, 0.05]
    assert claim("zeros stuck[lr=0.1]", two).statement == Share(term("zeros", "outcome", 0.1), "stuck")
    assert claim("zeros < 1", Known(LABELS, (0.05, 0.1), selects=True), metric="loss_area").terms[0].lr is None
    assert claim("zeros < 1", two, metric="loss_area", lr=0.1).metric == "loss_area[lr=0.1]"
    both = claim("zeros loss_area[lr=0.05] > zeros loss_area[lr=0.1]", two)
    assert both.metric == "loss_area[lr=0.05]; loss_area[lr=0.1]"
    assert wrong("zeros < 1", two, metric="loss_area").endswith(
        "at which learning rate? give the claim lr:, one of 0.05, 0.1"
    )
    assert "nothing is trained at the learning rate 0.2; train.lr has 0.05, 0.1" in wrong("zeros stuck[lr=0.2]", two)
    assert "learning rate 0.2" in wrong("zeros stuck", two, lr=0.2)


OF_SHARES = (
    "write share(STATEMENT) > 0.9, where the statement is what holds at a seed, as in share(kaiming_normal stuck)"
)
WRONG = {
    "": "at character 1: expected a label or a number, got the end; known: kaiming_normal, xavier_normal",
    "< zeros": "at character 1: expected a label or a number, got '< zeros'; known: kaiming_normal",
    "kaimin_normal < zeros": "at character 1: no label 'kaimin_normal'; did you mean 'kaiming_normal'? (known:",
    "zeros loss_area < xavir": "at character 19: no label 'xavir'; did you mean 'xavier'?",
    "xavier gain rlu loss_area < 2": "at character 8: no metric 'gain'; did you mean the label 'xavier gain relu'?",
    "normal std=0.02 loss_area < 1": "at character 8: no metric 'std'; did you mean the label 'normal std=0.01'?",
    "deep loss_area < 2": "at character 1: 'deep' alone is no label; write one of deep@depth=2, deep@depth",
    "deep@depth=23 loss_area < 2": "at character 1: no label 'deep@depth=23'; did you mean 'deep@depth=2'?",
    "'zero' loss_area < 2": "at character 1: no label 'zero'; did you mean 'zeros'?",
    "'zeros loss_area < 2": "at character 1: the quote does not end; put another ' behind the label",
    "zeros final_test_acuracy < 2": "at character 7: no metric 'final_test_acuracy'; did you mean 'final_test_acc",
    "zeros < 2": "at character 1: 'zeros' has no metric; write one behind it or give the claim metric: final_",
    "zeros < normal": "at character 1: 'zeros' has no metric",
    "zeros loss_area": "at character 16: expected < or >, or in [low, high], got the end",
    "zeros loss_area 3": "at character 17: expected < or >, or in [low, high], got '3'",
    "zeros loss_area <": "at character 18: expected a label or a number, got the end",
    "zeros loss_area <= 2": "claims have no relation <=; write <; a seed at which both sides are equal is evidence for",
    "zeros loss_area ≥ 2": "at character 17: claims have no relation ≥; write >;",
    "zeros loss_area == 2": "claims have no relation ==; write in [low, high] with the interval that you take",
    "zeros loss_area != 2": "claims have no relation !=; write < or >",
    "zeros loss_area < 2 < 3": "at character 21: expected the end of the claim, got '< 3'; make further statements",
    "zeros stuck and normal stuck": "at character 13: expected the end of the claim, got 'and normal stuck'",
    "1 < 2": "at character 5: a claim needs a label; both sides are numbers",
    "zeros loss_area < 20%": "at character 19: expected a label or a number, got '20%'",
    "zeros loss_area < 1e999": "at character 19: 1e999 is too large a number",
    "zeros / 2 < 3": "at character 9: expected a label after /, got '2 < 3'; numbers stand alone on their side",
    "zeros is small": "at character 10: expected an outcome after is, got 'small'; known: stuck, learned, diverged",
    "zeros loss_area in 3": "at character 20: expected an interval like [0.1, 0.2], got '3'",
    "zeros loss_area in [3": "at character 22: expected a comma and the upper end, like [0.1, 0.2], got the end",
    "zeros loss_area in [x, 2]": "at character 21: expected a number, got 'x, 2]'",
    "zeros loss_area in [1, 2)": "at character 25: expected ] at the end of the interval, got ')'",
    "zeros loss_area in [3, 2]": "at character 21: an interval begins with its lower end, got [3, 2]",
    "zeros loss_area / normal < zeros - normal": "at character 28: a ratio cannot be compared with a difference",
    "zeros grad_norm[stp=4,param=x] < 2": "at character 17: grad_norm has no key 'stp'; did you mean 'step'?",
    "zeros grad_norm[step=4] < 2": "at character 7: grad_norm needs param, e.g. grad_norm[param=layers.0.weight,step",
    "zeros train_loss < 2": "at character 7: train_loss needs step, e.g. train_loss[step=0]",
    "zeros train_loss[step=1.5] < 2": "at character 18: expected a whole number of updates, e.g. step=100, got 1.5",
    "zeros train_loss[step] < 2": "at character 22: expected = and a value after step, got '] < 2'",
    "zeros train_loss[step=] < 2": "at character 23: expected a value after step=, got '] < 2'",
    "zeros train_loss[step=1,step=2] < 2": "at character 25: step is given twice",
    "zeros train_loss[step=1 < 2": "at character 25: expected a comma or ] after the value, got '< 2'",
    "zeros loss_area[lr=0] < 2": "at character 17: expected a learning rate, e.g. lr=0.05, got 0",
    "zeros loss_area < zeros loss_area": "compares a value with itself; compare two that may differ",
    "zeros loss_area / zeros < 2": "compares a value with itself",
    "zeros stuck[step=3]": "at character 13: an outcome has no key 'step'; known: lr",
    "share(zeros stuck)": "at character 19: expected < or >, or in [low, high], got the end",
    "share(zeros stuck > 0.5": "at character 19: expected ) after what is said of each seed, got '> 0.5'",
    "share(zeros stuck) > 90": "at character 22: a share lies between 0 and 1, got 90",
    "share(zeros stuck) in [0.5, 2]": "at character 29: a share lies between 0 and 1, got 2",
    "share(zeros stuck) in [0.5, 0.2]": "at character 24: an interval begins with its lower end, got [0.5, 0.2]",
    "share(zeros stuck) in [0, 1]": "at character 23: every share lies in [0, 1]; narrow the interval",
    "share(zeros stuck) > zeros": "at character 22: expected a number, got 'zeros'",
    "share(share(zeros stuck) > 0.5) > 0.5": "at character 7: a share is of seeds at which something holds, not of",
    "share(zeros loss_area < zeros loss_area) > 0.5": "compares a value with itself",
    "share(zeros loss_area >= 2) > 0.5": "claims have no relation >=; write >; where both sides are equal at a seed, "
    "it does not hold there",
    "share(zeros stuck) >= 0.5": "write >; a share that is equal to the bound is evidence for neither",
    "share(zeros stuck) > 1": "at character 22: no share is above 1; write another bound",
    "share(zeros stuck) < 0": "at character 22: no share is below 0; write another bound",
    "0.9 < share(zeros stuck)": f"at character 1: {OF_SHARES}",
    "Share(zeros stuck) > 0.9": f"at character 1: {OF_SHARES}",
    "share zeros stuck > 0.9": f"at character 1: {OF_SHARES}",
    "share(zeros) > 0.4": f"at character 12: {OF_SHARES}",
    "share(zeros loss_area) > 0.4": f"at character 22: {OF_SHARES}",
    "zeros width_slope < 1": "width_slope needs layer, e.g. width_slope[layer=layers.1,step=5]",
    "zeros" + " " * 1000: "at character 1001: expected a statement of at most 1,000 characters",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=[text.strip() or "nothing" for text in WRONG])
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    assert message in wrong(text)


def test_a_wrong_metric_of_the_claim() -> None:
    assert wrong("zeros < 2", metric="final_los").startswith("at character 1: no metric 'final_los'; did you mean")
    assert wrong("zeros < 2", metric="train_loss[stp=1]").startswith("at character 12: train_loss has no key 'stp'")
    assert "expected the end of the metric, got 'x'" in wrong("zeros < 2", metric="loss_area x")
    assert "expected a metric, e.g. final_train_loss, got the end" in wrong("zeros < 2", metric="")
    paths = {path for path, _ in check([Given(4, Entry(expect="zeros < 2", metric="x"))], ONE)[1]}
    assert paths == {("claims", 4, "metric")}


def test_all_wrong_claims_are_told_each_at_its_path() -> None:
    entries = [
        Given(0, Entry(expect="x stuck"), is_bare=True),
        Given(1, Entry(expect="zeros stuck")),
        Given(2, Entry(expect="y")),
    ]
    claims, faults = check([*entries, Given(3, Entry(expect="zeros is stuck", lr=0.05))], ONE)
    assert [path for path, _ in faults] == [("claims", 0), ("claims", 2, "expect"), ("claims", 3, "expect")]
    assert faults[2][1] == "says the same as claims.1; remove one of them"
    assert len(claims) == 2


def test_many_labels_are_not_all_listed() -> None:
    message = wrong("lable77 stuck", Known([f"label{i}" for i in range(100)], (0.1,)))
    assert "did you mean 'label77'?" in message and "… 88 more" in message and "label50" not in message


def test_validation_metrics_need_a_validation_part() -> None:
    needs = "final_val_loss needs a validation part; set data.val_size"
    assert needs in wrong("zeros final_val_loss < 2", Known(LABELS, (0.1,), has_val=False))
    for has_val in (True, None):
        assert claim("zeros final_val_loss < 2", Known(LABELS, (0.1,), has_val=has_val)).metric == "final_val_loss"


def test_the_claims_of_a_stored_run() -> None:
    config = {
        "train": {"lr": [0.05]},
        "claims": [{"expect": "zeros stuck"}, {"expect": "zeros < 2", "metric": "loss_area"}],
    }
    assert [one.metric for one in stored_claims(config, LABELS)] == ["outcome", "loss_area"]
    assert stored_claims({"train": {"lr": [0.05]}}, LABELS) == ()


PIECES = [
    *LABELS,
    "share(",
    ")",
    *METRICS,
    *OUTCOMES,
    "in",
    "is",
    "<",
    ">",
    "<=",
    "/",
    "-",
    "[",
    "]",
    ",",
    "=",
    "…",
    "...",
    "'",
    "step",
    "step=5",
    "param=x",
    "lr=0.05",
    "lr",
    "0.2",
    "-1e-3",
    "1e999",
    "%",
    " ",
    "  ",
    "\n",
    "\t",
    "é",
    "💥",
    "\x00",
    "\u2028",
    "٣",
    "²",
]


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
        st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    )
)
@example("zeros - " * 100)
@example("[" * 900)
@example("zeros loss_area < ٣")
@example("zeros train_loss[step=²] < 1")
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        parse(text, LABELS)
    except ClaimError as error:
        assert str(error).startswith("at character ")
    for about in (ONE, Known((), ()), Known(LABELS, (0.1, 0.2), has_val=False)):
        for metric in (None, "loss_area", text):
            claims, faults = check([Given(0, Entry(expect=text, metric=metric))], about)
            assert bool(claims) != bool(faults)
