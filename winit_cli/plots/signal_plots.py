"""Figures of a probe. A plot is one file with a ``figure`` function and one row of SIGNAL_PLOTS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from winit_cli.criteria import CLOSED, OPEN
from winit_cli.plots import (
    probe_correlation,
    probe_gates,
    probe_histograms,
    probe_signal,
    probe_spectrum,
    probe_verdicts,
    signal_texts,
)
from winit_cli.plots.signals import Signals


@dataclass(frozen=True)
class SignalPlot:
    """One figure: its file name, what it shows, how to read it, ``alt`` for its content in words and numbers; ``draw``
    gives None for nothing to show."""

    name: str
    title: str
    caption: str
    alt: Callable[[Signals], str]
    draw: Callable[[Signals], Figure | None]


_BOXES = (
    "Values of the first probed seed. Each box has a range of its own, which stands below it, so shapes can be "
    "compared and sizes read. A bin that holds more than three times as much as any other is cut, and its share is "
    "named. Of many layers some are drawn, from the first to the last."
)

SIGNAL_PLOTS = (
    SignalPlot(
        "probe_verdicts",
        "Verdicts before training",
        "One square for each layer, from the input at the left to the head at the right; green is healthy, another "
        "colour begins at the first bad layer. The number at the right is what the verdict rests on.",
        signal_texts.verdicts,
        probe_verdicts.figure,
    ),
    SignalPlot(
        "probe_signal",
        "Signal and gradient by layer",
        "Mean square of the pre-activations, and norm of the gradient of the loss with respect to them, before "
        "training: means over the seeds with 95 % Student-t intervals, or with a thin line for each of two seeds, "
        "whose interval would fill the picture. Level lines are healthy. Black dots are what mean-field theory expects "
        "from the variances of weights and biases alone, gradients from the head's on down; they are drawn for plain "
        "multilayer perceptrons with weights of mean 0. Exact zeros lie on the line marked 0.",
        signal_texts.signal,
        probe_signal.figure,
    ),
    SignalPlot(
        "probe_correlation",
        "How alike two inputs become",
        "Cosine between the pre-activations of two examples, mean over pairs and seeds: layer by layer at the left "
        "(with 95 % Student-t intervals, or a thin line for each of two seeds), each hidden layer against the one "
        "before it at the right. At 1 all inputs look alike and the network cannot tell them apart; points above the "
        "diagonal are on their way there. Black dots are theory: at the left from the first layer's measured value on, "
        "as if all pairs were equally alike, at the right the map of the last hidden layer.",
        signal_texts.correlation,
        probe_correlation.figure,
    ),
    SignalPlot(
        "probe_spectrum",
        "Singular values of the Jacobian",
        "How much the output moves with the input, in its different directions; first probed seed. Values near 1, "
        "close together, carry signal and gradient in all directions alike. Bars are as high as there are many in a "
        "decade.",
        signal_texts.spectrum,
        probe_spectrum.figure,
    ),
    SignalPlot(
        "probe_weights",
        "Weights by layer",
        f"How the weights are distributed. {_BOXES}",
        signal_texts.histograms("weight"),
        probe_histograms.weights,
    ),
    SignalPlot(
        "probe_pre_activations",
        "Pre-activations by layer",
        f"How the inputs of the activations are distributed. {_BOXES}",
        signal_texts.histograms("pre_activation"),
        probe_histograms.pre_activations,
    ),
    SignalPlot(
        "probe_activations",
        "Activations by layer",
        f"How the outputs of the activations are distributed. {_BOXES}",
        signal_texts.histograms("activation"),
        probe_histograms.activations,
    ),
    SignalPlot(
        "probe_gates",
        "Gates of the recurrent layers",
        "How far the gates are open, from 0 to 1, over units, examples and time steps; first probed seed. Shut is "
        f"below {CLOSED}, open above {OPEN}: there a gate passes next to no gradient of its own. A forget gate of mean "
        "f keeps a memory for about 1 / (1 - f) steps.",
        signal_texts.gates,
        probe_gates.figure,
    ),
)
