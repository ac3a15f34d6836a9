"""The statistics of a run as tables, made anew from its trials whenever they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from winit_cli.claims.check import stored_claims
from winit_cli.claims.claim import Claim
from winit_cli.claims.decide import COLUMNS as CLAIMS
from winit_cli.claims.decide import decide, needed_steps
from winit_cli.stats import (
    MARGIN,
    Rules,
    best_rates,
    comparisons,
    derived_targets,
    headline,
    learning,
    measured,
    ranks,
    split_label,
    summarize,
    with_learning,
)
from winit_cli.stats.comparisons import COLUMNS as COMPARISONS
from winit_cli.stats.learning import COLUMNS as LEARNING
from winit_cli.stats.ranks import COLUMNS as RANKS
from winit_cli.stats.rates import COLUMNS as BEST_LR
from winit_cli.stats.summary import COLUMNS as SUMMARY
from winit_cli.store.frames import RunFrames

FILES = {
    "summary": SUMMARY,
    "comparisons": COMPARISONS,
    "ranks": RANKS,
    "learning": LEARNING,
    "best_lr": BEST_LR,
    "claims": CLAIMS,
}


@dataclass(frozen=True)
class Tables:
    """``trials`` are those of the run with how fast they learn, ``rules`` how they were compared, ``targets`` holds the
    target of each variant that has one."""

    rules: Rules
    targets: dict[str, float]
    trials: DataFrame
    summary: DataFrame
    comparisons: DataFrame
    ranks: DataFrame
    learning: DataFrame
    best_lr: DataFrame
    claims: DataFrame

    def files(self) -> dict[str, DataFrame]:
        """The tables that are written as CSV files, with the columns of these."""
        return {name: getattr(self, name)[list(columns)] for name, columns in FILES.items()}


def tables_of(run: RunFrames) -> Tables:
    """All statistics of a run, from its trials, curves, and gradients at ``steps_of`` its claims."""
    config, task = run.config, run.data["task"]
    best = _best_rates(run)
    rules = rules_of(config, best)
    targets = _targets(run)
    trials = with_learning(run.trials, run.curves, targets, task)
    return Tables(
        rules,
        targets,
        trials,
        summarize(trials, run.labels),
        comparisons(trials, run.labels, rules),
        ranks(trials, run.labels, rules.selected),
        learning(trials, run.labels),
        best,
        decide(claims_of(run), _claimed(run, trials), rules.selected),
    )


def _claimed(run: RunFrames, trials: DataFrame) -> dict[str, DataFrame]:
    """The tables that claims may be about."""
    return {"trials": trials, "curves": run.curves, "gradients": run.gradients, "probe": run.probe}


def claims_of(run: RunFrames) -> tuple[Claim, ...]:
    """The claims that the config makes."""
    return stored_claims(run.config, run.labels)


def steps_of(claims: Iterable[Claim]) -> set[int]:
    """The steps at which gradients are asked for: the first, and those of claims."""
    return {0, *(step for _, step in needed_steps(claims))}


def rules_of(config: Mapping[str, Any], best: DataFrame) -> Rules:
    """How a config asks for results to be compared."""
    margins = config.get("tie_margin", {"final_test_accuracy": MARGIN})
    selected = dict(zip(best["label"], best["lr"], strict=True)) if config.get("select") else {}
    return Rules(config["baseline"], config.get("family", "baseline"), margins, selected)


def _best_rates(run: RunFrames) -> DataFrame:
    """By the selection's seeds and metric, or else by the run's own trials on what is held out."""
    select = run.config.get("select")
    if select:
        return best_rates(run.selection, run.labels, select["metric"], chosen_on="select.seeds")
    metric = "final_val_loss" if "final_val_loss" in measured(run.trials) else headline(run.data["task"])
    several = run.trials["lr"].nunique() > 1
    return best_rates(run.trials, run.labels if several else [], metric, chosen_on="seeds")


def _targets(run: RunFrames) -> dict[str, float]:
    target = run.config.get("target")
    if target is None:
        return derived_targets(run.trials, run.labels, run.config["baseline"], run.data["task"])
    return {split_label(label)[1]: float(target) for label in run.labels}
