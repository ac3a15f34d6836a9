"""Expected mean and standard deviation of the values that a scheme writes into a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache


@dataclass(frozen=True)
class Moments:
    """What a formula promises for one block of weights; ``None`` where it promises nothing.

    ``parts`` are the moments of equal parts of the block, one after another, where these differ (gates).
    ``drawn`` says that the weights are independent draws of one distribution whose tails are no heavier than a normal
    one's, so that it is known how far the moments of a sample may lie from these.
    """

    std: float | None
    mean: float | None = 0.0
    gain: float | None = None
    bound: float | None = None
    parts: tuple[Moments, ...] = ()
    drawn: bool = False


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight (out, in, *kernel): in, or out, times the kernel's size."""
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def uniform(a: float, b: float) -> Moments:
    """U(a, b): mean (a + b) / 2, standard deviation (b - a) / sqrt(12)."""
    return Moments(std=(b - a) / math.sqrt(12), mean=(a + b) / 2, bound=max(abs(a), abs(b)), drawn=True)


def constant(value: float) -> Moments:
    """One value."""
    return Moments(std=0.0, mean=value, bound=abs(value))


def in_parts(*parts: Moments) -> Moments:
    """A block of equal parts whose mean, standard deviation and bound are known."""
    if len({(part.mean, part.std) for part in parts}) == 1:
        return replace(parts[0], drawn=False)
    mean = sum(part.mean or 0.0 for part in parts) / len(parts)
    square = sum((part.std or 0.0) ** 2 + (part.mean or 0.0) ** 2 for part in parts) / len(parts)
    return Moments(math.sqrt(square - mean**2), mean, None, max(part.bound or 0.0 for part in parts), parts=parts)


@cache
def truncated_normal(mean: float, std: float, a: float, b: float) -> Moments:
    """N(mean, std^2) conditioned on [a, b]."""
    from scipy.stats import truncnorm

    law = truncnorm((a - mean) / std, (b - mean) / std, loc=mean, scale=std)
    is_light = float(law.stats("k")) <= 0  # far from the middle, what is left of a normal distribution has long tails
    return Moments(std=float(law.std()), mean=float(law.mean()), bound=max(abs(a), abs(b)), drawn=is_light)


def ones_among_zeros(ones: int, size: int) -> Moments:
    """``ones`` entries of 1 among ``size`` entries, the others 0."""
    p = ones / size
    return Moments(std=math.sqrt(p * (1 - p)), mean=p)
