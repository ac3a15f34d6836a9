"""The gates of LSTMs: what begins open or shut."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn

from winit_cli.criteria import FADED, LOST
from winit_cli.lint.filled import Filled
from winit_cli.lint.recurrence import Recurrence, lstm_factor, recurrence_of
from winit_cli.lint.steps import SURE, power
from winit_cli.lint.subject import Found, Label
from winit_cli.lint.words import is_beyond

ALIKE = ("zeros", "ones", "constant", "normal", "uniform", "trunc_normal", "pytorch_default")  # the same for all gates
WEAK = 0.4  # n Var(W) up to which recurrent weights do no more than the first order says


def forget_bias(label: Label) -> Iterator[Found]:
    """LSTMs whose forget gate begins at 1/2, so that memory is short, or whose gates all get a bias meant for one."""
    for first, second in _pairs(label):
        values = [part.moments.mean for part in (first, second)]
        if any(part.use.scheme not in ALIKE for part in (first, second)) or None in values:
            continue
        total = sum(value for value in values if value is not None)
        constant = [part for part in (first, second) if part.is_constant and part.moments.mean]
        if constant:
            yield _on_all_gates(label, constant, total)
            return
        if total == 0:
            yield from _half_open(label, first)
            return


def _pairs(label: Label) -> Iterator[tuple[Filled, Filled]]:
    """The two biases that an LSTM adds, layer by layer."""
    for filled in label.parameters:
        if isinstance(filled.slot.module, nn.LSTM | nn.LSTMCell) and filled.slot.local.startswith("bias_ih"):
            other = label.by_name.get(filled.name.replace("bias_ih", "bias_hh"))
            if other is not None:
                yield filled, other


def _on_all_gates(label: Label, constant: list[Filled], total: float) -> Found:
    gate = _sigmoid(total)
    twice = "both biases, which PyTorch adds" if len(constant) == 2 else constant[0].name
    return Found(
        (label,),
        label.path(constant[0], "val", "scheme"),
        f"{twice}: {' + '.join(f'{part.moments.mean:g}' for part in constant)} in all four gates, so forget, input and "
        f"output gate begin at {gate:.2g} and the cell's candidate at {math.tanh(total):.2g}",
        _cure(label, constant[0]),
    )


def _half_open(label: Label, bias: Filled) -> Iterator[Found]:
    """A forget gate at 1/2, and what it leaves of the first step; graver where recurrent weights keep no more."""
    setting = label.setting
    if setting.model.source or setting.model.name != "lstm":
        return
    steps = setting.task.input_shape[-2]
    kept, opened = 0.5 ** (steps - 1), _sigmoid(1) ** (steps - 1)
    recurrence = recurrence_of(label)
    is_lost = recurrence is not None and _is_lost(recurrence)
    if kept < FADED:
        yield Found(
            (label,),
            label.path(bias),
            f"the forget gate begins at 0.5 (bias 0): of the first of {steps} steps the cell keeps {_left(kept)}; a "
            f"bias of 1 keeps {_left(opened)} (Jozefowicz et al. 2015)",
            _cure(label, bias),
            "warning" if is_lost else "note",
        )


def _left(share: float) -> str:
    return "nothing (it underflows)" if is_beyond(share) else f"{share:.0e}"


def _is_lost(recurrence: Recurrence) -> bool:
    """Whether recurrent weights keep no more of the first step than the rounding of a sum over steps."""
    is_weak = recurrence.sigma_w2 <= WEAK
    return is_weak and power(lstm_factor(recurrence), recurrence.steps - 1) < LOST / SURE


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, z)))


def _cure(label: Label, bias: Filled) -> str:
    """In the entry's own terms, for the forget gate alone, and once across the two biases."""
    if label.entry.recipe.plain:
        stands = label.entry.recipe.bias is not None and bias.moments.mean
        return f"forget_bias: 1 in the entry{' in place of bias:' if stands else ''}"
    return "bias: {scheme: forget_bias, rest: zeros} in the entry, and no rule for these biases"
