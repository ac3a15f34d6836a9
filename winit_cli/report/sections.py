"""The sections of the page in their order; one that has nothing to show is left out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from winit_cli.findings import Findings
from winit_cli.findings.foretold import said
from winit_cli.findings.method import OPEN_PLACES
from winit_cli.report import curves, depth, matrix, pictures, rates, signal, tables
from winit_cli.report.charts import Chart, Key, keys
from winit_cli.report.standings import MEANINGS, columns_of, rankings
from winit_cli.store.frames import RunFrames

Data = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A heading, and the template ``sections/<anchor>.html.j2`` with what it shows."""

    anchor: str
    title: str
    data: Data = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What sections are made of."""

    run: RunFrames
    found: Findings
    shown: Mapping[str, pictures.Picture]

    @property
    def legend(self) -> list[Key]:
        return list(dict.fromkeys(keys(self.run.labels).values()))

    def picture(self, *names: str) -> list[pictures.Picture]:
        return [self.shown[name] for name in names if name in self.shown]


def sections(run: RunFrames, found: Findings, drawn: Mapping[str, bytes]) -> list[Section]:
    """All that have something to show."""
    source = Source(run, found, pictures.pictures(drawn))
    made = ((anchor, title, make(source)) for anchor, title, make in SECTIONS)
    return [Section(anchor, title, data) for anchor, title, data in made if data is not None]


def _ranking(source: Source) -> Data:
    return {"rankings": rankings(source.run, source.found), "baseline": source.found.baseline, "places": OPEN_PLACES}


def _claims(source: Source) -> Data | None:
    return None if source.found.claims.empty else {"table": tables.claims(source.found.claims)}


def _finals(source: Source) -> Data | None:
    shown = source.picture("final_metric", "final_metric_leaders")
    return {"pictures": shown, "numbers": pictures.of_finals(source.found)} if shown else None


def _curves(source: Source) -> Data | None:
    groups = {name: curves.charts(source.run, name) for name in ("loss", "accuracy")}
    groups = {name: charts for name, charts in groups.items() if charts}
    return {"groups": groups, "legend": source.legend, "several": _ended(groups)} if groups else None


def _ended(groups: dict[str, list[Chart]]) -> bool:
    """Whether any trial ends in a cross."""
    return any(series.ends for charts in groups.values() for chart in charts for series in chart.series)


def _gradients(source: Source) -> Data | None:
    charts = depth.charts(source.run)
    if not charts:
        return None
    return {
        "charts": charts,
        "legend": source.legend,
        "pictures": source.picture("gradient_heatmap"),
        "numbers": pictures.of_heat(source.run),
    }


def _init(source: Source) -> Data | None:
    if source.run.init.empty:
        return None
    units = source.picture("units")
    return {
        "audit": tables.audit(source.run),
        "std": source.picture("init_std"),
        "units": units,
        "numbers": pictures.of_units(source.run) if units else None,
    }


def _signal(source: Source) -> Data | None:
    theory, verdicts = source.found.signal_theory, source.found.foretold
    if theory.empty and verdicts.empty:
        return None
    return {
        "said": said(verdicts),
        "verdicts": None if verdicts.empty else signal.verdicts(verdicts),
        "advice": signal.advice(verdicts),
        "pictures": source.picture(*(name for name in pictures.SIGNAL if name not in pictures.BOXES)),
        "boxes": source.picture(*pictures.BOXES),
        "numbers": [] if source.run.probe.empty else signal.numbers(source.run),
        "theory": None if theory.empty else signal.theory(theory),
    }


def _rates(source: Source) -> Data | None:
    charts = rates.charts(source.run, source.found)
    if not charts:
        return None
    best = source.found.tables.best_lr
    table = None if best.empty else tables.of_frame(best, "best learning rates", "best_lr.csv")
    return {"charts": charts, "legend": source.legend, "table": table}


def _pairs(source: Source) -> Data | None:
    if source.found.tables.comparisons.empty:
        return None
    return {"matrices": matrix.matrices(source.found, source.run.labels), "table": matrix.listed(source.found)}


def _trials(source: Source) -> Data | None:
    return {"table": tables.trials(source.run)} if len(source.run.trials) else None


def _method(source: Source) -> Data:
    run = source.run
    columns = columns_of(run, source.found)
    return {
        "method": source.found.method,
        "notes": run.data.get("notes", []),
        "constant": run.data.get("constant_loss"),
        "meanings": {name: text for name, text in MEANINGS.items() if name in columns},
    }


def _environment(source: Source) -> Data:
    return {"table": tables.pairs(source.run.env, "environment")}


def _reproduce(source: Source) -> Data:
    path = source.run.path
    config = yaml.safe_dump(source.run.config, sort_keys=False, allow_unicode=True)
    command = f"winit run {shlex.quote(str(path / 'config.yaml'))} --results {shlex.quote(str(path.parent))}"
    return {"command": command, "config": config}


Make = Callable[[Source], "Data | None"]
SECTIONS: tuple[tuple[str, str, Make], ...] = (
    ("ranking", "Ranking", _ranking),
    ("claims", "Claims", _claims),
    ("finals", "Final results", _finals),
    ("curves", "Curves", _curves),
    ("gradients", "Gradients", _gradients),
    ("init", "Weights as drawn", _init),
    ("signal", "Signal theory and verdicts at the start", _signal),
    ("rates", "Learning rates", _rates),
    ("pairs", "Comparisons", _pairs),
    ("trials", "Every trial", _trials),
    ("method", "Method", _method),
    ("environment", "Environment", _environment),
    ("reproduce", "Reproduce", _reproduce),
)
