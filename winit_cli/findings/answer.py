"""The answer of a run in a few sentences that claim no more than the numbers do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pandas import DataFrame

from winit_cli.findings.method import Reach
from winit_cli.findings.numbers import Row, counted, number, records, with_interval

NAMED = 6


def answer(standings: DataFrame, reach: Reach, *, task: str) -> list[str]:
    """One paragraph per variant: the best row, whom it beats beyond chance, every label against the baseline, and what
    got stuck or diverged."""
    rows = records(standings)
    several = len({row["lr"] for row in rows}) > 1
    variants = dict.fromkeys(row["variant"] for row in rows)
    return [
        " ".join(_sentences([row for row in rows if row["variant"] == variant], variant, task, several, reach))
        for variant in variants
    ]


def _sentences(rows: list[Row], variant: str, task: str, several: bool, reach: Reach) -> Iterator[str]:
    kind = "accuracy" if task == "classification" else "loss"
    best = rows[0]
    place = f"At {variant}: " if variant else ""
    if math.isnan(best[kind]):
        yield f"{place}No trial has finished with a result, so there is nothing to compare."
        yield from _failures(rows, several)
        return
    level = [row for row in rows if row["rank"] == best["rank"]]
    score = with_interval(best[kind], best[f"{kind}_low"], best[f"{kind}_high"])
    verb = "share the first place with" if len(level) > 1 else "reaches"
    lead = f"{place}{_names(level, several)} {verb} a mean test {kind} of {score}{_over(best)}"
    yield f"{lead}{_beats(rows, best, several) if reach.is_enough else ''}."
    if best["n"] == best["stuck"] + best["diverged"]:
        yield "Yet all its trials are stuck or diverged: it does no better than always giving the same answer."
    yield from _verdicts(rows, reach, several)
    yield from _failures(rows, several)


def _over(best: Row) -> str:
    survivors = best["n"] - best["diverged"]
    if survivors < 2:
        return ", from a single seed"
    lost = f", {best['diverged']} of {best['n']} diverged and are left out of it" if best["diverged"] else ""
    return f" (95 % interval over {survivors} seeds{lost})"


def _beats(rows: list[Row], best: Row, several: bool) -> str:
    """``, better than 6 of 8 others; orthogonal and lecun_normal cannot be told apart from it``."""
    others = [row for row in rows if row is not best]
    if not others:
        return ""
    beaten = set(best["beats"]) - _tied(rows, best)
    if len(beaten) == len(others):
        return ", better than the other" if len(others) == 1 else f", better than all {len(others)} others"
    count = f", better than {len(beaten)} of {len(others)} others" if beaten else ""
    near = [row for row in others if (row["label"], row["lr"]) not in {*best["beats"], *_tied(rows, best)}]
    return f"{count}; these seeds do not tell it apart from {_names(near, several)}" if near else count


def _tied(rows: list[Row], best: Row) -> set[tuple[str, float]]:
    """Rows so close to the best that the verdict is a tie, though their order may be beyond chance."""
    if best["verdict"] == "baseline":
        tied = [row for row in rows if row["verdict"] == "tied"]
    else:
        tied = [row for row in rows if row["verdict"] == "baseline"] if best["verdict"] == "tied" else []
    return {(row["label"], row["lr"]) for row in tied}


def _verdicts(rows: list[Row], reach: Reach, several: bool) -> Iterator[str]:
    """What is decided against the baseline."""
    judged = [row for row in rows if row["verdict"] in ("better", "worse", "tied", "undecided")]
    if not judged:
        return
    if not reach.is_enough and all(row["verdict"] == "undecided" for row in judged):
        yield (
            f"Against {reach.baseline} no better or worse can be told with {counted(reach.seeds, 'seed')}: "
            f"at least {reach.needed} are needed for {counted(reach.family, 'comparison')}."
        )
        return
    said = []
    for verdict in ("better", "worse", "tied", "undecided"):
        mine = [row for row in judged if row["verdict"] == verdict]
        if mine:
            said.append(f"{_names(mine, several)} {'are' if len(mine) > 1 else 'is'} {verdict}{_needed(mine)}")
    yield f"Against {reach.baseline}: {'; '.join(said)}."


def _needed(rows: list[Row]) -> str:
    """How many seeds would decide the first of those that are undecided to be decided."""
    needed = [row["seeds_needed"] for row in rows if row["verdict"] == "undecided" and row["seeds_needed"] > 0]
    if not needed:
        return ""
    fewest = min(needed)
    if math.isinf(fewest):
        return " (even 1,000 seeds would hardly decide)"
    return f" (about {number(fewest)} seeds would probably decide{' the first of them' if len(needed) > 1 else ''})"


def _failures(rows: list[Row], several: bool) -> Iterator[str]:
    for outcome, verb in (("diverged", "Diverged"), ("stuck", "Stuck, no better than a constant answer")):
        hit = [row for row in rows if row[outcome]]
        if hit:
            counts = _list(f"{_name(row, several)} in {row[outcome]} of {row['n']}" for row in hit)
            yield f"{verb}: {counts}."


def _name(row: Row, several: bool) -> str:
    label = str(row["label"]).removesuffix(f"@{row['variant']}")
    return f"{label} (lr {row['lr']:g})" if several else label


def _names(rows: list[Row], several: bool) -> str:
    return _list(_name(row, several) for row in rows)


def _list(names: Iterable[str]) -> str:
    texts = list(names)
    if len(texts) > NAMED:
        texts = [*texts[: NAMED - 1], f"{len(texts) - NAMED + 1} more"]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
