"""Apply a recipe to a model: every parameter is covered by exactly one rule, and drawn from its own generator."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.utils.parametrize import remove_parametrizations

from winit_cli.errors import ConfigError, Fault, UsageError
from winit_cli.rng import DrawFrom, forked, generator
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.recipe import LAYERS, Recipe, Use
from winit_cli.schemes.slots import Slot, slots

ZEROS = Use("zeros")
DEFAULT = Use("pytorch_default")
AS_BUILT = Use("as_built")


@dataclass(frozen=True)
class Assignment:
    """A parameter, the scheme that fills it, and the part of the recipe that says so."""

    slot: Slot
    use: Use
    rule: str


def initialize(model: nn.Module, recipe: Recipe, seed: int) -> list[Assignment]:
    """Fill a model's parameters in place and return what was done to each.

    Parameter p is drawn from the generator ``(seed, "init", p)`` alone, so it does not depend on what else
    is in the model. The global generator is neither read nor changed.

    Raises:
        ConfigError: a parameter is not covered or cannot be filled, or a rule wins none.
        UsageError: a parametrization takes no given weight, or a lazy module has no shape yet.
    """
    assignments = assign(slots(model), recipe)
    with torch.no_grad():
        _reset([a.slot for a in assignments if a.use.scheme == DEFAULT.scheme], seed)
        for assignment in assignments:
            if not SCHEMES[assignment.use.scheme].own_biases:
                _fill(assignment, generator(seed, "init", assignment.slot.name))
                assignment.slot.write()
    return assignments


def _fill(assignment: Assignment, source: Generator) -> None:
    """Draw on the CPU, where every device gets its bits from."""
    scheme, slot = SCHEMES[assignment.use.scheme], assignment.slot
    in_place = slot.parameter.device.type == "cpu" and slot.parameter.is_contiguous()
    drawn = slot if in_place else replace(slot, parameter=_plain(slot.parameter))
    with forked("init", slot.name) if scheme.source else contextlib.nullcontext():
        for block in drawn.views():
            scheme.fill(block, source, **assignment.use.options)
    if not in_place:
        slot.parameter.copy_(drawn.parameter)


def _plain(parameter: Tensor) -> Tensor:
    """Memory for the same values on the CPU, in the usual order of rows."""
    return torch.empty(parameter.shape, dtype=parameter.dtype)


def _reset(defaults: Sequence[Slot], seed: int) -> None:
    """Copy each parameter from a twin of its module that has reset itself."""
    for module in {id(slot.module): slot.module for slot in defaults}.values():
        mine = [slot for slot in defaults if slot.module is module]
        try:
            twin = _twin(module, [slot.local for slot in mine if slot.originals])
        except RuntimeError as error:
            reason = str(error).partition(".")[0]
            raise UsageError(
                f"{mine[0].name}: its layer cannot be copied to be reset ({reason}); use as_built"
            ) from None
        sources = {slot.local: generator(seed, "init", slot.name) for slot in mine}
        _reset_twin(twin, sources, generator(seed, "init", mine[0].name, "rest"))
        for slot in mine:
            slot.parameter.copy_(getattr(twin, slot.local))
            slot.write()


def _twin(module: nn.Module, parametrized: Sequence[str]) -> nn.Module:
    """A copy of a module, its parametrized weights plain."""
    twin = copy.deepcopy(module).cpu()
    for parameter in twin.parameters():
        parameter.data = parameter.data.contiguous()
    if parametrized:  # undoing a parametrization changes the class, which the copy shares
        cls = type(twin)
        twin.__class__ = type(cls.__name__, cls.__bases__, dict(cls.__dict__))
    for local in parametrized:
        remove_parametrizations(twin, local)
    return twin


def _reset_twin(twin: nn.Module, sources: dict[str, Generator], rest: Generator) -> None:
    places = {getattr(twin, local).data_ptr(): source for local, source in sources.items()}

    def pick(filled: Tensor | None) -> Generator:
        return rest if filled is None else places.get(filled.data_ptr(), rest)

    with DrawFrom(pick):
        reset = _reset_of(twin)
        assert reset is not None
        reset()
    if isinstance(twin, NonDynamicallyQuantizableLinear) and twin.bias is not None:  # an attention's output projection
        nn.init.zeros_(twin.bias)


def _reset_of(module: nn.Module) -> Callable[[], object] | None:
    """What draws a module's own initial values; an attention's has a name of its own."""
    name = "_reset_parameters" if isinstance(module, nn.MultiheadAttention) else "reset_parameters"
    found = getattr(module, name, None)
    if not callable(found):
        return None
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(found).parameters.values()
    needs = any(p.default is p.empty and p.kind not in kinds for p in parameters)
    return None if needs else found


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
    assignments = []
    for slot, use in chosen:
        if use is not None:
            assignment = Assignment(slot, *use)
            assignments.append(assignment)
    faults += _unfillable(assignments, recipe)
    if faults:
        raise ConfigError([Fault("", fault) for fault in faults])
    return assignments


def _chosen(slot: Slot, recipe: Recipe) -> tuple[Use, str] | None:
    """What the rules say, or the fallback where that cannot fill the parameter."""
    use = _choose(slot, recipe)
    if use is None or recipe.fallback is None or _fills(Assignment(slot, *use)):
        return use
    return recipe.fallback, "fallback"


def _choose(slot: Slot, recipe: Recipe) -> tuple[Use, str] | None:
    """The first rule that matches, else ``others`` for weights; norm layers keep what they are built with."""
    others = None if recipe.others is None else (recipe.others, "others" if recipe.rules else "scheme")
    if slot.frozen:
        return AS_BUILT, "frozen"
    for index, rule in enumerate(recipe.rules):
        if rule.matches(slot):
            return rule.use, "scheme" if recipe.plain else f"rules.{index}"
    if slot.kind == "norm":
        return (AS_BUILT, "scheme") if recipe.scheme == AS_BUILT.scheme else (DEFAULT, "norm layer's own")
    if slot.kind in LAYERS:
        return others
    return others if slot.kind == "other" and _speaks_of_unknown_layers(slot, recipe) else None


def _speaks_of_unknown_layers(slot: Slot, recipe: Recipe) -> bool:
    """A plain scheme does only where it leaves the values to the layer itself."""
    if recipe.rules or recipe.others is None:
        return recipe.others is not None
    return SCHEMES[recipe.others.scheme].own_biases and _fills(Assignment(slot, recipe.others, ""))


def _bias(slot: Slot, recipe: Recipe, beside: dict[str, tuple[Use, str]]) -> tuple[Use, str] | None:
    """``bias:`` if given; else that of the weight of the same name (``weight_ih_l0`` for ``bias_ih_l0``), or zeros."""
    if slot.kind != "bias":
        return None
    if recipe.bias is not None:
        use = recipe.bias, "bias"
        fills = recipe.fallback is None or _fills(Assignment(slot, *use))
        return use if fills else (recipe.fallback or ZEROS, "fallback")
    weight = beside.get(slot.name.removesuffix(slot.local) + slot.local.replace("bias", "weight", 1))
    if weight is None and recipe.main is not None:
        weight = recipe.main, "scheme"
    if weight is None or not SCHEMES[weight[0].scheme].own_biases:
        return ZEROS, "bias"
    return (AS_BUILT, "beside a frozen weight") if weight[1] == "frozen" else weight


def _fills(assignment: Assignment) -> bool:
    if assignment.use.scheme == DEFAULT.scheme:
        return _reset_of(assignment.slot.module) is not None
    return assignment.use == AS_BUILT or SCHEMES[assignment.use.scheme].can_fill(assignment.slot.block_shape)


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
    keep = "keep what the constructor made with others: as_built (on the command line kaiming:others=as_built)"
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
        f"rules.{index} ({rule.params or rule.layers}) wins no parameter: none matches, earlier rules take "
        f"them all, or they are frozen; the parameters are {names}"
        for index, rule in enumerate(recipe.rules)
        if not recipe.plain and f"rules.{index}" not in winners
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
