"""A config as data with the place of every value: read from a file, or put together by a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from winit_cli.config.plain_yaml import Path_, Reader
from winit_cli.errors import ConfigError, Fault, UsageError, brief

MAX_BYTES = 1_000_000


@dataclass
class Document:
    """Data of a config with the place (``file:line:column``, or an option) of every value."""

    data: dict[str, Any]
    source: str
    places: dict[Path_, str] = field(default_factory=dict)

    def where(self, path: Path_) -> str:
        """The place of a value, or of the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.source)


def read(path: Path) -> Document:
    """Read a config file.

    Raises:
        UsageError: the file is missing, a directory, too large or not UTF-8.
        ConfigError: the text is not a mapping in plain YAML.
    """
    raw = _bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    return parse(text, str(path))


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UsageError(f"{path} is a directory; give a YAML file (winit init NEW.yaml writes a starter)")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; winit init {path} writes a starter") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give a YAML file") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path} is longer than {MAX_BYTES:,} bytes, which no config is; give a YAML file")
    return raw


def parse(text: str, source: str) -> Document:
    """Parse YAML text; see :func:`read`."""
    reader = Reader(source)
    data = reader.read(text)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError([Fault(source, f"expected a mapping like 'name: mnist', got {shown(data)}")])
    return Document(data, source, reader.places)


def parse_value(text: str, option: str) -> Any:
    """One YAML value, as in ``-s train.lr=1e-3``; ``option`` is its place for messages.

    Raises:
        UsageError: the text is not valid YAML.
    """
    try:
        return Reader("").read(text)
    except ConfigError as error:
        raise UsageError(f"{option}: {error.faults[0].message}") from None


def flow_text(value: Any) -> str:
    """A value as one line of YAML, for messages and labels."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def shown(value: Any) -> str:
    """A value in a message: one line of YAML, not too long."""
    return brief(flow_text(value))


def dump(data: Mapping[str, Any]) -> str:
    """Data as YAML text that :func:`parse` reads back."""
    text: str = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)
    return text
