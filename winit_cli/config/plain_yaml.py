"""YAML text to plain data, safely, with the place of every value.

Only mappings, lists, text, numbers, true, false and null come out: no other tags, no duplicate keys, no value deeper
than ``MAX_DEPTH`` and no more than ``MAX_NODES`` values, both after aliases are expanded (an alias bomb is a few
lines that expand to billions).
``1e-3`` is a number, as in YAML 1.2, and a date is text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from winit_cli.errors import ConfigError, Fault, brief

Path_ = tuple[str | int, ...]
MAX_NODES = 20_000
MAX_DEPTH = 50
TOO_MANY = f"more than {MAX_NODES:,} values after aliases are expanded; a config has far fewer"
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels; a config has far fewer"
TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null"))
HINTS = {
    "mapping values are not allowed here": "put text that contains ': ' in quotes, and check the indentation",
    "found character '\\t' that cannot start any token": "indent with spaces, not with tabs",
    "found undefined alias": "put text that begins with * in quotes",
    "but found another document": "a file holds one experiment; remove the line ---",
}


class _Loader(yaml.SafeLoader):
    """SafeLoader that resolves the plain kinds only, ``1e-3`` as a number, and stops at the limits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.count = self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next value with all that is in it."""
        self.count += 1
        self.depth += 1
        if self.count > 2 * MAX_NODES or self.depth > MAX_DEPTH:  # keys are nodes too
            problem = TOO_DEEP if self.depth > MAX_DEPTH else TOO_MANY
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag in TAGS]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class Reader:
    """Reads one text; ``places`` then holds the ``source:line:column`` of every value."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Path_, str] = {}
        self._faults: list[Fault] = []
        self._count = 0
        self._open: set[int] = set()
        self._scalars = _Loader("")

    def read(self, text: str) -> Any:
        """The data of a YAML text, ``None`` where it is empty.

        Raises:
            ConfigError: it is not the plain YAML described above; all faults at once.
        """
        try:
            node = yaml.compose(text, Loader=_Loader)
            data = None if node is None else self._value(node, ())
        except yaml.MarkedYAMLError as error:
            self._faults.append(Fault(self._place(error.problem_mark), f"not valid YAML: {_problem(error)}"))
        except yaml.reader.ReaderError as error:
            line, column = text.count("\n", 0, error.position) + 1, error.position - text.rfind("\n", 0, error.position)
            found = f"the character U+{error.character:04X} is not allowed"
            self._faults.append(Fault(f"{self.source}:{line}:{column}", f"not valid YAML: {found}; remove it"))
        if self._faults:
            raise ConfigError(self._faults)
        return data

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        self._count += 1
        self.places.setdefault(path, self._place(node.start_mark))
        if self._count > MAX_NODES:
            raise _stop(node, TOO_MANY)
        if len(path) >= MAX_DEPTH:
            raise _stop(node, TOO_DEEP)
        if id(node) in self._open:
            raise _stop(node, "an alias contains itself; write the values out")
        self._open.add(id(node))
        try:
            return self._by_kind(node, path)
        finally:
            self._open.discard(id(node))

    def _by_kind(self, node: yaml.Node, path: Path_) -> Any:
        if node.tag not in TAGS:
            tag = brief(node.tag.replace("tag:yaml.org,2002:", "!!"))
            self._fault(node, f"the tag {tag} is not allowed; a config holds plain data only, remove it")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self._fault(key_node, "a key must be plain text, not a list or mapping")
                continue
            if key in data:
                self._fault(key_node, f"the key '{brief(key)}' is given twice; remove one")
            self.places[(*path, key)] = self._place(key_node.start_mark)
            data[key] = self._value(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.Node) -> Any:
        if "\0" in node.value:
            self._fault(node, "the character U+0000 is not allowed; remove it")
        try:
            return self._scalars.construct_object(node)
        except (ValueError, LookupError, yaml.YAMLError):
            self._fault(node, f"cannot read the value {brief(node.value)!r} as {node.tag.rpartition(':')[2]}")
            return None

    def _fault(self, node: yaml.Node, message: str) -> None:
        self._faults.append(Fault(self._place(node.start_mark), message))

    def _place(self, mark: Any) -> str:
        return f"{self.source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else self.source


def _stop(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = brief(error.problem or "damaged")
    said = f"{error.context}, {problem}" if problem.startswith("but") else problem
    hints = [hint for beginning, hint in HINTS.items() if problem.startswith(beginning)]
    return "; ".join([said, *hints])
