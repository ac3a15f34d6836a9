"""A run as one HTML page with everything inside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from winit_cli.findings import Findings
from winit_cli.plots import PLOTS, encode
from winit_cli.report import charts
from winit_cli.report.overview import facts, state
from winit_cli.report.pictures import of_chart
from winit_cli.report.sections import sections
from winit_cli.report.templating import assets, environment
from winit_cli.store.frames import RunFrames
from winit_cli.visible import visible

STYLES = ("base.css", "tables.css", "charts.css", "print.css")
SCRIPTS = ("tables.js", "charts.js", "contents.js")
# what would end a script or begin something else inside of it
ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&'\u2028\u2029"}


def page(found: Findings, drawn: Mapping[str, bytes]) -> str:
    """The report; ``drawn`` holds a PNG per row of PLOTS that has something to show."""
    run = found.run
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=run.config["name"],
            state=state(run),
            facts=facts(run),
            found=found,
            sections=sections(run, found, drawn),
            labels=[visible(key.name) for key in dict.fromkeys(charts.keys(run.labels).values())],
            style=assets(STYLES),
            dark=assets(["dark.css"]),
            theme=assets(["theme.js"]),
            script=assets(SCRIPTS),
        )
    )


def _environment() -> Environment:
    made = environment()
    made.filters["json"] = as_json
    made.filters["numbers"] = of_chart
    made.globals["drawing"] = charts
    return made


def as_json(value: Any) -> Markup:
    """JSON that can stand inside of a script element, whatever texts it holds."""
    return Markup(json.dumps(value, separators=(",", ":"), allow_nan=False).translate(ESCAPES))


def draw(run: RunFrames, names: frozenset[str] | None = None) -> dict[str, bytes]:
    """Every figure of ``names`` (or all) that has something to show, as PNG."""
    wanted = (plot for plot in PLOTS if names is None or plot.name in names)
    figures = ((plot.name, plot.draw(run)) for plot in wanted)
    return {name: encode(figure, "png") for name, figure in figures if figure is not None}
