"""A run as one HTML page with everything inside it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from winit_cli.findings import Findings
from winit_cli.plots import PLOTS, encode
from winit_cli.report.tables import MEANINGS, audit, pairs, standings, variants_of
from winit_cli.store.frames import RunFrames
from winit_cli.visible import visible


def page(run: RunFrames, pictures: Mapping[str, bytes]) -> str:
    """The report; ``pictures`` holds a PNG per row of PLOTS that has something to show."""
    task = run.data["task"]
    findings = Findings(run)
    table = standings(findings.standings, task=task)
    source = resources.files("winit_cli.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    text = environment.from_string(source).render(
        title=run.config["name"],
        subtitle=_subtitle(run),
        answer=findings.sentences,
        notices=findings.notices,
        standings=table,
        variants=variants_of(run),
        figures=[_figure(plot.title, plot.caption, pictures[plot.name]) for plot in PLOTS if plot.name in pictures],
        outputs=run.data.get("outputs"),
        constant=run.data.get("constant_loss"),
        data_notes=run.data.get("notes", []),
        meanings={name: MEANINGS[name] for name in table.columns},
        audit=audit(run),
        environment=pairs(run.env),
        config=yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True),
        replay=f"winit run {shlex.quote(str(run.path / 'config.yaml'))} --results {shlex.quote(str(run.path.parent))}",
    )
    return text.lstrip()


def _visible(value: Any) -> Any:
    """What the template shows, with control characters as escapes; what is HTML already stays."""
    return visible(value) if type(value) is str else value


def draw(run: RunFrames) -> dict[str, bytes]:
    """Every figure that has something to show, as PNG."""
    figures = ((plot.name, plot.draw(run)) for plot in PLOTS)
    return {name: encode(figure, "png") for name, figure in figures if figure is not None}


def _figure(title: str, caption: str, picture: bytes) -> dict[str, str]:
    return {
        "title": title,
        "caption": caption,
        "uri": f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}",
    }


def _subtitle(run: RunFrames) -> str:
    train, data = run.config["train"], run.config["data"]
    source = f" ({run.data['source']})" if run.data.get("source") else ""
    seeds = run.config["seeds"]
    count = len(seeds) if isinstance(seeds, list) else seeds
    return (
        f"{run.config['model']['name']} on {data['name']}{source}, {train['optimizer']}, {_length(train)} of "
        f"{train['batch_size']} examples, {count} seeds, {len(run.labels)} labels"
    )


def _length(train: dict[str, Any]) -> str:
    """``200 steps``, or in epochs where variants differ in steps."""
    return f"{train['steps']} steps" if "steps" in train else f"{train.get('epochs', 'several')} epochs"
