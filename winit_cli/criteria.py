"""What a verdict is, and from where on something is ill."""

from __future__ import annotations

from typing import NamedTuple

VERDICTS = ("healthy", "vanishing", "exploding", "dead", "saturated", "symmetric", "chaotic")

# a learning rate that suits one end of the network is a thousand times too small or large at the other
FADED = 1e-3
BACKWARD_GROWN = 1e3
# less is borne forward than backward: outputs in the hundreds saturate a cross-entropy and square in a squared error
FORWARD_GROWN = 1e2
# where examples are nearly parallel, as in deep relu networks, up to half of the units are silent for all of them by
# chance of their sign, and the network learns; nine in ten leave a tenth of the layer
DEAD = 0.9
# of gradients over time, the rounding of single precision: the gradient of weights that all steps share is a sum over
# the steps, and what is smaller than this share of its largest term does not change it
LOST = 2.0**-24
# of a gate: its slope is below a fifth of the steepest, so that it moves little whatever is learned; Karpathy et al.
# 2015 (arXiv:1506.02078) say so of 0.1 and 0.9 in trained networks
CLOSED, OPEN = 0.05, 0.95
# half of all slopes below a seventeenth: a gradient is cut more by saturation than it can be by one more layer
SATURATED = 0.5
EVEN = 10.0  # sizes within this factor count as alike: most networks that learn well begin so
ONE = 1  # distinct unit, and distinct gradient, that make a layer one unit for good


class Verdict(NamedTuple):
    """``value`` is the median over seeds of the layer's metric; of grad_norm in proportion to the head's, of
    grad_norm_lag_K to that of the last step."""

    verdict: str
    layer: str
    metric: str
    value: float | None
    advice: str
