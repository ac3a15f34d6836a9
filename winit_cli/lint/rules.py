"""The function of every rule, in the order in which findings are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from winit_cli.config.ignore import LintName
from winit_cli.lint.biases import random_biases
from winit_cli.lint.config import few_seeds, relies_on_default, shared_lr
from winit_cli.lint.gains import gain_mismatch, selu_gain
from winit_cli.lint.gates import forget_bias
from winit_cli.lint.kinds import one_scheme_for_all
from winit_cli.lint.packed import packed_gates
from winit_cli.lint.sizes import std_too_large, std_too_small
from winit_cli.lint.subject import Found, Label, Study
from winit_cli.lint.units import dead_units, identical_units

Rule = Callable[[Study], Iterator[Found]]


def _each(look: Callable[[Label], Iterator[Found]]) -> Rule:
    """A rule about single labels as one about a study."""
    return lambda study: (found for label in study.labels for found in look(label))


RULES: dict[LintName, Rule] = {
    "std-too-small": _each(std_too_small),
    "std-too-large": _each(std_too_large),
    "gain-mismatch": _each(gain_mismatch),
    "selu-gain": _each(selu_gain),
    "identical-units": _each(identical_units),
    "dead-units": _each(dead_units),
    "random-biases": _each(random_biases),
    "forget-bias": _each(forget_bias),
    "packed-gates": _each(packed_gates),
    "one-scheme-for-all": _each(one_scheme_for_all),
    "relies-on-default": relies_on_default,
    "few-seeds": few_seeds,
    "shared-lr": shared_lr,
}
