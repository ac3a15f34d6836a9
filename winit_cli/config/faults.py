"""Collect the faults of a config, each at its place, in words that name the nearest allowed value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from winit_cli.config.document import Document, Path_, flow_text
from winit_cli.errors import ConfigError, Fault, UsageError, known
from winit_cli.tables import RowT, find

ModelT = TypeVar("ModelT", bound=BaseModel)


class Faults:
    """Faults found so far in one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[Fault] = []

    def add(self, path: Path_, message: str) -> None:
        """Note a fault of the value at ``path``."""
        fault = Fault(self.document.where(path), f"{dotted(path)}: {message}" if path else message)
        if fault not in self.found:
            self.found.append(fault)

    def raise_any(self) -> None:
        """Raise ``ConfigError`` with all faults, if there are any."""
        if self.found:
            raise ConfigError(self.found)

    def model(self, cls: type[ModelT], value: Any, path: Path_) -> ModelT | None:
        """Validate a mapping; note the faults and return ``None`` where it has any."""
        if not isinstance(value, Mapping):
            self.add(path, f"expected a mapping of options, got {flow_text(value)}")
            return None
        try:
            return cls.model_validate(dict(value))
        except ValidationError as error:
            for detail in error.errors():
                self._detail(cls, detail, path)
            return None

    def row(self, rows: Mapping[str, RowT], name: Any, kind: str, path: Path_) -> RowT | None:
        """Look a name up in a table; note an unknown one and return ``None``."""
        if not isinstance(name, str):
            self.add(path, f"expected the name of a {kind}, got {flow_text(name)}; {known('', rows)}")
            return None
        try:
            return find(rows, name, kind)
        except UsageError as error:
            self.add(path, str(error))
            return None

    def _detail(self, cls: type[BaseModel], detail: Any, path: Path_) -> None:
        location = (*path, *(part for part in detail["loc"] if not str(part).startswith("function-")))
        if detail["type"] == "extra_forbidden":
            key = str(detail["loc"][-1])
            self.add(location, f"unknown key '{key}'; {known(key, cls.model_fields)}")
        elif detail["type"] == "missing":
            self.add(location[:-1], f"'{detail['loc'][-1]}' is required")
        else:
            self.add(_without_union_branch(location, cls, path), _message(detail))


def dotted(path: Path_) -> str:
    """A path as it is written after ``-s``: ``schemes.0.gain``."""
    return ".".join(map(str, path))


def _without_union_branch(location: Path_, cls: type[BaseModel], path: Path_) -> Path_:
    """Drop the parts that pydantic adds for the branch of a union (``str``, ``float``)."""
    kept = location[: len(path) + 1]
    return (*kept, *(part for part in location[len(path) + 1 :] if isinstance(part, int)))


def _message(detail: Any) -> str:
    got = f"got {flow_text(_plain(detail['input']))}"
    if detail["type"] == "value_error":
        text = str(detail["ctx"]["error"])
        return text if "got" in text else f"{text}, {got}"
    if detail["type"] == "literal_error":
        return _literal(detail, got)
    text = detail["msg"].replace("Input should be", "must be").replace("a valid integer", "a whole number")
    return f"{text.replace('a valid ', 'a ')}, {got}"


def _literal(detail: Any, got: str) -> str:
    allowed = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
    return f"{got}; {known(str(detail['input']), allowed)}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | type(None)) else str(value)
