"""Schemes: named ways to fill parameters. To add one, write its function in a family's file and one row."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from winit_cli.schemes import (
    autoinit,
    deep,
    default,
    driven,
    fixed,
    frameworks,
    gradinit,
    isometry,
    krahenbuhl,
    lecun,
    metainit,
    mimetic,
    mup,
    outputs,
    per_unit,
    recurrent,
    residual,
    structured,
    transformer,
    variance,
)
from winit_cli.schemes.row import Scheme
from winit_cli.tables import table

if TYPE_CHECKING:
    from pandas import DataFrame

FILES = (
    *(default, variance, lecun, fixed, frameworks, deep, structured, isometry, recurrent, residual),
    *(transformer, mimetic, mup, outputs),
    *(driven, krahenbuhl, per_unit, autoinit, gradinit, metainit),
)
FAMILIES = (
    "default",
    "variance scaling",
    "structured",
    "recurrent",
    "residual",
    "transformer",
    "width",
    "data-driven",
    "learned",
    "outputs",
    "fixed",
)
ROWS = [row for file in FILES for row in file.SCHEMES]
SCHEMES: dict[str, Scheme] = table(*sorted(ROWS, key=lambda row: FAMILIES.index(row.family)))

PAPER = ("formula", "keeps", "paper")

__all__ = ["SCHEMES", "Scheme"]


class _Schemes(ModuleType):
    """This module, which can be called: importing it makes it the attribute ``winit.schemes``."""

    def __call__(self) -> DataFrame:
        """All schemes: name, family, options, what they fill, in which layers, one line about each, other names,
        formula, what they keep constant, paper.

        >>> import winit_cli as winit
        >>> winit.schemes().set_index("name").loc["kaiming_normal", "family"]
        'variance scaling'
        """
        from pandas import DataFrame

        from winit_cli.schemes.listed import listed

        rows = [row | {key: getattr(SCHEMES[row["name"]], key) for key in PAPER} for row in listed(SCHEMES.values())]
        return DataFrame(rows)


sys.modules[__name__].__class__ = _Schemes
