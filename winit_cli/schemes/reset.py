"""A layer's own initial values, each parameter drawn from its own generator."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence

from torch import Generator, Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.utils.parametrize import remove_parametrizations

from winit_cli.errors import UsageError
from winit_cli.rng import DrawFrom, generator
from winit_cli.schemes.slots import Slot


def reset(defaults: Sequence[Slot], seed: int) -> None:
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
        reset = reset_of(twin)
        assert reset is not None
        reset()
    if isinstance(twin, NonDynamicallyQuantizableLinear) and twin.bias is not None:  # an attention's output projection
        nn.init.zeros_(twin.bias)


def reset_of(module: nn.Module) -> Callable[[], object] | None:
    """What draws a module's own initial values; an attention's has a name of its own."""
    name = "_reset_parameters" if isinstance(module, nn.MultiheadAttention) else "reset_parameters"
    found = getattr(module, name, None)
    if not callable(found):
        return None
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(found).parameters.values()
    needs = any(p.default is p.empty and p.kind not in kinds for p in parameters)
    return None if needs else found
