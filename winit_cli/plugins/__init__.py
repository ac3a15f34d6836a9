"""Code from outside winit: rows for its tables from files and installed packages, never from a YAML."""

from winit_cli.plugins.load import is_code
from winit_cli.plugins.register import plugged

__all__ = ["is_code", "plugged"]
