"""How far nets of finite width stray from the mean field: products of many random factors.

The factor of one layer on the squared length, ``r = |x'|^2 / |x|^2``, is independent from layer to layer and of mean 1
for Gaussian weights at the critical sigma_w^2 without biases, so that lengths are nearly log-normal at the end.
Hanin 2018 (arXiv:1801.03744); Hanin & Rolnick 2018 (arXiv:1803.01719); Hanin & Nica 2018 (arXiv:1812.05994).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import digamma, polygamma


def spread(slope: float = 0.0) -> float:
    """``n Var(r)`` of a layer of n leaky relus: ``6 (1 + a^4) / (1 + a^2)^2 - 1``; relu 5, linear 2."""
    return 6 * (1 + slope**4) / (1 + slope**2) ** 2 - 1


def relative_variance(widths: Sequence[int], slope: float = 0.0) -> float:
    """``Var(|x_L|^2) / E[|x_L|^2]^2 = prod(1 + spread / n) - 1``, exact; it grows exponentially with depth / width."""
    return float(np.expm1(np.log1p(spread(slope) / np.asarray(widths, float)).sum()))


def log_normal(widths: Sequence[int], slope: float = 0.0) -> tuple[float, float]:
    """Mean and variance of ``ln |x_L|^2 / |x_0|^2`` for wide layers: ``-beta / 2`` and ``beta = sum(5 / n)`` for relu.

    The typical net therefore shrinks its signal although the mean over nets is kept.
    """
    beta = float((spread(slope) / np.asarray(widths, float)).sum())
    return -beta / 2, beta


def relu_log_moments(widths: Sequence[int]) -> tuple[float, float]:
    """Mean and variance of ``ln |x_L|^2 / |x_0|^2`` among relu nets that pass the input on, exact for any widths.

    A layer has ``r = (2 / n) X``, X chi-square with K ~ Binomial(n, 1/2) degrees of freedom, K > 0: given K, its
    logarithm has mean ``ln(4 / n) + digamma(K / 2)`` and variance ``trigamma(K / 2)``.
    """
    moments = np.array([_relu_layer(n) for n in widths])
    return float(moments[:, 0].sum()), float(moments[:, 1].sum())


def _relu_layer(n: int) -> tuple[float, float]:
    from scipy.stats import binom  # a second of imports, for this alone

    active = np.arange(1, n + 1)
    p = binom.pmf(active, n, 0.5)
    p /= p.sum()
    log = np.log(4 / n) + digamma(active / 2)
    mean = (p * log).sum()
    return mean, (p * (polygamma(1, active / 2) + (log - mean) ** 2)).sum()
