"""Any class or function that returns an ``nn.Module``, as a model: called by name with what it asks for."""

from __future__ import annotations

import copy
import inspect
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from torch import nn

from winit_cli.errors import UsageError
from winit_cli.foreign import ForeignError, blaming, place_of_function
from winit_cli.models.row import ActivationName, Model, Task


def _features(task: Task) -> int:
    """Numbers per time step of sequences, per example otherwise."""
    return task.input_shape[-1] if len(task.input_shape) == 2 else math.prod(task.input_shape)


def _channels(task: Task) -> int:
    if len(task.input_shape) < 3:
        raise UsageError(f"in_channels is asked for, but the data has {task.described()}; use input_size")
    return task.input_shape[0]


def _length(task: Task) -> int:
    if len(task.input_shape) != 2 and not task.vocabulary:
        raise UsageError(f"seq_len is asked for, but the data has {task.described()}")
    return task.input_shape[0]


def _vocabulary(task: Task) -> int:
    if not task.vocabulary:
        raise UsageError("vocab_size is asked for, but the inputs are no tokens (data: {name: npz, tokens: true, …})")
    return task.vocabulary


# parameters that are filled in from the data, by name, unless the user gives them
OFFERED: dict[str, Callable[[Task], Any]] = {
    "task": lambda task: task,
    "input_shape": lambda task: task.input_shape,
    **dict.fromkeys(("input_size", "in_features", "input_dim"), _features),
    "in_channels": _channels,
    **dict.fromkeys(("seq_len", "sequence_length"), _length),
    **dict.fromkeys(("vocab_size", "num_embeddings"), _vocabulary),
    **dict.fromkeys(("output_size", "out_features", "output_dim", "num_classes", "outputs"), lambda task: task.outputs),
    "target_steps": lambda task: task.target_steps,
}
_CHECKED: dict[Any, Any] = {key: kind for kind in (int, float, str, bool) for key in (kind, kind.__name__)}
Parameters = Mapping[str, inspect.Parameter]


def adapt(name: str, target: Any, source: str, summary: str = "") -> Model:
    """A model row for a class, a function or a module (which is copied for every trial).

    Parameters named as in ``OFFERED`` get what the data has; all others are options of the model.
    ``source`` is the SHA-256 of the code.

    Raises:
        ForeignError: it cannot be called by name.
    """
    if isinstance(target, nn.Module):
        original = target
        return _row(name, lambda: copy.deepcopy(original), {}, source, summary or type(original).__name__)
    if not callable(target):
        raise ForeignError(f"{name} is {target!r}, expected a class or function that returns an nn.Module")
    place = place_of_function(target)
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        raise ForeignError(f"{place}{name} has no signature that Python can read; wrap it in a function") from None
    kinds = {parameter.kind for parameter in parameters.values()}
    if inspect.Parameter.POSITIONAL_ONLY in kinds:
        raise ForeignError(f"{place}{name} takes positional-only parameters; winit calls models by name")
    return _row(name, target, parameters, source, summary or _first_line(target))


def _row(name: str, target: Callable[..., Any], parameters: Parameters, source: str, summary: str) -> Model:
    known_activations = get_args(ActivationName)

    def activation(options: Mapping[str, Any]) -> str | None:
        default = parameters["activation"].default if "activation" in parameters else None
        chosen = options.get("activation", default)
        return chosen if chosen in known_activations else None

    return Model(name, _builder(name, target, parameters), summary, activation, source=source)


def _builder(name: str, target: Callable[..., Any], parameters: Parameters) -> Callable[..., nn.Module]:
    """``build(task, **options)`` with the options of ``target`` in its signature."""
    returned: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def build(task: Task, **options: Any) -> nn.Module:
        given = {key: value for key, value in options.items() if value is not None or key not in OFFERED}
        with blaming(name):
            made = target(**_offered(task, parameters, given), **given)
        if not isinstance(made, nn.Module):
            place, kind = place_of_function(target), type(made).__name__
            raise ForeignError(f"{place}{name} returned {kind}, expected an nn.Module")
        if made in returned:
            raise ForeignError(f"{name} returned the same module twice; it must build another for every call")
        returned.add(made)
        return made

    build.__name__ = name
    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("task", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Task),
            *(_option(parameter) for parameter in parameters.values() if _is_option(parameter)),
        ]
    )
    build.__annotations__ = {key: p.annotation for key, p in build.__signature__.parameters.items()}  # type: ignore[attr-defined]
    return build


def _offered(task: Task, parameters: Parameters, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the data has of the parameters that are not given; a default stays where the data has no such thing."""
    offered = {}
    for key, parameter in parameters.items():
        is_theirs = key == "task" and parameter.default is not parameter.empty
        if key in OFFERED and key not in given and not is_theirs:
            try:
                offered[key] = OFFERED[key](task)
            except UsageError:
                if parameter.default is parameter.empty:
                    raise
    return offered


def _is_option(parameter: inspect.Parameter) -> bool:
    """Whether a YAML can give it: a default that is code (``nn.ReLU``) stays as it is."""
    if parameter.kind == parameter.VAR_POSITIONAL or parameter.name == "task" or _is_reserved(parameter.name):
        return False
    return parameter.name in OFFERED or parameter.default is parameter.empty or _is_data(parameter.default)


def _is_reserved(name: str) -> bool:
    """Names that a pydantic model has for itself; such a parameter keeps its default."""
    return name.startswith("_") or hasattr(BaseModel, name)


def _is_data(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_data(item) for item in value)
    return value is None or isinstance(value, int | float | str)


def _option(parameter: inspect.Parameter) -> inspect.Parameter:
    """As a keyword-only parameter; types are checked where they are plain."""
    if parameter.kind == parameter.VAR_KEYWORD:
        return parameter.replace(annotation=Any)
    default = None if parameter.name in OFFERED else parameter.default
    kind = Any if default is None else _checked(parameter.annotation)
    return parameter.replace(kind=parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _checked(annotation: Any) -> Any:
    return _CHECKED.get(annotation, Any) if isinstance(annotation, str | type) else Any


def _first_line(target: Any) -> str:
    doc = target.__doc__ if isinstance(getattr(target, "__doc__", None), str) else ""
    return doc.strip().partition("\n")[0]
