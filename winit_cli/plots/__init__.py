"""Figures of a run. A plot is one file with a ``figure`` function and one row of PLOTS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from winit_cli.plots import accuracy, final_metric, gradient_heatmap, gradients_by_layer, init_std, loss, units
from winit_cli.plots.files import encode, save
from winit_cli.plots.signal_plots import SIGNAL_PLOTS, SignalPlot
from winit_cli.plots.signals import Signals
from winit_cli.store.frames import RunFrames

__all__ = ["PLOTS", "Plot", "encode", "save"]


@dataclass(frozen=True)
class Plot:
    """One figure: its file name, what it shows, how to read it; ``draw`` gives None for nothing to show."""

    name: str
    title: str
    caption: str
    draw: Callable[[RunFrames], Figure | None]


def _of_run(plot: SignalPlot) -> Plot:
    """A figure of a probe, drawn from what a run measured before training."""

    def draw(run: RunFrames) -> Figure | None:
        return plot.draw(Signals(run.probe, run.verdicts, run.histograms, run.init, run.config, run.labels))

    return Plot(plot.name, plot.title, plot.caption, draw)


_CURVES = (
    "The line is the median over the seeds that did not diverge, the band their middle half (25 to 75 %). "
    "A trial that diverged is a thin line of its own that ends in a cross."
)

PLOTS = (
    Plot(
        "final_metric",
        "Final result of every trial",
        "Every mark is one seed; the bar is the mean with its 95 % Student-t interval. Intervals that overlap "
        "widely mean that these seeds do not tell the schemes apart. Diverged trials have no mark and are counted "
        "at the right, and the mean leaves them out.",
        final_metric.figure,
    ),
    Plot(
        "final_metric_leaders",
        "Final result of the leaders",
        "The picture above at a closer scale, for the labels that are nearer to the best than to the worst. "
        "Every mark is one seed; the bar is the mean with its 95 % Student-t interval.",
        final_metric.leaders,
    ),
    Plot(
        "loss",
        "Loss during training",
        f"{_CURVES} A curve that stays on the dotted line is no better than always giving the same answer. "
        "The axis ends at ten times that loss at most; what lies higher is named above the panel.",
        loss.figure,
    ),
    Plot(
        "accuracy",
        "Accuracy during training",
        f"{_CURVES} The training batch is small, so its accuracy moves in steps; the test part is measured whole.",
        accuracy.figure,
    ),
    Plot(
        "gradients_by_layer",
        "Gradient by layer",
        "L2 norm of the gradient of each weight tensor, in the order in which the model lists them, which in winit's "
        "own models is from the input at the left to the output at the right; median and middle half over the seeds. "
        "A level line means that every layer gets a signal of like size. "
        "A fall towards the left is a vanishing gradient, a rise an exploding one. "
        "Exact zeros lie on the dotted line marked 0: those weights do not learn at all. "
        "Sizes beyond the range shown are drawn at its ends.",
        gradients_by_layer.figure,
    ),
    Plot(
        "gradient_heatmap",
        "Gradient by layer and step",
        "The same norms over the whole training, median over the seeds, on one colour scale for all panels. Even "
        "colour from bottom to top is healthy, dark layers at the bottom are starved. Pink is exactly 0.",
        gradient_heatmap.figure,
    ),
    Plot(
        "init_std",
        "Weights as drawn against the formula",
        "Each mark is a weight tensor: the standard deviation its formula promises across, the one measured upwards. "
        "On the diagonal the tensor is what the formula says. Constants have a deviation of 0.",
        init_std.figure,
    ),
    Plot(
        "units",
        "First-layer weights before and after training",
        "Some units of the first layer at the first seed, before training above the same units after it. Red is "
        "positive, blue negative, white 0; the limit beside each label is the end of its colour scale, with one of its "
        "own for after where the weights grew far beyond it. Grey is not a number: the trial diverged. Equal pictures "
        "mean equal units: they get equal gradients and stay equal, so the layer can do no more than a single unit.",
        units.figure,
    ),
    *map(_of_run, SIGNAL_PLOTS),
)
