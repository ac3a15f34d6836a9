"""The forms that a report can be written in, of one run or of several joined."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from winit_cli.errors import UsageError, known
from winit_cli.findings import Findings
from winit_cli.findings.document import document
from winit_cli.plots import PLOTS, encode
from winit_cli.report import joined as joining
from winit_cli.report.joined import Joined, join
from winit_cli.report.joined_page import joined_page
from winit_cli.report.latex import latex
from winit_cli.report.markdown import joined_markdown, markdown
from winit_cli.report.page import draw, page
from winit_cli.report.pictures import SHOWN
from winit_cli.store.files import write_bytes
from winit_cli.store.frames import RunFrames

PICTURES = ("png", "svg")
TEXTS: Mapping[str, Callable[[Findings], str]] = {
    "md": markdown,
    "tex": lambda found: latex(join([found])),
    "json": lambda found: _json(document(found)),
}
OF_SEVERAL: Mapping[str, Callable[[Joined], str]] = {
    "html": joined_page,
    "md": joined_markdown,
    "tex": latex,
    "json": lambda joined: _json(joining.document(joined)),
}
FORMATS = ("html", *PICTURES, *TEXTS)
USUAL = ("html", *PICTURES)


def parse_formats(text: str) -> tuple[str, ...]:
    """``html,png`` as names, each once.

    Raises:
        UsageError: one of them is unknown, or there is none.
    """
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--format {text}: no format '{name}'; {known(name, FORMATS)}")
    if not names:
        raise UsageError(f"--format {text!r} names no format; give some of {', '.join(FORMATS)}, separated by commas")
    return names


def write_run(found: Findings, formats: Collection[str] = USUAL, folder: Path | None = None) -> list[Path]:
    """Write ``report.*`` and ``figures/`` of a run into its directory, or another folder; the paths, the page first.

    Raises:
        StorageError: the disk refused.
    """
    run = found.run
    folder = folder or run.path
    pictures = _figures(run, formats, folder / "figures") if {*PICTURES} & {*formats} else None
    texts = {}
    if "html" in formats:
        texts["html"] = page(found, draw(run, frozenset(SHOWN)) if pictures is None else pictures)
    texts |= {name: make(found) for name, make in TEXTS.items() if name in formats}
    written = [_written(folder / f"report.{name}", text) for name, text in texts.items()]
    return [*written, *([folder / "figures"] if pictures else [])]


def write_joined(joined: Joined, formats: Collection[str], folder: Path) -> list[Path]:
    """Write ``report.*`` of several runs into a folder; they have no figures of their own.

    Raises:
        StorageError: the disk refused.
    """
    return [_written(folder / f"report.{name}", make(joined)) for name, make in OF_SEVERAL.items() if name in formats]


def joined_name(runs: Collection[Path]) -> str:
    """``joined-1a2b3c4d``, the same for the same runs in the same order."""
    names = "\n".join(str(path.resolve()) for path in runs)
    return f"joined-{hashlib.sha256(names.encode()).hexdigest()[:8]}"


def _figures(run: RunFrames, formats: Collection[str], folder: Path) -> dict[str, bytes]:
    """Write every figure that has something to show; those that were drawn, as PNG."""
    pictures: dict[str, bytes] = {}
    for plot in PLOTS:
        figure = plot.draw(run)
        if figure is None:
            continue
        made = {kind: encode(figure, kind) for kind in ("png", *(PICTURES[1:] if "svg" in formats else ()))}
        pictures[plot.name] = made["png"]
        for kind, content in made.items():
            if kind in formats:
                write_bytes(folder / f"{plot.name}.{kind}", content)
    return pictures


def _written(path: Path, text: str) -> Path:
    write_bytes(path, text.encode())
    return path


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
