"""``-s key=value``: change one value of a document before it is resolved."""

from __future__ import annotations

from typing import Any

from winit_cli.config.document import Document, Path_, parse_value
from winit_cli.errors import ConfigError, Fault, UsageError

SHORTHAND = {"model": "name", "data": "name", "schemes": "scheme"}


def override(document: Document, text: str) -> None:
    """Apply ``train.lr=0.1`` to a document in place; the value is YAML, a list index is a number.

    Raises:
        UsageError: the text is not ``key=value``, the value is not YAML, or the key leads nowhere.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"-s {text}: expected key=value, e.g. -s train.lr=0.1")
    parts = key.strip().split(".")
    path = ("vary", ".".join(parts[1:])) if parts[0] == "vary" and len(parts) > 1 else tuple(parts)
    try:
        parsed = parse_value(value)
    except ConfigError as error:
        raise UsageError(f"-s {text}: {error.faults[0].message}") from None
    assign(document, path, parsed, f"-s {text}")


def assign(document: Document, path: Path_, value: Any, place: str) -> None:
    """Set the value at ``path``, expanding shorthands (``model: mlp``) on the way; ``place`` is for messages.

    Raises:
        ConfigError: the path leads through something that is neither a mapping nor a list.
    """
    here: Any = document.data
    for depth, part in enumerate(path[:-1]):
        here = _step(here, part, path[: depth + 1], place)
    if isinstance(here, list):
        here[_index(here, path[-1], place)] = value
    else:
        here[path[-1]] = value
    numbered = tuple(int(part) if str(part).isdigit() else part for part in path)
    document.places = {old: where for old, where in document.places.items() if old[: len(numbered)] != numbered}
    document.places[numbered] = place


def _step(here: Any, part: str | int, path: Path_, place: str) -> Any:
    key: Any = _index(here, part, place) if isinstance(here, list) else part
    inner = here[key] if isinstance(here, list) else here.get(key)
    if inner is None:
        inner = {}
    elif isinstance(inner, str) and path[0] in SHORTHAND:
        inner = {SHORTHAND[str(path[0])]: inner}
    elif not isinstance(inner, dict | list):
        raise ConfigError([Fault(place, f"{'.'.join(map(str, path))} is {inner!r} and has no keys of its own")])
    here[key] = inner
    return inner


def _index(items: list[Any], part: str | int, place: str) -> int:
    if not str(part).isdigit() or int(part) >= len(items):
        raise ConfigError([Fault(place, f"'{part}' is not a position in a list of {len(items)}; the first is 0")])
    return int(part)
