"""What one layer does to a signal and its gradient, from the variances that a scheme gives to weights and biases."""

from __future__ import annotations

from winit_cli.theory.activations import OUTPUTS
from winit_cli.theory.maps import correlation_map, mean_power_of_slope, variance_map


def layer_factor(
    activation: str, weight_variance: float, fan_in: int, bias_variance: float = 0.0, q: float = 1.0
) -> float:
    """``V(q) / q``, the factor on the mean square of pre-activations, sigma_w^2 = fan_in Var(w), sigma_b^2 = Var(b).

    The derivation of He et al. 2015 (arXiv:1502.01852), for any activation. For relu without biases it does not depend
    on q: Var(w) = 2 / fan_in keeps the mean square, 1 / fan_in halves it, and PyTorch's default, 1 / (3 fan_in), leaves
    a sixth. That default's biases, of the same variance, keep it from falling below ``0.4 / fan_in``.
    """
    return variance_map(q, activation, weight_variance * fan_in, bias_variance) / q


def gradient_factor(activation: str, weight_variance: float, fan_out: int, q: float = 1.0) -> float:
    """``fan_out Var(w) E[f'(sqrt(q) z)^2]``, the factor on the mean square of gradients on their way down a layer.

    Backward it is fan_out that counts (Glorot & Bengio 2010). A unit of crelu gets gradients from both its outputs.
    """
    return weight_variance * fan_out * OUTPUTS.get(activation, 1) * mean_power_of_slope(activation, q)


def mean_squares(activation: str, sigma_w2: float, sigma_b2: float, q: float, layers: int) -> list[float]:
    """Mean squares of pre-activations: ``q, V(q), V(V(q)), …``, one for each of so many layers.

    An input of mean square p gives the first layer ``q = sigma_w^2 p + sigma_b^2``.
    """
    found = [q][:layers]
    while len(found) < layers:
        found.append(variance_map(found[-1], activation, sigma_w2, sigma_b2))
    return found


def correlations(activation: str, sigma_w2: float, sigma_b2: float, q: float, c: float, layers: int) -> list[float]:
    """Correlations of two inputs layer by layer, of equal mean square q and correlation c in the first."""
    found = [c][:layers]
    for at in mean_squares(activation, sigma_w2, sigma_b2, q, layers)[:-1]:
        following = correlation_map(found[-1], activation, sigma_w2, sigma_b2, at)
        found.append(min(1.0, max(-1.0, following)))  # rounding
    return found
