"""The answer in Markdown, to be pasted into an issue."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

import yaml

from winit_cli.findings import Findings
from winit_cli.findings.differences import shown
from winit_cli.findings.foretold import said
from winit_cli.findings.method import OPEN_PLACES
from winit_cli.findings.numbers import Row, number, p_text, ranked, records, with_interval
from winit_cli.report.joined import Joined, Place
from winit_cli.store.frames import RunFrames
from winit_cli.visible import visible

SPECIAL = re.compile(r"[\\`*\[\]<>|~&$#]|(?<![^\W_])_|_(?![^\W_])")
DIFFERENT_DATA = "The runs have different data: compare within a column, not along a row."
DECIDED = ("better", "worse", "tied", "undecided")


def markdown(found: Findings) -> str:
    """Answer, ranked table, claims, and the command that runs it again."""
    blocks = [f"### winit: {escaped(found.run.config['name'])}"]
    blocks += [f"> **Note:** {escaped(text)}" for text in found.notices]
    blocks += [escaped(text) for text in found.sentences]
    blocks += [_standings(found), *_notes(found)]
    if not found.claims.empty:
        blocks.append(_claims(found))
    blocks += [_details("Method", "\n".join(f"- {escaped(text)}" for text in found.method)), reproduce(found.run)]
    return "\n\n".join(blocks) + "\n"


def joined_markdown(joined: Joined) -> str:
    """Labels down, runs across; the best of a run is bold, what may be the best as well has a ≈."""
    rows = [
        [escaped(label), *(_joined_cell(column.places.get(label)) for column in joined.columns)]
        for label in joined.labels
    ]
    names = [escaped(column.name) for column in joined.columns]
    blocks = [f"### winit: test {joined.kind} of {len(joined.names)} runs"]
    blocks += [f"> **Note:** {escaped(text)}" for text in notices(joined)]
    blocks.append(table(["", *names], rows, numeric=range(1, len(names) + 1)))
    blocks.append(escaped(legend(joined, best="bold", tied="≈")))
    if joined.differences:
        cells = [[escaped(what), *(escaped(shown(value)) for value in values)] for what, values in joined.differences]
        blocks.append(_details("How the runs differ", table(["", *map(escaped, joined.names)], cells)))
    blocks += [reproduce(found.run) for found in joined.runs]
    return "\n\n".join(blocks) + "\n"


def notices(joined: Joined) -> list[str]:
    """What to know of the runs together, and of each."""
    own = [f"{name}: {text}" for name, found in zip(joined.names, joined.runs, strict=True) for text in found.notices]
    return own if joined.same_data else [DIFFERENT_DATA, *own]


def legend(joined: Joined, *, best: str, tied: str) -> str:
    """What the numbers and marks of a joined table mean."""
    seeds = sorted({len(found.run.config["seeds"]) for found in joined.runs})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    text = f"Test {joined.kind}: mean ± half of its 95 % interval over {count} seeds; {best}: the best of the run"
    if any(place.is_tied for place in joined.places):
        text += f"; {tied}: tied with it, or may be the best itself as far as these seeds tell"
    if any(place.is_over_survivors for place in joined.places):
        text += "; †: mean of the trials that did not diverge"
    if any(len(found.run.config["train"]["lr"]) > 1 for found in joined.runs):
        text += "; every label at its best or selected learning rate"
    return f"{text}."


def table(names: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """A table of texts that are escaped already."""
    right = set(numeric)
    rule = ["---:" if place in right else "---" for place in range(len(names))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [list(names), rule, *map(list, rows)])


def escaped(text: object) -> str:
    """Text that Markdown shows as it is, on one line; an underscore inside of a word needs no help."""
    return SPECIAL.sub(lambda found: f"\\{found[0]}", visible(str(text)).replace("\n", " "))


def reproduce(run: RunFrames) -> str:
    """The command that runs it again, and the config behind it."""
    path = run.path
    command = f"winit run {shlex.quote(str(path / 'config.yaml'))} --results {shlex.quote(str(path.parent))}"
    config = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True).rstrip()
    return f"{_fenced(command, 'sh')}\n\n{_details('config.yaml', _fenced(config, 'yaml'))}"


def _fenced(text: str, language: str) -> str:
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def _details(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _standings(found: Findings) -> str:
    rows = records(found.standings)
    cells = {name: [escaped(_cell(name, row)) for row in rows] for name in _columns(found, rows)}
    numeric = [place for place, name in enumerate(cells) if name not in ("label", "verdict", "why")]
    return table(list(cells), zip(*cells.values(), strict=True), numeric)


def _columns(found: Findings, rows: list[Row]) -> list[str]:
    absent = {
        "lr": len(found.run.config["train"]["lr"]) == 1,
        "test accuracy": found.task != "classification",
        "diverged": not any(row["diverged"] for row in rows),
        "stuck": not any(row["stuck"] for row in rows),
        "why": not any(row["why"] for row in rows),
    }
    absent |= dict.fromkeys(("verdict", "difference", "p"), not any(row["verdict"] in DECIDED for row in rows))
    names = ("rank", "label", "lr", "test accuracy", "test loss", "verdict", "difference", "p", "diverged", "stuck")
    return [name for name in (*names, "why") if not absent.get(name)]


def _cell(name: str, row: Row) -> str:
    if name in ("test accuracy", "test loss"):
        return _score(row, name.removeprefix("test "))
    if name == "rank":
        return ranked(row)
    if name == "difference":
        return with_interval(row["difference"], row["difference_low"], row["difference_high"])
    if name == "p":
        return p_text(row["p_holm"])
    return number(row[name])


def _score(row: Row, kind: str) -> str:
    mark = " †" if 0 < row["diverged"] < row["n"] else ""
    return with_interval(row[kind], row[f"{kind}_low"], row[f"{kind}_high"]) + mark


def _notes(found: Findings) -> Iterator[str]:
    rows = records(found.standings)
    yield (
        f"Means ± half of their 95 % intervals over the seeds; verdicts against {escaped(found.baseline)}, paired by "
        f"seed. {escaped(found.reach)}."
    )
    if any(row["rank_low"] != row["rank_high"] for row in rows):
        yield f"(1-3): {OPEN_PLACES}."
    if any(0 < row["diverged"] < row["n"] for row in rows):
        yield "†: mean of the trials that did not diverge; the ranking counts the others as the worst value."
    if text := said(found.foretold):
        yield f"Why: {escaped(text)}."


def _claims(found: Findings) -> str:
    names = ["claim", "metric", "n", "effect", "ci_low", "ci_high", "p", "verdict"]
    rows = [[escaped(number(row[name])) for name in names] for row in records(found.claims)]
    return table(names, rows, numeric=range(2, 7))


def _joined_cell(place: Place | None) -> str:
    if place is None:
        return ""
    text = escaped(place.text or "-") + (" †" if place.is_over_survivors else "")
    return f"**{text}**" if place.is_best else f"{text} ≈" if place.is_tied else text
