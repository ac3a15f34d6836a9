"""Schemes derived for very deep networks: gains by width, the edge of chaos, periodic activations.

Checked against TensorFlow's RandomWalkInitializer (init_ops.py of its first versions) and the authors' code of siren
(github.com/vsitzmann/siren, modules.py: sine_init and first_layer_sine_init write weights, the output layer's too).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from torch import Generator, Tensor
from torch.nn import init

from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Activation, Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import NonNegativeNumber, PositiveNumber
from winit_cli.theory.activations import OMEGA_0
from winit_cli.theory.critical import critical_sigma_w2
from winit_cli.theory.moments import Moments, fans

WALKED = ("linear", "relu", "crelu")
Frequency = Annotated[PositiveNumber, Field(ge=0.001)]  # weights go with its inverse, which must stay a number


def random_walk(tensor: Tensor, generator: Generator, *, activation: Activation = "auto") -> None:
    fan_in, _ = fans(tensor.shape)
    init.normal_(tensor, 0.0, _walk_gain(fan_in, activation) / math.sqrt(fan_in), generator=generator)


def _walk_gain(fan_in: int, activation: str) -> float:
    """The gain at which the logarithm of the signal's size has no drift."""
    if activation == "linear":
        return math.exp(1 / (2 * fan_in))
    return math.sqrt(2) * math.exp(1.2 / (max(fan_in, 6) - 2.4))


def _random_walk(shape: Sequence[int], activation: str) -> Moments:
    fan_in, _ = fans(shape)
    gain = _walk_gain(fan_in, activation)
    return Moments(std=gain / math.sqrt(fan_in), gain=gain, drawn=True)


def _walk_code(activation: str) -> str:
    relu = "math.sqrt(2) * math.exp(1.2 / (max({fan_in}, 6) - 2.4))"
    gain = "math.exp(1 / (2 * {fan_in}))" if activation == "linear" else relu
    return f"gain = {gain}\nnn.init.normal_(w, std=gain / math.sqrt({{fan_in}}))"


def _is_walked(options: Mapping[str, Any]) -> str | None:
    activation = options["activation"]
    if activation in WALKED:
        return None
    return f"the paper has gains for linear and relu, not for '{activation}'; give activation: linear or relu"


def edge_of_chaos(slot: Slot, *, activation: Activation = "auto", sigma_b2: NonNegativeNumber = 0.0) -> Use:
    """Gaussian weights of the critical variance; the two biases of a recurrent layer share sigma_b^2."""
    if slot.kind == "bias":
        shared = 2 if slot.local.startswith(("bias_ih", "bias_hh")) else 1
        return Use("normal", {"std": math.sqrt(sigma_b2 / shared)}) if sigma_b2 else Use("zeros")
    sigma_w2 = critical_sigma_w2(activation, sigma_b2)
    return Use("variance_scaling", {"scale": sigma_w2, "distribution": "untruncated_normal"})


def _is_critical(options: Mapping[str, Any]) -> str | None:
    activation, sigma_b2 = options["activation"], options["sigma_b2"]
    if critical_sigma_w2(activation, sigma_b2) is not None:
        return None
    return f"{activation} has no critical sigma_w2 at sigma_b2={sigma_b2}; see winit theory --activation {activation}"


def siren(slot: Slot, *, omega_0: Frequency = OMEGA_0) -> Use:
    """Weights by place; biases as torch has them, which the authors leave alone."""
    if slot.kind == "bias":
        return Use("pytorch_default")
    fan_in, _ = fans(slot.block_shape)
    bound = 1 / fan_in if "first" in slot.places else math.sqrt(6 / fan_in) / omega_0
    return Use("uniform", {"a": -bound, "b": bound})


SCHEMES = (
    Scheme(
        name="random_walk",
        family="variance scaling",
        summary="a gain by width, so that deep nets keep the logarithm of the signal's size",
        formula="W ~ N(0, g² / fan_in), linear: g = exp(1 / (2 fan_in)); relu: g = sqrt(2) · exp(1.2 / (max(fan_in, 6) "
        "- 2.4))",
        keeps="the logarithm of the size of signals and gradients through relu or linear layers of equal width, which "
        "is the typical net's; kaiming keeps the mean over nets, and the typical one shrinks",
        paper="Sussillo & Abbott 2014, Random walk initialization for training very deep feedforward networks "
        "(arXiv:1412.6558)",
        torch_call="nn.init.normal_(w, std=g / fan_in ** 0.5)",
        code=_walk_code,
        fill=random_walk,
        moments=_random_walk,
        dims=(2, 99),
        check=_is_walked,
        pitfalls=(
            "Matters where depth is near the width or above: at width 100 the gain differs from kaiming's by 1.2 %.",
            "The gains are for layers as wide as their inputs, and there are none for other activations.",
            "The gain for relu is a fit to simulations: from 9 units on it makes up for the drift to 5 %; at 6 it "
            "makes the signal grow by 7 % a layer, and below 6 it is that of 6, where too often all units of a layer "
            "are off at once for any gain.",
        ),
    ),
    Scheme(
        name="edge_of_chaos",
        family="variance scaling",
        summary="the critical variance of the model's activation: gradients keep their size where signals do",
        formula="W ~ N(0, sigma_w² / fan_in), b ~ N(0, sigma_b²), sigma_w²(activation, sigma_b²) from chi_1 = 1",
        keeps="the mean square of gradients through the activation that is named, and small differences of inputs, "
        "where signals go to their fixed point q* (tanh) or stay as they are (relu); with gelu, silu and mish they "
        "leave it",
        paper="Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, Deep information propagation (arXiv:1611.01232); "
        "Hayou, Doucet & Rousseau 2019 (arXiv:1902.06853)",
        torch_call="nn.init.normal_(w, std=sigma_w / fan_in ** 0.5); nn.init.normal_(b, std=sigma_b)",
        choose=edge_of_chaos,
        own_biases=True,
        check=_is_critical,
        pitfalls=(
            "relu and leaky_relu are critical without biases only: with sigma_b2 the signal grows layer by layer.",
            "gelu, silu and mish have no stable signal at their critical point without biases: signal and gradient "
            "explode with depth (winit theory --critical).",
            "Derived for layers one after another: a recurrent layer adds the signals of two weights.",
        ),
    ),
    Scheme(
        name="siren",
        family="variance scaling",
        summary="for sine activations, sin(30 z): 30 z is normal, of about unit variance at any depth",
        formula="first layer W ~ U(±1 / fan_in), others W ~ U(±sqrt(6 / fan_in) / omega_0); biases as pytorch_default",
        keeps="the variance of 30 z at about 1, that of pre-activations z at about 1 / 900, and so the distribution of "
        "what leaves a sine",
        paper="Sitzmann, Martel, Bergman, Lindell & Wetzstein 2020, Implicit neural representations with periodic "
        "activation functions (arXiv:2006.09661)",
        torch_call="nn.init.uniform_(w, -bound, bound)",
        choose=siren,
        own_biases=True,
        pitfalls=(
            "Only with activation: sine, which is sin(30 z): other activations get a signal 30 times too small. "
            "omega_0 is that 30 and sets the weights alone; the activation has no other frequency.",
            "Inputs are meant to lie in [-1, 1].",
            "The authors' code leaves torch's biases U(±1 / sqrt(fan_in)), which sin(30 z) takes 30-fold. The variance "
            "v of 30 z goes to v = 1 - exp(-2 v) + 300 / fan_in: std 2 at 100 units, 1.47 at 256, 1.10 at 1024, and "
            "0.89 with bias: zeros.",
        ),
    ),
)
