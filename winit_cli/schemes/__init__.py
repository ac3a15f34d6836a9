"""Schemes: named ways to fill parameters. To add one, write its function in a family's file and one row."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from winit_cli.schemes import default, fixed, structured, variance
from winit_cli.schemes.row import Scheme
from winit_cli.tables import table

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMES: dict[str, Scheme] = table(*default.SCHEMES, *variance.SCHEMES, *structured.SCHEMES, *fixed.SCHEMES)

__all__ = ["SCHEMES", "Scheme"]


class _Schemes(ModuleType):
    """This module, which can be called: importing it makes it the attribute ``winit.schemes``."""

    def __call__(self) -> DataFrame:
        """All schemes: name, family, options, what they fill, one line about each, other names, formula, what they
        keep constant, paper.

        >>> import winit_cli as winit
        >>> winit.schemes().set_index("name").loc["kaiming_normal", "family"]
        'variance scaling'
        """
        from pandas import DataFrame

        from winit_cli.schemes.listed import listed

        papers = [{"formula": row.formula, "keeps": row.keeps, "paper": row.paper} for row in SCHEMES.values()]
        return DataFrame([row | more for row, more in zip(listed(SCHEMES.values()), papers, strict=True)])


sys.modules[__name__].__class__ = _Schemes
