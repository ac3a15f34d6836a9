"""Apply a recipe to a model: every parameter is covered by exactly one rule, and drawn from its own generator."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from winit_cli.errors import UnfitError, UsageError
from winit_cli.foreign import blaming
from winit_cli.rng import forked, generator
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.assign import AS_BUILT, DEFAULT, LAYERS_OWN, ZEROS, Assignment, assign
from winit_cli.schemes.fitting import Cost, Examples, Fitting, looking
from winit_cli.schemes.recipe import Recipe
from winit_cli.schemes.reset import reset
from winit_cli.schemes.slots import slots


def initialize(
    model: nn.Module, recipe: Recipe, seed: int, examples: Examples | None = None, cost: Cost | None = None
) -> list[Assignment]:
    """Fill a model's parameters in place and return what was done to each.

    Parameter p is drawn from the generator ``(seed, "init", p)`` alone, or from one that its scheme names, so it does
    not depend on what else is in the model. The global generator is neither read nor changed. Schemes that look at
    data get ``examples``, and what that takes is added to ``cost``; without one, a scheme that cannot work with them
    raises an error.

    Raises:
        ConfigError: a parameter is not covered or cannot be filled, or a rule wins none.
        UsageError: a parametrization takes no given weight, or a lazy module has no shape yet; a scheme looks at data
            and there are no examples, or what it sees there is nothing that it can work with.
    """
    assignments = assign(slots(model), recipe)
    with torch.no_grad():
        reset([a.slot for a in assignments if a.use.scheme == DEFAULT.scheme], seed)
        for assignment in assignments:
            if assignment.use.scheme not in LAYERS_OWN:
                name = SCHEMES[assignment.use.scheme].drawn_as(assignment.slot)
                _fill(assignment, generator(seed, "init", name))
                assignment.slot.write()
    _fit(model, assignments, seed, examples, cost)
    return assignments


def _fit(
    model: nn.Module, assignments: Sequence[Assignment], seed: int, examples: Examples | None, cost: Cost | None
) -> None:
    """Every scheme that looks at data, in the order of the first of its parameters."""
    asked = [a.fitted for a in assignments if a.fitted is not None]
    for use in (use for index, use in enumerate(asked) if use not in asked[:index]):
        if examples is None:
            raise UsageError(f"{use.scheme} looks at training examples: give a batch of them (batch=…)")
        mine = [a.slot for a in assignments if a.fitted == use]
        fit = SCHEMES[use.scheme].fit
        assert fit is not None
        fitting = Fitting(use.scheme, model, mine, examples, generator(seed, "init", use.scheme), cost or Cost())
        # memory that runs out as a scheme of winit looks at a trial is told by what trains it
        is_foreign = cost is None or bool(SCHEMES[use.scheme].source)
        blamed = blaming(fitting.told) if is_foreign else contextlib.nullcontext()
        try:
            with blamed, fitting.cost.timed(), looking(model), forked(seed, "init", use.scheme), torch.no_grad():
                fit(fitting, **use.arguments)
        except UnfitError as error:
            if cost is None:
                raise
            cost.remarks.append(str(error))


def _fill(assignment: Assignment, source: Generator) -> None:
    """Draw on the CPU, where every device gets its bits from."""
    scheme, slot = SCHEMES[assignment.use.scheme], assignment.slot
    in_place = slot.parameter.device.type == "cpu" and slot.parameter.is_contiguous()
    drawn = slot if in_place else replace(slot, parameter=_plain(slot.parameter))
    with forked("init", slot.name) if scheme.source else contextlib.nullcontext():
        for block in drawn.views():
            whole = block if block.is_contiguous() else _plain(block)
            scheme.fill(whole, source, **assignment.use.arguments)
            if whole is not block:
                block.copy_(whole)
    if not in_place:
        slot.parameter.copy_(drawn.parameter)


def _plain(parameter: Tensor) -> Tensor:
    """Memory for the same values on the CPU, in the usual order of rows."""
    return torch.empty(parameter.shape, dtype=parameter.dtype)


__all__ = ["AS_BUILT", "DEFAULT", "ZEROS", "Assignment", "assign", "initialize"]
