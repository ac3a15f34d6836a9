"""A recipe as Python code: the chain of questions that chooses among its schemes, and what these need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from winit_cli.errors import UsageError
from winit_cli.export.schemes_code import Function, function_of
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.assign import AS_BUILT, DEFAULT, LAYERS_OWN, ZEROS
from winit_cli.schemes.recipe import LAYERS, Recipe, Rule, Use

ANY, WEIGHTS = (0, 99), (2, 99)  # dimensions of what a scheme fills; weights of torch's layers have two or more
FITTING = "_fitting(slot, "


@dataclass(frozen=True)
class Step:
    """One question of the chain, with the code of what is returned where the answer is yes."""

    condition: str
    result: str


@dataclass(frozen=True)
class RecipeCode:
    """The parts of a recipe that stand in the file."""

    recipe: Recipe

    @cached_property
    def uses(self) -> list[Use]:
        """Every scheme with its options once, in the order of the recipe; what is kept or reset has no function."""
        r = self.recipe
        given = [*(rule.use for rule in r.rules), r.others, r.bias or ZEROS, r.fallback]
        made = [use for use in given if use is not None and use.scheme not in LAYERS_OWN]
        return [use for i, use in enumerate(made) if use not in made[:i]]

    @cached_property
    def functions(self) -> list[Function]:
        """One for each scheme.

        Raises:
            UsageError: a scheme is no call of torch.
        """
        return [function_of(self._name(use), use) for use in self.uses]

    @property
    def resets(self) -> bool:
        """Whether layers other than norm layers reset themselves, which may draw random numbers."""
        r = self.recipe
        return DEFAULT in (*(rule.use for rule in r.rules), r.others, r.bias, r.fallback)

    @property
    def dims(self) -> dict[str, tuple[int, int]]:
        """The functions that fill only parameters of so many dimensions."""
        return {self._name(use): SCHEMES[use.scheme].dims for use in self.uses if SCHEMES[use.scheme].dims != ANY}

    @property
    def packed(self) -> list[str]:
        """The functions that fill a parameter as the one matrix that torch packs."""
        return [self._name(use) for use in self.uses if use.is_packed]

    @property
    def draws(self) -> bool:
        """Whether code of torch that takes no generator draws random numbers."""
        return self.resets or any(function.own_generator for function in self.functions)

    @property
    def may_not_fit(self) -> bool:
        """Whether a scheme must be asked first if it can fill a parameter."""
        results = [*(step.result for step in self.steps), self.others.result if self.others else "", self.bias or ""]
        return any(result.startswith(FITTING) for result in results)

    @property
    def keeps_norms(self) -> bool:
        """Whether norm layers keep what they have; else they reset themselves."""
        return self.recipe.scheme == AS_BUILT.scheme

    @property
    def steps(self) -> Iterator[Step]:
        """The chain for what is neither frozen, nor a norm layer's, nor a bias, rules first."""
        for rule in self.recipe.rules:
            yield Step(_condition(rule), self._result(rule.use, "weights" if rule.layers else "anything"))

    @property
    def others(self) -> Step | None:
        """What the parameters get that no rule wins, if anything."""
        r = self.recipe
        if r.others is None:
            return None
        if r.rules or r.others == AS_BUILT:
            return Step("", self._result(r.others, "anything"))
        if r.others == DEFAULT:
            return Step("reset_of(slot.module) is not None", "RESET")
        return Step("slot.kind in LAYERS", self._result(r.others, "weights"))

    @property
    def bias(self) -> str | None:
        """What biases get; ``None`` where that depends on the weight beside them."""
        return None if self.recipe.bias is None else self._result(self.recipe.bias, "biases")

    @property
    def bias_alone(self) -> str:
        """What a bias gets that has no weight beside it."""
        main = self.recipe.main
        return self._name(main) if main in (AS_BUILT, DEFAULT) else "zeros"

    def _result(self, use: Use, where: Literal["weights", "biases", "anything"]) -> str:
        fallback = self.recipe.fallback
        dims = SCHEMES[use.scheme].dims
        if use == AS_BUILT or (use == DEFAULT and where != "anything"):
            return self._name(use)
        if use != DEFAULT and (dims == ANY or (dims == WEIGHTS and where == "weights" and fallback is None)):
            return self._name(use)
        names = [self._name(one) for one in (use, fallback) if one is not None]
        return f"{FITTING}{', '.join(names)})"

    def _name(self, use: Use) -> str:
        if use in (AS_BUILT, DEFAULT):
            return "KEEP" if use == AS_BUILT else "RESET"
        alike = [one for one in self.uses if one.scheme == use.scheme]
        number = alike.index(use) + 1
        return use.scheme if number == 1 else f"{use.scheme}_{number}"


def literal(text: str) -> str:
    """A string as Python code, in double quotes where these need no escapes."""
    quoted = repr(text)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in text else quoted


def _condition(rule: Rule) -> str:
    questions = []
    if rule.params is not None:
        glob = re.search(r"[*?[]", rule.params)
        name = literal(rule.params)
        names = "(slot.name, *slot.ties)"
        questions.append(f"any(fnmatchcase(name, {name}) for name in {names})" if glob else f"{name} in {names}")
    if rule.layers is not None:
        if rule.layers not in (*LAYERS, "any"):
            raise UsageError(
                f"layers: {rule.layers} depends on the other layers of a model, so the rule cannot be Python for "
                "any module; use --to safetensors, or params: in its place"
            )
        questions.append("slot.kind in LAYERS" if rule.layers == "any" else f"slot.kind == {literal(rule.layers)}")
    return " and ".join(questions)
