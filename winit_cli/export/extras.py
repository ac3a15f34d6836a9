"""Packages that only some exports need, and that ``pip install winit`` leaves out."""

from __future__ import annotations

import importlib

from winit_cli.errors import UsageError


def need(module: str, extra: str) -> None:
    """Import a module.

    Raises:
        UsageError: it is not installed; how to get it.
    """
    try:
        importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UsageError(
            f"--to {extra} needs {package}, which is not installed here; get it with: pip install 'winit[{extra}]'"
        ) from None
