"""Findings of ``winit check`` on a few lines of YAML, without the command line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from small import plan_of

from winit_cli.errors import ConfigError
from winit_cli.lint.check import Checked, check_plan
from winit_cli.lint.finding import Finding

MLP = """
name: linted
model: {name: mlp, width: 30, depth: 3, activation: relu}
data: {name: gaussian, features: 30, classes: 4, train_size: 128, test_size: 8}
schemes: [kaiming_normal, {scheme: orthogonal, gain: auto}]
train: {steps: 1, batch_size: 64}
seeds: 6
"""
SEQUENCES = "data={name: adding, length: 30, train_size: 128, test_size: 8}"
IMAGES = "data={name: digits, train_size: 128, test_size: 8}"
LSTM = ("model={name: lstm, hidden: 16}", SEQUENCES)


def checked(*settings: str, text: str = MLP) -> Checked:
    """All that is found in a config with ``key=value`` overrides, by rules none of which raises an error."""
    result = check_plan(plan_of(*settings, text=text))
    assert result.failed == []
    return result


def found(rule: str, *settings: str, text: str = MLP) -> list[Finding]:
    """What one rule finds."""
    return [one for one in checked(*settings, text=text).findings if one.rule == rule]


def of(scheme: Any, rule: str, *settings: str) -> list[Finding]:
    """What one rule finds of one entry of ``schemes:``."""
    return found(rule, f"schemes=[{json.dumps(scheme)}]", *settings)


def fitting(entries: Sequence[dict[str, Any]], *settings: str) -> list[dict[str, Any]]:
    """The entries that fit a model: some schemes are for layers that it has not."""
    found = []
    for entry in entries:
        with contextlib.suppress(ConfigError):
            plan_of(f"schemes=[{json.dumps(entry)}]", *settings, text=MLP)
            found.append(entry)
    return found


def warned(result: Checked, rules: Sequence[str]) -> dict[str, set[str]]:
    """The warnings by label."""
    labels: dict[str, set[str]] = {}
    for one in result.warnings:
        for label in one.labels if one.rule in rules else ():
            labels.setdefault(label, set()).add(one.rule)
    return labels
