"""Collect the faults of a config, each at its place, in words that name the nearest allowed value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from winit_cli.config.document import Document, shown
from winit_cli.config.plain_yaml import Path_
from winit_cli.errors import ConfigError, Fault, UsageError, brief, known
from winit_cli.tables import LARGEST_NUMBER, RowT, find

ModelT = TypeVar("ModelT", bound=BaseModel)

CODE = re.compile(r"\.py(:\w*)?$")
CODE_OPTIONS = {"model": "--model", "loss": "--loss"}
WORDS = {  # pydantic's words, and ours
    "Input should be": "must be",
    "a valid integer": "a whole number",
    "a valid number, unable to parse string as a number": "a number",
    "a valid tuple": "a list",
    "a valid string": "text (put it in quotes)",
    "a valid boolean": "true or false",
    "a valid": "a",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
    f"1{'0' * 30}": f"{LARGEST_NUMBER:g}",
}


def _place(fault: Fault) -> list[tuple[int, str]]:
    """Sorts faults of a file by line and column."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in fault.where.split(":")]


class Faults:
    """Faults found so far in one document; ``context`` ends every message, a message is noted once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.context = ""
        self.found: list[Fault] = []
        self._seen: set[tuple[str, str]] = set()

    def add(self, path: Path_, message: str) -> None:
        """Note a fault of the value at ``path``."""
        where, text = self.document.where(path), f"{dotted(path)}: {message}" if path else message
        if (where, text) not in self._seen:
            self._seen.add((where, text))
            self.found.append(Fault(where, text + self.context))

    def raise_any(self) -> None:
        """Raise ``ConfigError`` with all faults, if there are any."""
        if self.found:
            raise ConfigError(sorted(self.found, key=_place))

    def model(self, cls: type[ModelT], value: Any, path: Path_) -> ModelT | None:
        """Validate a mapping; note the faults and return ``None`` where it has any."""
        if not isinstance(value, Mapping):
            self.add(path, f"expected a mapping of options, got {shown(value)}")
            return None
        try:
            return cls.model_validate(dict(value))
        except ValidationError as error:
            details = _of_the_branch_meant(error.errors(), value)
            for detail in details:
                # a list whose only value is at fault is too short as well
                if detail["type"] != "too_short" or not any(_lies_in(other, detail) for other in details):
                    self._detail(cls, detail, path)
            return None

    def row(self, rows: Mapping[str, RowT], name: Any, kind: str, path: Path_) -> RowT | None:
        """Look a name up in a table; note an unknown one and return ``None``."""
        if not isinstance(name, str):
            self.add(path, f"expected the name of a {kind}, got {shown(name)}; {known('', rows)}")
            return None
        try:
            return find(rows, name, kind)
        except UsageError as error:
            self.add(path, _elsewhere(name, kind) or str(error))
            return None

    def _detail(self, cls: type[BaseModel], detail: Any, path: Path_) -> None:
        location = (*path, *(part for part in detail["loc"] if not str(part).startswith("function-")))
        if detail["type"] == "extra_forbidden":
            key = str(detail["loc"][-1])
            self.add(location, f"unknown key '{brief(key)}'; {known(key, cls.model_fields)}")
        elif detail["type"] == "missing" and len(detail["loc"]) == 1:
            self.add(path, f"{cls.__name__} needs the option '{detail['loc'][0]}', which has no default")
        else:
            location = _without_union_branch(location, path)
            if isinstance(location[-1], int) and location not in self.document.places:
                location = location[:-1]  # one value that stands for a list of one
            self.add(location, _message(detail))


def _lies_in(detail: Any, whole: Any) -> bool:
    """Whether a fault is that of a part of a value with another fault."""
    at, place = detail["loc"], whole["loc"]
    return len(at) > len(place) and at[: len(place)] == place


def _elsewhere(name: str, kind: str) -> str | None:
    """What is said of a name that stands for code or an object rather than for a row."""
    if name.startswith("python:"):
        return f"{brief(name)} was given from Python as an object, which is in no file; run it from there"
    if CODE.search(name) is None or kind not in CODE_OPTIONS:
        return None
    option = f"{CODE_OPTIONS[kind]} {name}"
    return f"{brief(name)} is code, which a YAML alone never loads; name it on the command line too: {option}"


def dotted(path: Path_) -> str:
    """A path as it is written after ``-s``: ``schemes.0.gain``."""
    return ".".join(brief(str(part)) for part in path)


def _of_the_branch_meant(details: Sequence[Any], value: Mapping[str, Any]) -> list[Any]:
    """Without the branches of a union that are for another kind of value, where one branch finds more to say."""

    def of_another_kind(detail: Any) -> bool:
        whole = len(detail["loc"]) > 1 and detail["input"] is value.get(detail["loc"][0])
        return whole and detail["type"].endswith(("_type", "_parsing"))

    said = {detail["loc"][0] for detail in details if detail["loc"] and not of_another_kind(detail)}
    return [detail for detail in details if not (of_another_kind(detail) and detail["loc"][0] in said)]


def _without_union_branch(location: Path_, path: Path_) -> Path_:
    """Drop the parts that pydantic adds for the branch of a union (``str``, ``float``)."""
    kept = location[: len(path) + 1]
    return (*kept, *(part for part in location[len(path) + 1 :] if isinstance(part, int)))


def _message(detail: Any) -> str:
    value, kind = _plain(detail["input"]), detail["type"]
    if kind == "value_error":
        text = str(detail["ctx"]["error"])
        return text if "got" in text or isinstance(value, dict) else f"{text}, got {shown(value)}"
    if kind == "literal_error":
        allowed = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"unknown value {shown(value)}; {known(str(value), allowed)}"
    if kind in ("missing", "too_short", "too_long"):
        needs = f"; give {detail['ctx']['min_length']} or more" if kind == "too_short" else ""
        return f"too {'many' if kind == 'too_long' else 'few'} values, got {shown(value)}{needs}"
    text = detail["msg"]
    for theirs, ours in WORDS.items():
        text = text.replace(theirs, ours)
    return f"{text}, got {shown(value)}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | type(None)) else str(value)
