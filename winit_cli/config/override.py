"""``-s key=value``: change one value of a document before it is resolved."""

from __future__ import annotations

from typing import Any

from winit_cli.config.document import Document, parse_value, shown
from winit_cli.config.plain_yaml import Path_
from winit_cli.errors import ConfigError, Fault, UsageError, brief

SIDES = ("bias", "others", "fallback", "recurrent", "input")


def override(document: Document, text: str) -> None:
    """Apply ``train.lr=0.1`` to a document in place; the value is YAML, a list index is a number.

    Raises:
        UsageError: the text is not ``key=value``, the value is not YAML, or the key leads nowhere.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"-s {text}: expected key=value, e.g. -s train.lr=0.1")
    parts = key.strip().split(".")
    if "" in parts:
        raise UsageError(f"-s {text}: '{key}' has an empty part; write the key like train.lr or schemes.0.gain")
    path = ("vary", ".".join(parts[1:])) if parts[0] == "vary" and len(parts) > 1 else tuple(parts)
    option = f"-s {brief(text)}"
    assign(document, path, parse_value(value, option), option)


def assign(document: Document, path: Path_, value: Any, place: str) -> None:
    """Set the value at ``path``, expanding shorthands (``model: mlp``) on the way; ``place`` is for messages.

    Raises:
        ConfigError: the path leads through something that is neither a mapping nor a list.
    """
    here: Any = document.data
    for depth, part in enumerate(path[:-1]):
        here = _step(document, here, part, path[: depth + 1], place)
    if isinstance(here, list):
        here[_index(here, path[-1], place)] = value
    else:
        here[path[-1]] = value
    numbered = _numbered(path)
    document.places = {old: where for old, where in document.places.items() if old[: len(numbered)] != numbered}
    document.places[numbered] = place


def _step(document: Document, here: Any, part: str | int, path: Path_, place: str) -> Any:
    key: Any = _index(here, part, place) if isinstance(here, list) else part
    inner = here[key] if isinstance(here, list) else here.get(key)
    if inner is None:
        inner = {}
        document.places[_numbered(path)] = place
    elif isinstance(inner, str) and (name := _shorthand(path)):
        inner = {name: inner}
    elif not isinstance(inner, dict | list):
        what = f"{'.'.join(map(str, path))} is {shown(inner)} and has no keys of its own"
        raise ConfigError([Fault(place, f"{what}; the key must lead to one value")])
    here[key] = inner
    return inner


def _shorthand(path: Path_) -> str | None:
    """The key that text alone stands for: ``mlp`` is ``{name: mlp}``."""
    if path in (("model",), ("data",)):
        return "name"
    is_use = path[0] == "schemes" and (len(path) == 2 or path[-1] in SIDES)
    return "scheme" if is_use else None


def _index(items: list[Any], part: str | int, place: str) -> int:
    if not _is_index(part) or int(part) >= len(items):
        raise ConfigError([Fault(place, f"'{part}' is not a position in a list of {len(items)}; the first is 0")])
    return int(part)


def _is_index(part: str | int) -> bool:
    return str(part).isascii() and str(part).isdigit()


def _numbered(path: Path_) -> Path_:
    """Positions as numbers, as the places have them."""
    return tuple(int(part) if _is_index(part) else part for part in path)
