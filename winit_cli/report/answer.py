"""The answer of a run in a few sentences that claim no more than the numbers do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pandas import DataFrame

from winit_cli.report.numbers import Row, records, with_interval
from winit_cli.stats import split_label

NAMED = 6


def answer(ranked: DataFrame, *, task: str) -> list[str]:
    """One paragraph per variant: the best row, what its interval overlaps, what got stuck or diverged."""
    rows = records(ranked)
    variants = dict.fromkeys(split_label(row["label"])[1] for row in rows)
    several = len(set(ranked["lr"])) > 1
    return [
        " ".join(_sentences([row for row in rows if split_label(row["label"])[1] == variant], variant, task, several))
        for variant in variants
    ]


def _sentences(rows: list[Row], variant: str, task: str, several: bool) -> Iterator[str]:
    kind = "accuracy" if task == "classification" else "loss"
    best = rows[0]
    place = f"At {variant}: " if variant else ""
    if math.isnan(best[kind]):
        yield f"{place}No trial has finished with a result, so there is nothing to compare."
        yield from _failures(rows, several)
        return
    level = [row for row in rows if row["rank"] == best["rank"]]
    score = with_interval(best[kind], best[f"{kind}_low"], best[f"{kind}_high"])
    name = _names(level, several)
    verb = "share the first place" if len(level) > 1 else "ranks first"
    yield f"{place}{name} {verb} with a mean test {kind} of {score}{_over(best)}."
    if best["n"] == best["stuck"] + best["diverged"]:
        yield "Yet all its trials are stuck or diverged: it does no better than always giving the same answer."
    yield from _overlaps(rows[len(level) :], best, kind, several)
    yield from _failures(rows, several)


def _over(best: Row) -> str:
    survivors = best["n"] - best["diverged"]
    if survivors < 2:
        return ", from a single seed"
    lost = f", {best['diverged']} of {best['n']} diverged and are left out of it" if best["diverged"] else ""
    return f" (95 % interval over {survivors} seeds{lost})"


def _overlaps(others: list[Row], best: Row, kind: str, several: bool) -> Iterator[str]:
    if math.isnan(best[f"{kind}_low"]):
        yield "One seed gives no interval, so chance cannot be ruled out: run more seeds before choosing."
        return
    ends = best[f"{kind}_low"], best[f"{kind}_high"]
    alive = [row for row in others if row["stuck"] + row["diverged"] < row["n"] or best["stuck"]]
    near = [row for row in alive if row[f"{kind}_low"] <= ends[1] and row[f"{kind}_high"] >= ends[0]]
    if near:
        subject = "intervals" if len(near) > 1 else "interval"
        verb = "overlap" if len(near) > 1 else "overlaps"
        yield f"The {subject} of {_names(near, several)} {verb} with it: these seeds do not separate them clearly."
    elif others:
        yield "No other interval overlaps with it."


def _failures(rows: list[Row], several: bool) -> Iterator[str]:
    for outcome, verb in (("diverged", "Diverged"), ("stuck", "Stuck")):
        hit = [row for row in rows if row[outcome]]
        if hit:
            counts = _list(f"{_name(row, several)} in {row[outcome]} of {row['n']}" for row in hit)
            yield f"{verb}: {counts}."


def _name(row: Row, several: bool) -> str:
    label = split_label(row["label"])[0]
    return f"{label} (lr {row['lr']:g})" if several else label


def _names(rows: list[Row], several: bool) -> str:
    return _list(_name(row, several) for row in rows)


def _list(names: Iterable[str]) -> str:
    texts = list(names)
    if len(texts) > NAMED:
        texts = [*texts[: NAMED - 1], f"{len(texts) - NAMED + 1} more"]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
