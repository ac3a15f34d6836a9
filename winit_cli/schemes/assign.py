"""Which scheme fills which parameter: every one is covered by exactly one rule."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from winit_cli.errors import ConfigError, Fault, brief
from winit_cli.foreign import ForeignError, blaming
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.recipe import LAYERS, Recipe, Use
from winit_cli.schemes.reset import reset_of
from winit_cli.schemes.slots import Slot
from winit_cli.tables import find

ZEROS = Use("zeros")
DEFAULT = Use("pytorch_default")
AS_BUILT = Use("as_built")
LAYERS_OWN_START = {"norm": "norm layer's own", "scale": "scale's own"}  # what no scheme fills unless it says so
LAYERS_OWN = (AS_BUILT.scheme, DEFAULT.scheme)  # values that no function of a scheme makes


@dataclass(frozen=True)
class Assignment:
    """A parameter, the scheme that fills it, and the part of the recipe that says so; ``through`` are the schemes that
    chose it, outermost first."""

    slot: Slot
    use: Use
    rule: str
    through: tuple[Use, ...] = ()

    @property
    def fitted(self) -> Use | None:
        """The scheme that looks at data and changes the parameter afterwards."""
        return next((use for use in self.through if SCHEMES[use.scheme].fit is not None), None)

    def rate(self, optimizer: str) -> float:
        """What multiplies the learning rate of the parameter.

        Raises:
            ForeignError: a plug-in's scheme gives no finite number from 0 on, or raised an error.
        """
        for use in self.through:
            rate = SCHEMES[use.scheme].rate
            if rate is not None:
                with blaming(asked := f"rate of scheme {use.scheme}, asked about {self.slot.name} and {optimizer},"):
                    return _factor(rate(self.slot, optimizer, **use.arguments), asked)
        return 1.0


def _factor(value: object, asked: str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ForeignError(f"{asked} returned {brief(repr(value))}, expected a finite number, 0 or more")
    return value


def assign(model_slots: Iterable[Slot], recipe: Recipe) -> list[Assignment]:
    """Decide for every parameter which scheme fills it; touches no weight, so it works on the meta device.

    Raises:
        ConfigError: see :func:`initialize`; all faults at once.
    """
    model_slots = list(model_slots)
    chosen = [(slot, _chosen(slot, recipe)) for slot in model_slots]
    weights = [(slot, use) for slot, use in chosen if slot.kind != "bias" and use is not None]
    beside = {name: use for slot, use in weights for name in (slot.name, *slot.ties)}
    chosen = [(slot, use or _bias(slot, recipe, beside)) for slot, use in chosen]
    faults = [*_uncovered([slot for slot, use in chosen if use is None], recipe), *_idle(recipe, chosen)]
    assignments = [_settled(slot, *use) for slot, use in chosen if use is not None]
    faults += [*_unfillable(assignments, recipe), *_needless(assignments, recipe)]
    if faults:
        raise ConfigError([Fault("", fault) for fault in faults])
    return assignments


def rates_of(assignments: Sequence[Assignment], optimizer: str) -> dict[str, float]:
    """What multiplies the learning rate of every parameter that trains, by name; a parametrized weight's goes for all
    that it is computed from."""
    named = ((a, [*(name for name, _ in a.slot.originals), a.slot.name, *a.slot.ties]) for a in assignments)
    return {name: a.rate(optimizer) for a, names in named for name in names}


def _settled(slot: Slot, use: Use, rule: str = "", through: tuple[Use, ...] = ()) -> Assignment:
    """What a scheme that treats parameters differently chooses for this one; others stay as they are."""
    slot = slot.packed() if use.is_packed else slot
    row = SCHEMES[use.scheme]
    if row.choose is None:
        return Assignment(slot, use, rule, through)
    through = (*through, use)
    with blaming(f"scheme {row.name}") if row.source else contextlib.nullcontext():
        chosen = row.choose(slot, **use.arguments)
        fan = {"fan": "torch"} if use.is_packed or chosen.is_packed else {}
        if chosen.scheme == row.name:
            return Assignment(slot.packed() if fan else slot, Use(row.name, {**chosen.options, **fan}), rule, through)
        other = find(SCHEMES, chosen.scheme, "scheme")
        options = other.options(**chosen.arguments).model_dump()
    return _settled(slot, Use(other.name, options | fan), rule, through)


def _chosen(slot: Slot, recipe: Recipe) -> tuple[Use, str] | None:
    """What the rules say, or the fallback where that cannot fill the parameter."""
    use = _choose(slot, recipe)
    if use is None or recipe.fallback is None or _fills(_settled(slot, *use)):
        return use
    return recipe.fallback, "fallback"


def _choose(slot: Slot, recipe: Recipe) -> tuple[Use, str] | None:
    """The first rule that matches, else ``others`` for weights; norm layers keep what they are built with."""
    others = None if recipe.others is None else (recipe.others, "others" if recipe.rules else "scheme")
    if slot.frozen:
        return AS_BUILT, "frozen"
    for index, rule in enumerate(recipe.rules):
        if rule.matches(slot):
            return rule.use, recipe.name_of(index)
    if slot.kind in LAYERS_OWN_START:
        if recipe.main is not None and slot.kind in SCHEMES[recipe.main.scheme].also:
            return recipe.main, "scheme"
        if recipe.scheme == AS_BUILT.scheme:
            return AS_BUILT, "scheme"
        return DEFAULT if reset_of(slot.module) else AS_BUILT, LAYERS_OWN_START[slot.kind]
    if slot.kind in LAYERS:
        return others
    return others if slot.kind == "other" and _speaks_of_unknown_layers(slot, recipe) else None


def _speaks_of_unknown_layers(slot: Slot, recipe: Recipe) -> bool:
    """A plain scheme does only where it leaves the values to the layer itself."""
    if recipe.rules or recipe.others is None:
        return recipe.others is not None
    settled = _settled(slot, recipe.others)
    return settled.use.scheme in LAYERS_OWN and _fills(settled)


def _bias(slot: Slot, recipe: Recipe, beside: dict[str, tuple[Use, str]]) -> tuple[Use, str] | None:
    """``bias:`` if given; else that of the weight of the same name (``weight_ih_l0`` for ``bias_ih_l0``), or zeros."""
    if slot.kind != "bias":
        return None
    if recipe.bias is not None:
        use = recipe.bias, "bias"
        fills = recipe.fallback is None or _fills(_settled(slot, *use))
        return use if fills else (recipe.fallback or ZEROS, "fallback")
    weight = beside.get(slot.name.removesuffix(slot.local) + slot.local.replace("bias", "weight", 1))
    if weight is None and recipe.main is not None:
        weight = recipe.main, "scheme"
    if weight is None or not SCHEMES[weight[0].scheme].own_biases:
        return ZEROS, "bias"
    return (AS_BUILT, "beside a frozen weight") if weight[1] == "frozen" else weight


def _fills(assignment: Assignment) -> bool:
    if assignment.use.scheme == DEFAULT.scheme:
        return reset_of(assignment.slot.module) is not None
    return assignment.use.scheme == AS_BUILT.scheme or SCHEMES[assignment.use.scheme].can_fill(
        assignment.slot.block_shape
    )


def _uncovered(missing: Sequence[Slot], recipe: Recipe) -> list[str]:
    """One fault for all parameters that nothing covers, with rules to paste."""
    if not missing:
        return []
    names = ", ".join(f"{slot.name} {slot.shape}" for slot in missing)
    rules = [
        f'  - {{params: "{slot.name}", scheme: {"as_built" if slot.kind == "other" else "kaiming_normal"}}}'
        for slot in missing
    ]
    others = [f"others: {_spelled(recipe.others)}"] if recipe.others is not None else []
    block = "\n".join(f"      {line}" for line in ["rules:", *rules, *others])
    keep = "keep what the constructor made with others: as_built (on the command line SCHEME:others=as_built)"
    return [f"no rule covers {names}; {keep}, or add rules:\n{block}"]


def _spelled(use: Use) -> str:
    """As an entry in YAML."""
    if not use.options:
        return use.scheme
    options = "".join(f", {key}: {value}" for key, value in use.options.items())
    return f"{{scheme: {use.scheme}{options}}}"


def _idle(recipe: Recipe, chosen: Sequence[tuple[Slot, tuple[Use, str] | None]]) -> list[str]:
    """Rules that win no parameter: a typing error, or shadowed by an earlier rule."""
    winners = {use[1] for _, use in chosen if use is not None}
    names = ", ".join(slot.name for slot, _ in chosen)
    return [
        f"{recipe.name_of(index)} ({rule.params or rule.layers}) wins no parameter: none matches, earlier rules take "
        f"them all, or they are frozen; the parameters are {names}"
        for index, rule in enumerate(recipe.rules)
        if recipe.name_of(index) not in (*winners, "scheme")
    ]


def _needless(assignments: Sequence[Assignment], recipe: Recipe) -> list[str]:
    """Schemes for one kind of parameter in a model that has none."""
    filled = {a.use.scheme for a in assignments}
    asked = dict.fromkeys(use.scheme for use in recipe.uses if use is not recipe.fallback)
    return [
        f"'{name}' is for {SCHEMES[name].applies_to}, and the model has none; remove it, or choose another model"
        for name in asked
        if SCHEMES[name].is_needed and name not in filled
    ]


def _unfillable(assignments: Sequence[Assignment], recipe: Recipe) -> list[str]:
    """One fault for all parameters that a scheme cannot fill in the same part of the recipe."""
    refused: dict[tuple[str, str], list[str]] = {}
    for a in assignments:
        if not _fills(a):
            refused.setdefault((a.use.scheme, a.rule), []).append(f"{a.slot.name} {a.slot.shape}")
    return [
        f"'{scheme}' cannot fill {', '.join(names)}: it fills {SCHEMES[scheme].applies_to}; {_cure(rule, recipe)}"
        for (scheme, rule), names in refused.items()
    ]


def _cure(rule: str, recipe: Recipe) -> str:
    if rule == "bias":
        return "use bias: zeros, or bias: {scheme: constant, val: …}"
    if recipe.fallback is not None:
        return "choose another fallback, e.g. fallback: kaiming_normal"
    return "add a fallback for such parameters to the entry, e.g. fallback: kaiming_normal"
