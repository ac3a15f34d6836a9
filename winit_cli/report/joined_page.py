"""Several runs on one HTML page, with everything inside it."""

from __future__ import annotations

from collections.abc import Callable

from winit_cli.findings.differences import shown
from winit_cli.findings.numbers import ranked
from winit_cli.report.joined import Joined, Place
from winit_cli.report.markdown import legend, notices
from winit_cli.report.overview import facts
from winit_cli.report.templating import assets, environment

STYLES = ("base.css", "tables.css", "print.css")


def joined_page(joined: Joined) -> str:
    """The joined table, the answer of each run, and how the runs differ."""
    return (
        environment()
        .get_template("joined.html.j2")
        .render(
            joined=joined,
            named=list(zip(joined.names, joined.runs, strict=True)),
            notices=notices(joined),
            notes=_notes(any(len(found.run.config["train"]["lr"]) > 1 for found in joined.runs)),
            facts=facts,
            shown=shown,
            legend=legend(joined, best="★", tied="≈"),
            style=assets(STYLES),
            dark=assets(["dark.css"]),
        )
    )


def _notes(several: bool) -> Callable[[Place], str]:
    """Says rank, rate where there are ``several``, verdict, and what was lost."""

    def notes(place: Place) -> str:
        row = place.row
        said = [f"rank {ranked(row)}", f"lr {row['lr']:g}" if several else "", row["verdict"]]
        said += [f"{row[name]} of {row['n']} {name}" for name in ("diverged", "stuck") if row[name]]
        return ", ".join(filter(None, said))

    return notes
