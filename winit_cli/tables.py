"""Tables of named rows (schemes, models, data sets) and the options their functions take.

A row's options are the keyword-only parameters of its function: names, types, bounds and defaults
stand in the signature alone, and validation, ``winit list`` and the JSON Schema are derived from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Protocol, TypeVar, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from winit_cli.errors import UsageError, brief, known


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, got true or false")
    return value


LARGEST = 2**31 - 1  # of counts and sizes
PositiveInt = Annotated[int, Field(strict=True, ge=1, le=LARGEST)]
NonNegativeInt = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
Depth = Annotated[int, Field(strict=True, ge=0, le=10_000)]  # layers one after another, each built by itself
Layers = Annotated[int, Field(strict=True, ge=1, le=10_000)]
Int = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
LARGEST_NUMBER = 1e30  # single precision ends at 3.4e38, and ranges and products must stay below it
Number = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False, ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
PositiveNumber = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False, gt=0, le=LARGEST_NUMBER)]
NonNegativeNumber = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False, ge=0, le=LARGEST_NUMBER)]


class Strict(BaseModel):
    """A frozen pydantic model that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Open(Strict):
    """A frozen pydantic model that takes other keys too, for functions with ``**kwargs``."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Named(Protocol):
    """What all rows share."""

    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


RowT = TypeVar("RowT", bound=Named)


def table(*rows: RowT) -> dict[str, RowT]:
    """Rows by name; a name or alias used twice is a programming error."""
    spelled = [name for row in rows for name in (row.name, *row.aliases)]
    assert len(spelled) == len(set(spelled)), f"a name or alias is used twice: {sorted(spelled)}"
    return {row.name: row for row in rows}


def find(rows: Mapping[str, RowT], name: str, kind: str) -> RowT:
    """The row called ``name`` (an alias, other case or torch's trailing underscore will do).

    Raises:
        UsageError: no row has that name; the message names the nearest one.
    """
    if name in rows:
        return rows[name]
    wanted = name.strip().lower().replace("-", "_").rstrip("_")
    for row in rows.values():
        if wanted == row.name or wanted in row.aliases:
            return row
    aliases = [alias for row in rows.values() for alias in row.aliases]
    raise UsageError(f"unknown {kind} '{brief(name)}'; {known(name, rows, aliases)}")


@cache
def options_of(function: Callable[..., Any]) -> type[Strict]:
    """The pydantic model of a function's options, its keyword-only parameters."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    title = getattr(function, "__name__", "options")
    takes_more = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return create_model(title, __base__=Open if takes_more else Strict, **fields)


def spelled_options(cls: type[BaseModel]) -> str:
    """``gain=1.0, mode=fan_in``; an option without a default stands alone."""
    fields = cls.model_fields.items()
    return ", ".join(name if field.is_required() else f"{name}={_spelled(field.default)}" for name, field in fields)


def _spelled(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
