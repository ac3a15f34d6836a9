"""What a row from outside must satisfy before it stands in a table; winit's own rows are tested for the same."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from winit_cli.errors import brief
from winit_cli.foreign import ForeignError, blaming, place_of_function
from winit_cli.rng import generator
from winit_cli.schemes import Scheme
from winit_cli.schemes.assign import LAYERS_OWN_START
from winit_cli.schemes.recipe import ENTRY_KEYS
from winit_cli.tables import options_of
from winit_cli.theory.moments import Moments

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
SHAPE = (120, 90, 5, 4, 3)  # its first dimensions are those of the tensor that a scheme is tried on
STANDARD_ERRORS = 6


def check_name(row: Any, rows: Mapping[str, Any], kind: str, place: str) -> None:
    """Raise ``ForeignError`` for a name or alias that is no identifier, or taken."""
    taken = {name for other in rows.values() for name in (other.name, *other.aliases)}
    for name in (row.name, *row.aliases):
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ForeignError(
                f"{place}{kind} name {brief(repr(name))}: use small letters, digits and _, beginning with a letter"
            )
        if name in taken:
            raise ForeignError(f"{place}there is a {kind} named '{name}' already; choose another name")


def check_signature(function: Callable[..., Any], positional: int, what: str) -> None:
    """Raise ``ForeignError`` unless a function takes so many positional arguments, and options by keyword only."""
    if not callable(function):
        raise ForeignError(f"{what}: expected a function, got {brief(repr(function))}")
    place = place_of_function(function)
    parameters = inspect.signature(function).parameters.values()
    first = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(first) != positional or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise ForeignError(
            f"{place}{what} must take {positional} positional argument(s), and its options by keyword only (after *)"
        )
    with blaming(f"reading the options of {what}"):
        options_of(function).model_json_schema()


def check_scheme(row: Scheme) -> None:
    """Raise ``ForeignError`` unless a scheme fills in place, draws from its generator alone, as its moments say.

    It is tried on one tensor; one that chooses among others, or whose options have no defaults, cannot be.
    """
    if row.has_no_function:
        raise ForeignError(f"scheme {row.name}: give it fill=…, or choose=…")
    function = row.choose or row.fill
    place, what = place_of_function(function), f"scheme {row.name}"
    check_signature(function, 1 if row.choose else 2, what)
    _check_values(row, what)
    _check_companions(row, what)
    for taken in [name for name in row.options.model_fields if name in ENTRY_KEYS]:
        raise ForeignError(f"{place}{what}: '{taken}' is a key of every entry; call the option otherwise")
    if row.choose is not None or any(field.is_required() for field in row.options.model_fields.values()):
        return
    options = row.options().model_dump()
    with blaming(f"the check of {what}"):
        row.check(options)
    before = torch.get_rng_state()
    first, second = (_filled(row, options, what) for _ in range(2))
    if not torch.equal(before, torch.get_rng_state()):
        torch.set_rng_state(before)
        raise ForeignError(f"{place}{what} draws from torch's global generator; hand on the generator it is given")
    if not torch.isfinite(first).all():
        raise ForeignError(f"{place}{what} leaves values that are not finite; fill the whole tensor in place")
    if not torch.equal(first, second):
        raise ForeignError(f"{place}{what} gives other values at the second call; draw from the generator it is given")
    _check_moments(row, options, first, f"{place}{what}")


def _check_values(row: Scheme, what: str) -> None:
    """Fields of the row that another type would fail much later."""
    dims = row.dims
    texts = (row.family, row.summary, row.formula, row.keeps, row.paper, row.torch_call, row.fills, *row.pitfalls)
    faults = {
        "dims": isinstance(dims, tuple) and len(dims) == 2 and all(type(d) is int for d in dims) and dims[0] <= dims[1],
        "aliases": isinstance(row.aliases, tuple),
        "pitfalls": isinstance(row.pitfalls, tuple),
        "texts": all(isinstance(text, str) for text in texts),
        "moments": callable(row.moments),
        "check": callable(row.check),
        "fits": callable(row.fits),
        "also": isinstance(row.also, tuple) and all(kind in [*LAYERS_OWN_START] for kind in row.also),
        "own_biases": row.own_biases is False or row.choose is not None,
    }
    for name, fits in faults.items():
        if not fits:
            given = brief(repr(getattr(row, name, texts)))
            raise ForeignError(f"{what}: {name} cannot be {given}; see winit.Scheme for what it takes")


def _check_companions(row: Scheme, what: str) -> None:
    """The functions that take the options beside those of ``choose`` or ``fill``."""
    for name, first in {"fit": ("fitting",), "rate": ("slot", "optimizer"), "code": ()}.items():
        function = getattr(row, name)
        if function is None:
            continue
        if not callable(function):
            raise ForeignError(f"{what}: {name} cannot be {brief(repr(function))}; see winit.Scheme for what it takes")
        if first and row.choose is None:
            raise ForeignError(
                f"{what}: {name} is for schemes that have choose=…; give it that too, or leave {name} out"
            )
        options = list(row.options.model_fields)
        with blaming(f"{name} of {what}"):
            signature = inspect.signature(function)
        try:
            signature.bind(*first, **dict.fromkeys(options))
        except TypeError as error:
            called = ", ".join([*first, *(f"{option}=…" for option in options)])
            place = place_of_function(function)
            raise ForeignError(f"{place}{name} of {what} is called as {name}({called}): {error}") from None


def _filled(row: Scheme, options: Mapping[str, Any], what: str) -> Tensor:
    dims = min(max(row.dims[0], 2), row.dims[1])
    tensor = torch.full(SHAPE[:dims], math.nan)
    with blaming(what), torch.no_grad():
        row.fill(tensor, generator(0, "check"), **options)
    return tensor


def _check_moments(row: Scheme, options: Mapping[str, Any], values: Tensor, what: str) -> None:
    """Mean and standard deviation as promised, within six standard errors (of a normal distribution)."""
    with blaming(f"the moments of {what}"):
        moments = row.moments(tuple(values.shape), **options)
    if not isinstance(moments, Moments) or not all(_is_number(value) for value in (moments.std, moments.mean)):
        raise ForeignError(f"the moments of {what} are {moments!r}, expected winit.Moments(std=…, mean=…) of numbers")
    if moments.std is None:
        return
    mean, std, n = float(values.double().mean()), float(values.double().std(correction=0)), values.numel()
    error = max(moments.std, std) / math.sqrt(n)
    if moments.mean is not None and abs(mean - moments.mean) > STANDARD_ERRORS * error + 1e-6:
        raise ForeignError(f"{what} gives values of mean {mean:.4g} where its moments promise {moments.mean:.4g}")
    if abs(std - moments.std) > STANDARD_ERRORS * error + 1e-6:
        raise ForeignError(f"{what} gives values of std {std:.4g} where its moments promise {moments.std:.4g}")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and math.isfinite(value))
