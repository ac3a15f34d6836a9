"""Decide claims by exact one-sided tests over seeds, corrected for their number. n seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pandas import DataFrame

from winit_cli.claims.claim import Claim, Comparison, Portion, Share, Term, Within, terms_of
from winit_cli.claims.margins import Bools, Margins, holds, margins
from winit_cli.claims.values import Source
from winit_cli.stats import (
    SIGNIFICANT,
    Floats,
    holm,
    mean,
    mean_interval,
    share_p,
    sign_flip_p,
    sign_test_p,
    wilson_interval,
)

COLUMNS = ("claim", "metric", "n", "effect", "ci_low", "ci_high", "p", "verdict")


def decide(claims: Sequence[Claim], tables: Mapping[str, DataFrame], selected: Mapping[str, float]) -> DataFrame:
    """The table claims.csv, one row per claim.

    ``tables`` are ``trials`` (with ``steps_to_target`` and ``loss_area`` where claims ask for them), ``curves``,
    ``gradients`` and ``probe`` with the columns of the CSV files, where of gradients the rows of ``needed_steps`` will
    do. ``selected`` has the learning rate of each label that ``select:`` chose.

    Trials are paired by seed; ``n`` seeds finished for all labels of a claim. The margin by which the claim holds at a
    seed goes into the exact one-sided sign-flip test (Fisher 1935), for ratios as a logarithm. Where a margin is not a
    number the exact sign test takes its place: a diverged trial has the worst loss and accuracy there are, and a seed
    where a value is no number counts against the claim. A trial that went well and was not measured is left out. An
    interval holds where both its ends do. A share of seeds, and an outcome, which is expected of over half of the
    trials, go into the exact binomial test; a seed at which a statement may hold or not, as a value is no number, is
    evidence for no bound and against none.

    ``effect`` is the mean of what is claimed about (A - B for ``A < B``, the geometric mean of ratios) with its 95 %
    Student-t interval, after a sign test the median without one, of shares and outcomes the share with Wilson's
    interval.
    ``p`` is corrected by Holm's method (1979) over all claims. The verdict is supported where it lies below 0.05,
    refuted where that of the opposite does, corrected likewise, else undecided.
    """
    source = Source(tables, selected)
    found = [_found(claim, source) for claim in claims]
    supported, refuted = (holm([getattr(one, name) for one in found]) for name in ("p", "opposite"))
    rows = [
        (claim.text, claim.metric, one.n, one.effect, *one.interval, float(p), _verdict(p, against))
        for claim, one, p, against in zip(claims, found, supported, refuted, strict=True)
    ]
    return DataFrame(rows, columns=list(COLUMNS))


def needed_steps(claims: Iterable[Claim]) -> set[tuple[str, int]]:
    """The parameters and steps whose gradients claims are about."""
    terms = [term for claim in claims for term in claim.terms if term.metric == "grad_norm"]
    return {(str(term.keys["param"]), int(term.keys["step"])) for term in terms}


@dataclass(frozen=True)
class _Found:
    """One claim without its correction: ``p`` against what refutes it, ``opposite`` the other way round."""

    n: int
    effect: float
    interval: tuple[float, float]
    p: float
    opposite: float


def _found(claim: Claim, source: Source) -> _Found:
    statement = claim.statement
    if isinstance(statement, Share):
        statement = Portion(statement, 0.5, None)
    return _portion(statement, source) if isinstance(statement, Portion) else _paired(statement, source)


def _portion(portion: Portion[Term], source: Source) -> _Found:
    held, known = _held(portion.of, source)
    n, hits = len(held), int(held.sum())
    most = hits + int((~known).sum())  # if it held at every seed where that is not known
    above, below = (
        [share_p(hits, n, bound, "greater"), share_p(most, n, bound, "less")] if bound is not None else None
        for bound in (portion.low, portion.high)
    )
    p, opposite = zip(*filter(None, (above, below and below[::-1])), strict=True)
    effect = hits / n if n else math.nan
    return _Found(n, effect, wilson_interval(hits, n), max(p), min(1.0, len(opposite) * min(opposite)))


def _held(statement: Comparison[Term] | Within[Term] | Share[Term], source: Source) -> tuple[Bools, Bools]:
    """Whether a statement holds, seed by seed, and whether that is known."""
    if isinstance(statement, Share):
        held = (source.trials(statement.term)["outcome"] == statement.outcome).to_numpy(dtype=np.bool_)
        return held, np.ones_like(held)
    return holds(statement, _numbers(statement, source))


def _numbers(statement: Comparison[Term] | Within[Term], source: Source) -> list[Floats]:
    """Of each term, at the seeds that finished, and were measured, for all of them."""
    values = [source.values(term) for term in terms_of(statement)]
    seeds = sorted(set.intersection(*map(set, values)))
    return [np.array([one[seed] for seed in seeds], dtype=np.float64) for one in values]


def _paired(statement: Comparison[Term] | Within[Term], source: Source) -> _Found:
    found: Margins = margins(statement, _numbers(statement, source))
    p, opposite = zip(*map(_p, found.tests), strict=True)
    effect, low, high = _effect(found)
    # an interval is refuted at either end, which is two chances
    return _Found(len(found.shown), effect, (low, high), max(p), min(1.0, len(opposite) * min(opposite)))


def _p(margin: Floats) -> tuple[float, float]:
    """P of margins that are not above 0, and of margins that are not below."""
    if np.isfinite(margin).all():
        return sign_flip_p(margin, "greater"), sign_flip_p(margin, "less")
    wins, losses = int((margin > 0).sum()), int((margin < 0).sum())
    return sign_test_p(wins, losses, "greater"), sign_test_p(wins, losses, "less")


def _effect(found: Margins) -> tuple[float, float, float]:
    """The mean with its interval, or the median alone where the signs were tested; NaN where there is none."""
    if all(bool(np.isfinite(test).all()) for test in found.tests):
        numbers = (mean(found.shown), *mean_interval(found.shown))
    else:
        numbers = (float(np.median(found.shown)), math.nan, math.nan)
    with np.errstate(over="ignore"):
        shown = [float(np.exp(number)) if found.in_logs else number for number in numbers]
    effect, low, high = (number if math.isfinite(number) else math.nan for number in shown)
    return effect, low, high


def _verdict(p: float, opposite: float) -> str:
    if p < SIGNIFICANT:
        return "supported"
    return "refuted" if opposite < SIGNIFICANT else "undecided"
