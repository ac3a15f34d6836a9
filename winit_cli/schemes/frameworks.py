"""Schemes as other frameworks have them: Keras, TensorFlow, JAX, timm and Caffe2.

Checked against keras/src/initializers/random_initializers.py, jax.nn.initializers, timm/layers/weight_init.py and
fvcore/nn/weight_init.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Generator, Tensor
from torch.nn import init

from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import Number, PositiveNumber
from winit_cli.theory.moments import Moments, fans, truncated_normal

KERAS = "Chollet et al. 2015, Keras"
TRUNCATED_STD = 0.87962566103423978  # of N(0, 1) cut to [-2, 2]

Distribution = Literal["truncated_normal", "untruncated_normal", "uniform"]
FanMode = Literal["fan_in", "fan_out", "fan_avg"]


def variance_scaling(
    tensor: Tensor,
    generator: Generator,
    *,
    scale: PositiveNumber = 1.0,
    mode: FanMode = "fan_in",
    distribution: Distribution = "truncated_normal",
) -> None:
    std = math.sqrt(scale / _fan(tensor.shape, mode))
    if distribution == "truncated_normal":
        std /= TRUNCATED_STD
        init.trunc_normal_(tensor, 0.0, std, -2 * std, 2 * std, generator=generator)
    elif distribution == "uniform":
        init.uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator=generator)
    else:
        init.normal_(tensor, 0.0, std, generator=generator)


def trunc_normal_tf(
    tensor: Tensor,
    generator: Generator,
    *,
    mean: Number = 0.0,
    std: PositiveNumber = 1.0,
    a: Number = -2.0,
    b: Number = 2.0,
) -> None:
    init.trunc_normal_(tensor, 0.0, 1.0, a, b, generator=generator)
    tensor.mul_(std).add_(mean)


def caffe2_xavier(tensor: Tensor, generator: Generator) -> None:
    init.kaiming_uniform_(tensor, a=1, generator=generator)


def keras_default(slot: Slot) -> Use:
    """Keras computes fans of the packed matrix of a recurrent layer, and makes all of it orthogonal."""
    if slot.kind == "bias":
        return Use("forget_bias", {"rest": "zeros"})
    if slot.kind == "embedding":
        return Use("uniform", {"a": -0.05, "b": 0.05})
    if slot.kind == "recurrent" and slot.local.startswith("weight_hh"):
        return Use("orthogonal", {"fan": "torch"})
    return Use("xavier_uniform", {"fan": "torch"} if slot.kind in ("recurrent", "conv") else {})


def _fan(shape: Sequence[int], mode: FanMode) -> float:
    fan_in, fan_out = fans(shape)
    return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]


def _variance_scaling(shape: Sequence[int], scale: float, mode: FanMode, distribution: Distribution) -> Moments:
    std = math.sqrt(scale / _fan(shape, mode))
    reach = {"truncated_normal": 2 / TRUNCATED_STD, "uniform": math.sqrt(3)}.get(distribution)
    return Moments(std, gain=math.sqrt(scale), bound=None if reach is None else reach * std, drawn=True)


def _variance_scaling_code(scale: float, mode: FanMode, distribution: Distribution) -> str:
    fan = "(({fan_in} + {fan_out}) / 2)" if mode == "fan_avg" else f"{{{mode}}}"
    std = f"std = math.sqrt({scale} / {fan})"
    if distribution == "truncated_normal":
        return f"{std} / {TRUNCATED_STD}\nnn.init.trunc_normal_(w, 0.0, std, -2 * std, 2 * std)"
    if distribution == "uniform":
        return f"{std}\nnn.init.uniform_(w, -math.sqrt(3) * std, math.sqrt(3) * std)"
    return f"{std}\nnn.init.normal_(w, 0.0, std)"


def _trunc_normal_tf(shape: Sequence[int], mean: float, std: float, a: float, b: float) -> Moments:
    return truncated_normal(mean, std, mean + a * std, mean + b * std)


def _caffe2(shape: Sequence[int]) -> Moments:
    std = 1 / math.sqrt(fans(shape)[0])
    return Moments(std=std, gain=1.0, bound=math.sqrt(3) * std, drawn=True)


def _reachable(options: Mapping[str, Any]) -> str | None:
    a, b = options["a"], options["b"]
    if a >= b:
        return f"a must be below b, got a={a}, b={b}"
    return None if a <= 2 and b >= -2 else f"[a, b] = [{a}, {b}] is more than 2 std from the mean"


SCHEMES = (
    Scheme(
        name="variance_scaling",
        family="variance scaling",
        summary="any scale, fan and distribution, as Keras, TensorFlow and JAX have it",
        formula="variance scale / fan: N cut at ±2 std, std = sqrt(scale / fan) / 0.87962566; or uncut; or "
        "U(±sqrt(3 · scale / fan))",
        keeps="what the scale and the fan say: with scale 1 and fan_in the mean square of pre-activations through "
        "linear layers, with 2 through relu; with fan_out that of gradients, with fan_avg both in square layers",
        paper=f"{KERAS}, VarianceScaling; jax.nn.initializers.variance_scaling",
        torch_call="std = (scale / fan) ** 0.5 / 0.87962566; nn.init.trunc_normal_(w, 0, std, -2 * std, 2 * std)",
        code=_variance_scaling_code,
        fill=variance_scaling,
        moments=_variance_scaling,
        dims=(2, 99),
        pitfalls=(
            "Cutting a normal at 2 std leaves 0.88 of its std; these frameworks make up for it, torch's trunc_normal_ "
            "does not.",
            "Called normal, a distribution is the cut one in Keras and the uncut one in JAX; here it must be said.",
        ),
    ),
    Scheme(
        name="trunc_normal_tf",
        family="fixed",
        summary="a normal distribution cut at multiples of its std, as TensorFlow and timm have it",
        formula="W = mean + std · Z, Z ~ N(0, 1) given a ≤ Z ≤ b",
        keeps="nothing: the weights do not look at the layer, so each fan changes the signal by another factor",
        paper="TensorFlow, TruncatedNormal; Wightman 2019, timm, trunc_normal_tf_",
        torch_call="nn.init.trunc_normal_(w, 0, 1, a={a}, b={b}); w.mul_({std}).add_({mean})",
        fill=trunc_normal_tf,
        moments=_trunc_normal_tf,
        check=_reachable,
        pitfalls=(
            "The std is that before the cut: with a=-2, b=2 the values have 0.88 std.",
            "torch's trunc_normal_ (trunc_normal here) takes a and b as absolute values instead.",
        ),
    ),
    Scheme(
        name="caffe2_xavier",
        family="variance scaling",
        summary="Caffe2's XavierFill: fan_in alone, in spite of the name",
        formula="W ~ U(-b, b), b = sqrt(3 / fan_in)",
        keeps="the mean square of pre-activations through linear layers (fan_in), as lecun_uniform",
        paper="Jia et al. 2014, Caffe; c2_xavier_fill of fvcore and Detectron2",
        torch_call="nn.init.kaiming_uniform_(w, a=1)",
        fill=caffe2_xavier,
        moments=_caffe2,
        dims=(2, 99),
        aliases=("c2_xavier", "c2_xavier_fill"),
        pitfalls=(
            "The same as lecun_uniform; Xavier's own b is sqrt(6 / (fan_in + fan_out)).",
            "Where fan_in is large and a relu follows, the signal halves in every layer.",
        ),
    ),
    Scheme(
        name="keras_default",
        family="default",
        summary="what Keras's layers do: Glorot uniform, orthogonal recurrent, zero biases, forget bias 1",
        formula="W ~ xavier_uniform, recurrent W orthogonal, both on the packed matrix; embeddings U(±0.05); b = 0, "
        "forget gates 1",
        keeps="as xavier_uniform, signal and gradients through tanh; the memory of an LSTM at the start, of which a "
        "forget gate passes on 73 % per step",
        paper=f"{KERAS}; Glorot & Bengio 2010; Saxe et al. 2014; Jozefowicz et al. 2015",
        torch_call="nn.init.xavier_uniform_(w), nn.init.orthogonal_(weight_hh), nn.init.zeros_(b), by layer",
        choose=keras_default,
        own_biases=True,
        pitfalls=(
            "Keras takes the four gates of an LSTM as one matrix: fan_out is 4 · hidden, and not the gates but the "
            "matrix of all is orthogonal, each gate's entries half as large as for recurrent: orthogonal.",
        ),
    ),
)
