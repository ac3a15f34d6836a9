"""Schemes for the gates of recurrent layers. torch packs them in rows: LSTM i, f, g, o; GRU r, z, n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import init

from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import NonNegativeNumber, Number
from winit_cli.theory.moments import Moments, constant, in_parts, ones_among_zeros, uniform

Longest = Annotated[Number, Field(ge=2)]
Rest = Literal["default", "zeros"]


def forget_bias(slot: Slot, *, value: Number = 1.0, rest: Rest = "default") -> Use:
    """torch adds two biases: the first has the value, the second 0 in its place."""
    if slot.kind != "bias" or not isinstance(slot.module, nn.LSTM | nn.LSTMCell):
        return Use("zeros") if slot.kind == "bias" and rest == "zeros" else Use("pytorch_default")
    bound = 1 / math.sqrt(slot.module.hidden_size) if rest == "default" else 0.0
    set_to = value if slot.local.startswith("bias_ih") else 0.0
    return Use("forget_bias", {"value": set_to, "bound": bound, "fan": "torch"})


def fill_forget_bias(tensor: Tensor, generator: Generator, *, value: float, bound: float) -> None:
    """All as the layer's own reset draws it, the second quarter constant."""
    init.uniform_(tensor, -bound, bound, generator=generator)
    tensor.chunk(4)[1].fill_(value)


def _forget_bias(shape: Sequence[int], value: float, bound: float) -> Moments:
    rest = uniform(-bound, bound)
    return in_parts(rest, constant(value), rest, rest)


def _forget_bias_code(value: float, bound: float) -> str:
    rest = f"nn.init.uniform_(w, {-bound}, {bound})" if bound else "nn.init.zeros_(w)"
    return f"{rest}\nforget_gate = w.chunk(4)[1]\nnn.init.constant_(forget_gate, {value})"


def chrono(slot: Slot, *, t_max: Longest) -> Use:
    """Forget and input gates of an LSTM, the update gate of a GRU, which is 1 where the state is kept."""
    if slot.kind != "bias" or not isinstance(slot.module, nn.LSTM | nn.LSTMCell | nn.GRU | nn.GRUCell):
        return Use("pytorch_default")
    gates = 4 if isinstance(slot.module, nn.LSTM | nn.LSTMCell) else 3
    bound = 1 / math.sqrt(slot.module.hidden_size)
    longest = t_max if slot.local.startswith("bias_ih") else 2.0  # log U(1, 1) = 0
    return Use("chrono", {"t_max": longest, "gates": gates, "bound": bound, "fan": "torch"})


def fill_chrono(tensor: Tensor, generator: Generator, *, t_max: float, gates: int, bound: float) -> None:
    """All as the layer's own reset draws it, then the gates that keep."""
    init.uniform_(tensor, -bound, bound, generator=generator)
    kept = tensor.chunk(gates)[1]
    init.uniform_(kept, 1.0, t_max - 1, generator=generator)
    kept.log_()
    if gates == 4:
        tensor.chunk(4)[0].copy_(-kept)


def _chrono(shape: Sequence[int], t_max: float, gates: int, bound: float) -> Moments:
    rest, kept = uniform(-bound, bound), _log_uniform(t_max - 1)
    if gates == 3:
        return in_parts(rest, kept, rest)
    assert kept.mean is not None
    return in_parts(replace(kept, mean=0.0 - kept.mean), kept, rest, rest)


def _log_uniform(n: float) -> Moments:
    """log U(1, n): mean ``(n ln n - n + 1) / (n - 1)``, mean square ``n ln(n)^2 / (n - 1) - 2 mean``."""
    if n <= 1:
        return constant(0.0)
    log = math.log(n)
    mean = (n * log - n + 1) / (n - 1)
    square = n * log**2 / (n - 1) - 2 * mean
    return Moments(std=math.sqrt(square - mean**2), mean=mean, bound=log)


def _chrono_code(t_max: float, gates: int, bound: float) -> str:
    gate = "forget_gate" if gates == 4 else "update_gate"
    named = "input_gate, forget_gate, _, _ = w.chunk(4)" if gates == 4 else "update_gate = w.chunk(3)[1]"
    drawn = f"nn.init.uniform_({gate}, 1.0, {t_max - 1}).log_()" if t_max > 2 else f"nn.init.zeros_({gate})"
    opposite = ["input_gate.copy_(-forget_gate)"] if gates == 4 else []
    return "\n".join([f"nn.init.uniform_(w, {-bound}, {bound})", named, drawn, *opposite])


