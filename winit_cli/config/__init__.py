"""YAML to a frozen, resolved config."""

from winit_cli.config.document import Document, dump, parse, read
from winit_cli.config.faults import dotted
from winit_cli.config.ignore import Ignore
from winit_cli.config.override import override
from winit_cli.config.plain_yaml import Path_
from winit_cli.config.schema import Entry, Experiment, General, Measure, SchemeEntry, Train
from winit_cli.config.vary import Config, Variant, resolve

__all__ = [
    "Config",
    "Document",
    "Entry",
    "Experiment",
    "General",
    "Ignore",
    "Measure",
    "Path_",
    "SchemeEntry",
    "Train",
    "Variant",
    "dotted",
    "dump",
    "override",
    "parse",
    "read",
    "resolve",
]
