"""Read YAML as data plus the place of every value, safely.

Only plain data comes out: no tags, no duplicate keys, no more than ``MAX_NODES`` values after aliases are
expanded (an alias bomb is a few lines that expand to billions). ``1e-3`` is a number, as in YAML 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from winit_cli.errors import ConfigError, Fault, UsageError

Path_ = tuple[str | int, ...]
MAX_NODES = 20_000
MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-3`` as a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


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
        ConfigError: the text is not the plain YAML described above.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a directory; give a YAML file (winit init NEW.yaml writes a starter)")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; winit init {path} writes a starter") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path} is {len(raw):,} bytes long; a config has at most {MAX_BYTES:,}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Document:
    """Parse YAML text; see :func:`read`."""
    reader = _Reader(source)
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = reader.value(node, ()) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        raise ConfigError([Fault(_place(source, error.problem_mark), f"not valid YAML: {error.problem}")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise ConfigError([Fault(source, f"not valid YAML: {text}")]) from None
    if reader.faults:
        raise ConfigError(reader.faults)
    if not isinstance(data, dict):
        raise ConfigError([Fault(source, f"expected a mapping like 'name: mnist', got {_kind(data)}")])
    return Document(data, source, reader.places)


def parse_value(text: str) -> Any:
    """One YAML value, as in ``-s train.lr=1e-3``.

    Raises:
        ConfigError: the text is not valid YAML.
    """
    return parse(f"value: {text}", "").data["value"]


class _Reader:
    """Turns YAML nodes into data, noting places and faults."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Path_, str] = {}
        self.faults: list[Fault] = []
        self.count = 0
        self.open: set[int] = set()
        self.scalars = _Loader("")

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self.count += 1
        self.places.setdefault(path, _place(self.source, node.start_mark))
        if self.count > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES:,} values after aliases are expanded")
        if id(node) in self.open:
            raise yaml.YAMLError("an alias contains itself")
        self.open.add(id(node))
        try:
            return self._by_kind(node, path)
        finally:
            self.open.discard(id(node))

    def _by_kind(self, node: yaml.Node, path: Path_) -> Any:
        if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
            self._fault(node, f"the tag {node.tag} is not allowed; a config holds plain data only")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self._fault(key_node, "a key must be plain text")
                continue
            if key in data:
                self._fault(key_node, f"the key '{key}' is given twice")
            self.places[(*path, key)] = _place(self.source, key_node.start_mark)
            data[key] = self.value(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self.scalars.construct_object(node)
        except (ValueError, yaml.YAMLError):
            self._fault(node, f"cannot read the value {node.value!r}")
            return None

    def _fault(self, node: yaml.Node, message: str) -> None:
        self.faults.append(Fault(_place(self.source, node.start_mark), message))


def _place(source: str, mark: Any) -> str:
    return f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source


def _kind(value: object) -> str:
    return {list: "a list", str: "text", type(None): "nothing"}.get(type(value), repr(value))


def flow_text(value: Any) -> str:
    """A value as one line of YAML, for messages and labels."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def dump(data: Mapping[str, Any]) -> str:
    """Data as YAML text that :func:`parse` reads back."""
    text: str = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)
    return text