def identity_recurrent(slot: Slot, *, scale: Number = 1.0, std: NonNegativeNumber = 0.001) -> Use:
    """Gated layers are left as torch has them."""
    if slot.kind == "recurrent" and not isinstance(slot.module, nn.RNN | nn.RNNCell):
        return Use("pytorch_default")
    if slot.kind == "bias":
        return Use("zeros")
    if slot.kind == "recurrent" and slot.local.startswith("weight_hh"):
        return Use("identity_recurrent", {"scale": scale})
    return Use("normal", {"std": std})


def fill_identity(tensor: Tensor, generator: Generator, *, scale: float) -> None:
    init.eye_(tensor).mul_(scale)


def _identity(shape: Sequence[int], scale: float) -> Moments:
    ones = ones_among_zeros(min(shape), math.prod(shape))
    assert ones.std is not None and ones.mean is not None
    return Moments(std=abs(scale) * ones.std, mean=scale * ones.mean, bound=abs(scale))


SCHEMES = (
    Scheme(
        name="forget_bias",
        family="recurrent",
        summary="an LSTM that remembers from the start: its forget gates' biases are 1, all else as pytorch_default",
        formula="b_f = value, set once across torch's two biases",
        keeps="the memory of an LSTM: a cell keeps sigmoid(value) per step, 73 % at 1, where it would be half",
        paper="Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures; "
        "Gers, Schmidhuber & Cummins 2000",
        torch_call="nn.init.constant_(bias_ih.chunk(4)[1], value); nn.init.zeros_(bias_hh.chunk(4)[1])",
        code=_forget_bias_code,
        choose=forget_bias,
        own_biases=True,
        fill=fill_forget_bias,
        moments=_forget_bias,
        fills="biases of LSTMs",
        only=("recurrent",),
        pitfalls=(
            "torch adds bias_ih and bias_hh: writing 1 into both gives 2.",
            "A gate at value 1 keeps 73 % of the memory in a step: for lags of more than ten steps use chrono.",
        ),
    ),
    Scheme(
        name="chrono",
        family="recurrent",
        summary="gates that keep for 1 to t_max steps from the start, all else as pytorch_default",
        formula="LSTM: b_f ~ log U(1, t_max - 1), b_i = -b_f; GRU: b_z ~ log U(1, t_max - 1)",
        keeps="the memory of a cell for 1 to t_max steps, a time of its own for each unit",
        paper="Tallec & Ollivier 2018, Can recurrent neural networks warp time? (arXiv:1804.11188)",
        torch_call="b_f = bias_ih.chunk(4)[1]; nn.init.uniform_(b_f, 1, t_max - 1).log_()",
        code=_chrono_code,
        choose=chrono,
        own_biases=True,
        fill=fill_chrono,
        moments=_chrono,
        fills="biases of LSTMs and GRUs",
        only=("recurrent",),
        pitfalls=(
            "t_max is the longest lag that matters, at most the length of the sequences.",
            "Set in bias_ih, with 0 in bias_hh, which torch adds.",
        ),
    ),
    Scheme(
        name="identity_recurrent",
        family="recurrent",
        summary="IRNN: the state is handed on unchanged, and inputs are added to it",
        formula="W_hh = scale · I, b = 0, all other weights N(0, std²)",
        keeps="the state from step to step, and its gradient back through time, as long as relu passes it on",
        paper="Le, Jaitly & Hinton 2015, A simple way to initialize recurrent networks of rectified linear units "
        "(arXiv:1504.00941)",
        torch_call="nn.init.eye_(weight_hh).mul_(scale); nn.init.normal_(weight_ih, std=0.001)",
        code=lambda scale: "nn.init.eye_(w)" if scale == 1 else f"nn.init.eye_(w).mul_({scale})",
        choose=identity_recurrent,
        own_biases=True,
        fill=fill_identity,
        moments=_identity,
        dims=(2, 2),
        fills="recurrent weights of plain recurrent layers",
        only=("recurrent",),
        pitfalls=(
            "Made for model: rnn with nonlinearity: relu; with tanh the state shrinks.",
            "Clip gradients (train.clip_norm): a step along the identity changes all time steps.",
        ),
    ),
)
