"""Moments of the squared singular values of the input-output Jacobian ``J = D_L W_L … D_1 W_1``.

In wide layers the factors are free, and of free factors the relative variances add up: with the S-transform
``S(z) = (1 - z var / m^2 + …) / m`` of a law of mean m and variance var, ``S_J = prod S_D S_W``. ``D^2`` has mean
``mu_1`` and second moment ``mu_2``, ``mu_k = E[f'(sqrt(q) z)^(2k)]``; ``W W^T`` of a square layer has relative variance
1 if Gaussian and 0 if orthogonal, which is -s_1 in Pennington, Schoenholz & Ganguli 2017 and 2018
(arXiv:1711.04735, arXiv:1802.09979).
"""

from __future__ import annotations

from winit_cli.theory.maps import mean_power_of_slope


def activation_spread(activation: str, q: float) -> float:
    """``mu_2 / mu_1^2 - 1``, the relative variance of f'^2: relu 1, linear 0; crelu 0, as it passes on all it gets."""
    if activation == "crelu":
        return 0.0
    return mean_power_of_slope(activation, q, 4) / mean_power_of_slope(activation, q) ** 2 - 1


def squared_singular_values(
    activation: str, sigma_w2: float, q: float, layers: int, *, orthogonal: bool = False
) -> tuple[float, float]:
    """Mean ``chi^L`` and variance ``chi^2L L (mu_2 / mu_1^2 - 1 - s_1)`` of L square layers at q.

    Here ``chi = sigma_w^2 mu_1``. At chi = 1: linear layers L (Gaussian) and 0 (orthogonal), relu 2 L and L.
    """
    mean = (sigma_w2 * mean_power_of_slope(activation, q)) ** layers
    weights_spread = 0.0 if orthogonal else 1.0
    return mean, mean**2 * layers * (activation_spread(activation, q) + weights_spread)


def linear_gaussian_variance(layers: int, width: int) -> float:
    """The expected variance of the squared singular values of one product of L Gaussian layers of width n, exact.

    At sigma_w^2 = 1, with ``b = tr (J J^T)^2 / n`` and ``a = (tr J J^T / n)^2``, a layer leads to
    ``b (1 + 1/n) + a`` and ``a + 2 b / n^2``; the answer is E[b - a], L for n without end.
    """
    a = b = 1.0
    for _ in range(layers):
        a, b = a + 2 * b / width**2, b * (1 + 1 / width) + a
    return b - a
