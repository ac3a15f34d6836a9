"""The atlas: ``make atlas`` runs the configs of published findings and writes what came of their claims as a table."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from winit_cli.api.progress import reporting
from winit_cli.cli.sources import Changes, load, packaged
from winit_cli.findings import Findings
from winit_cli.findings.tables import steps_of
from winit_cli.gallery import probed_picture
from winit_cli.plan import make_plan
from winit_cli.runner import run_plan
from winit_cli.store.files import write_bytes, write_csv, write_text
from winit_cli.store.frames import RunFrames, read_run

FOLDER = "papers/"
SOURCE, PICTURE = "Source: ", "Picture: winit probe "
COLUMNS = ("finding", "source", "claim", "measured", "p", "verdict", "seconds")
MARKS = "<!-- atlas: made by make atlas -->\n", "<!-- end of atlas -->\n"


@dataclass(frozen=True)
class Finding:
    """What a config's header says: its first line of words, what stands behind ``Source:``, and the call of ``winit
    probe`` behind ``Picture:``, empty where there is none."""

    config: str
    title: str
    source: str
    picture: str = ""

    @property
    def file(self) -> str:
        """The name of its picture."""
        return f"{self.config.removeprefix(FOLDER)}.png"


def findings() -> list[Finding]:
    """The configs of papers with their headers."""
    return [finding_of(name, path.read_text()) for name, path in packaged().items() if name.startswith(FOLDER)]


def finding_of(config: str, text: str) -> Finding:
    """Read the comment at the head of a config."""
    header = re.match(r"(?:#.*\n)+", text)
    assert header is not None, f"{config} begins with a comment"
    paragraphs = [" ".join(part.split()) for part in re.sub(r"^# ?", "", header[0], flags=re.M).split("\n\n")]
    said = {name: next((part for part in paragraphs if part.startswith(name)), name) for name in (SOURCE, PICTURE)}
    source, picture = (part.removeprefix(name) for name, part in said.items())
    return Finding(config, paragraphs[1], source.rstrip("."), picture)


def rows_of(finding: Finding, run: RunFrames) -> Iterator[tuple[str, ...]]:
    """A row for each claim of a finding: effect and interval as measured, and the seconds of its probe and of all its
    trials."""
    seconds = f"{run.probe_seconds + run.timings['seconds'].sum():.0f}"
    for claim in Findings(run).claims.to_dict("records"):
        interval = f" ({claim['ci_low']:.4g} to {claim['ci_high']:.4g})" if claim["ci_low"] == claim["ci_low"] else ""
        effect = f"{claim['effect']:.4g}{interval}" if claim["effect"] == claim["effect"] else "-"
        p = f"{claim['p']:.2g}" if claim["p"] == claim["p"] else "-"
        yield finding.title, finding.source, claim["claim"], effect, p, claim["verdict"], seconds


def table(rows: DataFrame, pictures: Sequence[Finding] = (), folder: str = "") -> str:
    """The table in Markdown, with a heading and the source for each finding, and the pictures of some, which lie in a
    folder."""
    drawn = {finding.title: f"![winit probe {finding.picture}]({folder}{finding.file})" for finding in pictures}
    lines = []
    for title, group in rows.groupby("finding", sort=False):
        first = group.iloc[0]
        lines += [f"**{title}** ({first['source']}; {first['seconds']} s)", ""]
        lines += ["| claim | measured | p | verdict |", "|---|---|---|---|"]
        lines += [f"| `{row.claim}` | {row.measured} | {row.p} | {row.verdict} |" for row in group.itertuples()]
        lines += ["", *([drawn[str(title)], ""] if title in drawn else [])]
    return "\n".join(lines)


def main(results: Path = Path("results"), readme: Path = Path("README.md")) -> None:
    """Run every finding's config (what is there is not repeated), write ``atlas/`` into the results, and renew the
    table in the README between its marks."""
    rows: list[tuple[str, ...]] = []
    folder, pictures = results / "atlas", [finding for finding in findings() if finding.picture]
    for finding in findings():
        config = load(finding.config, Changes([]))
        with reporting(True) as progress:
            done = run_plan(make_plan(config, "cpu"), results, progress)
        rows += rows_of(finding, read_run(done.directory, steps_of(config.claims)))
    for finding in pictures:
        write_bytes(folder / finding.file, probed_picture(finding.picture, "phase"))
    frame = DataFrame(rows, columns=list(COLUMNS))
    write_csv(folder / "atlas.csv", list(COLUMNS), rows)
    write_text(folder / "README.md", f"# Atlas\n\n{table(frame, pictures)}")
    write_text(readme, between_marks(readme.read_text(), table(frame, pictures, "results/atlas/")))


def between_marks(page: str, text: str) -> str:
    """The page with ``text`` in place of what stands between the marks."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    assert after or rest, "the page has both marks"
    return f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
