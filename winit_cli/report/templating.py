"""What all pages share: how templates are read, and style sheets and scripts as parts of a page."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from winit_cli.visible import visible


def environment() -> Environment:
    """Reads the templates of the package; whatever they show is escaped."""
    return Environment(
        loader=PackageLoader("winit_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )


def assets(names: Iterable[str]) -> Markup:
    """Style sheets or scripts of the package as they are, one after another."""
    folder = resources.files("winit_cli.report").joinpath("assets")
    return Markup("\n".join(folder.joinpath(name).read_text(encoding="utf-8").strip() for name in names))


def _visible(value: Any) -> Any:
    """What the template shows, with control characters as escapes; what is HTML already stays."""
    return visible(value) if type(value) is str else value
