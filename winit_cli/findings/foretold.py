"""Whether the verdicts at initialization foretold how training went."""

from __future__ import annotations

from pandas import DataFrame

from winit_cli.findings.numbers import Row, records

COLUMNS = ("label", "verdict", "layer", "metric", "value", "advice", "trained", "foretold")
FAILED, BEHIND, TRAINED = "failed", "behind", "trained"


def foretold(verdicts: DataFrame, standings: DataFrame) -> DataFrame:
    """One row per probed label, with how it ``trained`` at its best learning rate: ``failed`` where at least half of
    its trials got stuck or diverged, ``behind`` where a label called healthy is better beyond chance (the tests of
    ranks) at its own best rate, else ``trained``. A healthy label is foretold if it did not fail, another one if it did
    not simply train; ``None`` without a trial."""
    named = {row["label"]: row for row in records(verdicts)}
    best: dict[str, Row] = {}
    for row in records(standings):  # the best first
        best.setdefault(row["label"], row)
    healthy = [best[label] for label, row in named.items() if row["verdict"] == "healthy" and label in best]
    beaten = {place for row in healthy for place in row["beats"]}
    rows = []
    for label, verdict in named.items():
        mine = best.get(label)
        result = _result(mine, (label, mine["lr"]) in beaten) if mine and mine["n"] else None
        expected = (TRAINED, BEHIND) if verdict["verdict"] == "healthy" else (FAILED, BEHIND)
        rows.append({**verdict, "trained": result, "foretold": None if result is None else result in expected})
    return DataFrame(rows, columns=list(COLUMNS))


def _result(row: Row, is_beaten: bool) -> str:
    if 2 * (row["stuck"] + row["diverged"]) >= row["n"]:
        return FAILED
    return BEHIND if is_beaten else TRAINED


def said(found: DataFrame) -> str:
    """``the verdicts at initialization foretold the training of 9 of 10 labels, not of kaiming``; blank without one."""
    judged = found[found["foretold"].notna()]
    if judged.empty:
        return ""
    missed = list(judged.loc[judged["foretold"] == False, "label"])  # noqa: E712
    count = f"{len(judged) - len(missed)} of {len(judged)} {'labels' if len(judged) > 1 else 'label'}"
    return f"the verdicts at initialization foretold how training went for {count}{_but(missed)}"


def _but(missed: list[str]) -> str:
    return f", not for {', '.join(missed[:4])}{', …' if len(missed) > 4 else ''}" if missed else ""
