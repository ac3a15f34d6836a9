"""Schemes: named ways to fill parameters. To add one, write its function in a family's file and one row."""

from winit_cli.schemes import default, fixed, structured, variance
from winit_cli.schemes.row import Scheme
from winit_cli.tables import table

SCHEMES: dict[str, Scheme] = table(*default.SCHEMES, *variance.SCHEMES, *structured.SCHEMES, *fixed.SCHEMES)

__all__ = ["SCHEMES", "Scheme"]
