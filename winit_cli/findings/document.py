"""What a run found as plain data, for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandas import DataFrame

from winit_cli.findings.method import Reach
from winit_cli.findings.numbers import Row, records
from winit_cli.jsonable import jsonable

if TYPE_CHECKING:
    from winit_cli.findings import Findings


def document(found: Findings) -> dict[str, Any]:
    """The answer and the tables behind it: ``ranking`` holds the standings, ``comparisons`` the rows of the metric that
    labels are ranked by. What is not a number is None.
    """
    compared = found.tables.comparisons
    made = {
        "run": str(found.run.path),
        **found.run.status,
        "task": found.task,
        "metric": found.metric,
        "baseline": found.baseline,
        "sentences": found.sentences,
        "notices": found.notices,
        "ranking": _rows(found.standings),
        "verdicts": _rows(found.foretold),
        "claims": _rows(found.claims),
        "comparisons": _rows(compared[compared["metric"] == found.metric]),
        "reach": reachable(found.reach),
        "method": found.method,
    }
    return dict(jsonable(made))


def reachable(reach: Reach) -> dict[str, Any]:
    """What so many seeds can decide."""
    return {
        "statement": str(reach),
        "comparisons": reach.family,
        "seeds": reach.seeds,
        "smallest_p": reach.smallest,
        "seeds_needed": reach.needed,
        "possible": reach.is_enough,
    }


def _rows(frame: DataFrame) -> list[Row]:
    return records(frame.astype(object))
