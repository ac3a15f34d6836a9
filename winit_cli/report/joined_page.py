"""Several runs on one HTML page, with everything inside it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from winit_cli.report.joined import Joined, Place
from winit_cli.report.markdown import legend, notices
from winit_cli.report.overview import facts
from winit_cli.visible import visible

STYLES = ("base.css", "tables.css", "print.css")


def joined_page(joined: Joined) -> str:
    """The joined table, the answer of each run, and how the runs differ."""
    environment = Environment(
        loader=PackageLoader("winit_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    return environment.get_template("joined.html.j2").render(
        joined=joined,
        named=list(zip(joined.names, joined.runs, strict=True)),
        notices=notices(joined),
        notes=_notes(any(len(found.run.config["train"]["lr"]) > 1 for found in joined.runs)),
        facts=facts,
        legend=legend(joined, best="★", tied="≈"),
        style=Markup("\n").join(_asset(name) for name in STYLES),
        dark=_asset("dark.css"),
    )


def _asset(name: str) -> Markup:
    return Markup(resources.files("winit_cli.report").joinpath("assets", name).read_text(encoding="utf-8").strip())


def _visible(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _notes(several: bool) -> Callable[[Place], str]:
    """Says rank, rate where there are ``several``, verdict, and what was lost."""

    def notes(place: Place) -> str:
        row = place.row
        span = f" ({row['rank_low']}–{row['rank_high']})" if row["rank_low"] != row["rank_high"] else ""
        said = [f"rank {row['rank']}{span}", f"lr {row['lr']:g}" if several else "", row["verdict"]]
        said += [f"{row[name]} of {row['n']} {name}" for name in ("diverged", "stuck") if row[name]]
        return ", ".join(filter(None, said))

    return notes
