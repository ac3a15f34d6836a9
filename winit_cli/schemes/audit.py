"""What initialization did: one record per parameter, and the hash of all of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import Assignment
from winit_cli.schemes.slots import LAYERS, Slot
from winit_cli.theory.improbable import improbability
from winit_cli.theory.moments import Moments, fans

IMPROBABLE = 1e-6  # a chance of this size for a moment of one parameter


@dataclass(frozen=True)
class InitRecord:
    """One row of ``init.csv`` without the trial: what was expected of a parameter and what is in it."""

    param: str
    shape: str
    scheme: str
    rule: str
    fan_in: int | None
    fan_out: int | None
    gain: float | None
    mean: float
    std: float
    expected_std: float | None
    min: float
    max: float
    sha256: str


def audit(assignments: Sequence[Assignment]) -> list[InitRecord]:
    """Measure every parameter: moments in double precision, std over the population, SHA-256 of its bytes.

    The records stand in the order of ``named_parameters``; other names of tied parameters follow at the end.
    """
    records = [(assignment, _records(assignment)) for assignment in assignments]
    ties = [
        replace(record, param=name, rule=f"tied to {assignment.slot.name}")
        for assignment, made in records
        for name in assignment.slot.ties
        for record in made
    ]
    return [record for _, made in records for record in made] + ties


def init_hash(records: Sequence[InitRecord]) -> str:
    """SHA-256 over the names and hashes of all parameters, in the model's order."""
    text = "\n".join(f"{record.param} {record.shape} {record.sha256}" for record in records)
    return hashlib.sha256(text.encode()).hexdigest()


def expected(assignment: Assignment) -> Moments:
    """The moments that the formula promises for one block of the parameter; none where data decides."""
    slot = assignment.slot
    if not slot.parameter.numel() or assignment.fitted is not None:
        return Moments(std=None, mean=None)
    if assignment.use.scheme == "pytorch_default":
        return _module_moments(slot)
    return SCHEMES[assignment.use.scheme].moments(slot.block_shape, **assignment.use.arguments)


def improbable(assignments: Sequence[Assignment], records: Sequence[InitRecord]) -> list[str]:
    """The parameters in which a moment lies where it should lie less than once in a million draws, in words."""
    by_name = {record.param: record for record in records}
    found = []
    for assignment in assignments:
        record = by_name.get(assignment.slot.name)
        if record is None or not assignment.slot.parameter.numel():
            continue  # a parametrization has other parameters
        wanted = expected(assignment)
        for name, p in improbability(wanted, assignment.slot.parameter.numel(), record.mean, record.std).items():
            if p < IMPROBABLE:
                is_now, should = getattr(record, name), getattr(wanted, name)
                text = f"{record.param} ({record.scheme}) has {name} {is_now:.4g}, expected {should:.4g}"
                found.append(f"{text}, which has probability {p:.0e}" if p else text)
    return found


def _records(assignment: Assignment) -> list[InitRecord]:
    """One for the parameter, or one for each of those behind its parametrization."""
    slot, rule = assignment.slot, assignment.rule
    if not slot.originals:
        return [_record(slot.name, slot.parameter, assignment, rule, expected(assignment))]
    through, nothing = f"{rule}, through {slot.name}", Moments(std=None, mean=None)
    return [_record(name, values, assignment, through, nothing) for name, values in slot.originals]


def _record(name: str, parameter: Tensor, assignment: Assignment, rule: str, moments: Moments) -> InitRecord:
    slot = assignment.slot
    is_weight = slot.kind in LAYERS and len(slot.block_shape) > 1 and parameter.shape == slot.parameter.shape
    fan_in, fan_out = fans(slot.block_shape) if is_weight else (None, None)
    values = parameter.detach().cpu().contiguous()
    wide = values.double().numpy()
    return InitRecord(
        param=name,
        shape="x".join(map(str, values.shape)) or "scalar",
        scheme=(assignment.fitted or assignment.use).scheme,
        rule=rule,
        fan_in=fan_in,
        fan_out=fan_out,
        gain=moments.gain,
        mean=float(wide.mean()) if wide.size else math.nan,
        std=float(wide.std()) if wide.size else math.nan,
        expected_std=moments.std,
        min=float(wide.min()) if wide.size else math.nan,
        max=float(wide.max()) if wide.size else math.nan,
        sha256=hashlib.sha256(values.flatten().view(torch.uint8).numpy().tobytes()).hexdigest(),
    )


def _module_moments(slot: Slot) -> Moments:
    """What the layers' own resets draw: U(±1/sqrt(fan_in)); recurrent U(±1/sqrt(hidden))."""
    module = slot.module
    reset = getattr(type(module), "reset_parameters", None)
    if reset is not None and not str(reset.__module__).startswith("torch."):
        return Moments(std=None, mean=None)  # a layer made from torch's, with a reset of its own
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return replace(_uniform(module.hidden_size), gain=None)
    if isinstance(module, nn.PReLU):
        return Moments(std=0.0, mean=module.init)
    if slot.kind == "norm":
        return Moments(std=0.0, mean=1.0 if slot.local == "weight" else 0.0)
    if slot.kind == "embedding":
        return Moments(std=1.0, drawn=True)
    if isinstance(module, nn.MultiheadAttention):
        return Moments(std=0.0) if slot.kind == "bias" else replace(_uniform(sum(fans(slot.shape)) / 6), gain=1.0)
    if isinstance(module, NonDynamicallyQuantizableLinear) and slot.kind == "bias":
        return Moments(std=0.0)
    weight = getattr(module, "weight", None)
    if slot.kind in ("linear", "conv", "bias") and weight is not None:
        moments = _uniform(fans(weight.shape)[0])
        return moments if slot.kind != "bias" else replace(moments, gain=None)
    return Moments(std=None, mean=None)


def _uniform(fan: float) -> Moments:
    if not fan:
        return Moments(std=0.0)
    return Moments(1 / math.sqrt(3 * fan), gain=1 / math.sqrt(3), bound=1 / math.sqrt(fan), drawn=True)
