"""What ``winit.compare`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure
from pandas import DataFrame

from winit_cli.errors import UsageError, known
from winit_cli.findings import Findings
from winit_cli.plots import PLOTS, encode
from winit_cli.report import write
from winit_cli.store.frames import RunFrames

SHOWN = ("rank", "label", "lr", "accuracy", "loss", "n", "diverged", "stuck", "verdict")


@dataclass(frozen=True)
class Comparison:
    """A finished comparison; every table is a DataFrame with the columns of the CSV file of that name."""

    run: RunFrames

    @property
    def directory(self) -> Path:
        """Where the run lies."""
        return self.run.path

    @cached_property
    def findings(self) -> Findings:
        """The answer and everything behind it."""
        return Findings(self.run)

    @property
    def answer(self) -> str:
        """The answer in a few sentences."""
        return "\n".join(self.findings.sentences)

    @property
    def table(self) -> DataFrame:
        """Labels and learning rates, the best first: ranks and means with 95 % intervals, counts, verdicts against the
        baseline, gradients at step 0."""
        return self.findings.standings

    @property
    def summary(self) -> DataFrame:
        """Per label, learning rate and metric: n, diverged, mean, median, iqm, sd and 95 % interval."""
        return self.findings.tables.summary

    @property
    def comparisons(self) -> DataFrame:
        """Every label against the baseline, paired by seed."""
        return self.findings.tables.comparisons

    @property
    def ranks(self) -> DataFrame:
        """The place of every label and learning rate with its interval, for every metric."""
        return self.findings.tables.ranks

    @property
    def claims(self) -> DataFrame:
        """The config's claims: effect with interval, p and verdict."""
        return self.findings.claims

    @property
    def best_lr(self) -> DataFrame:
        """The best learning rate of every label, where there are several."""
        return self.findings.tables.best_lr

    @property
    def trials(self) -> DataFrame:
        """One row per trial: status, outcome and finals."""
        return self.run.trials

    @property
    def curves(self) -> DataFrame:
        """Loss and accuracy by step and split."""
        return self.run.curves

    @property
    def gradients(self) -> DataFrame:
        """L2 norm of the gradient by step and parameter."""
        return self.run.gradients

    @property
    def init(self) -> DataFrame:
        """Every parameter as initialized."""
        return self.run.init

    @property
    def probe(self) -> DataFrame:
        """What was measured of each label, seed and layer before training."""
        return self.run.probe

    @property
    def verdicts(self) -> DataFrame:
        """The verdict on each label before training, and whether it foretold how training went."""
        return self.findings.foretold

    def plot(self, name: str = "final_metric") -> Figure:
        """The figure of that name: ``loss``, ``accuracy``, ``gradients_by_layer``, …

        Raises:
            UsageError: there is no such figure, or nothing to show in it.
        """
        plots = {plot.name: plot for plot in PLOTS}
        if name not in plots:
            raise UsageError(f"no plot '{name}'; {known(name, plots)}")
        figure = plots[name].draw(self.run)
        if figure is None:
            raise UsageError(f"this run has nothing to show in the plot '{name}'")
        figure._repr_png_ = lambda: encode(figure, "png")  # type: ignore[attr-defined]  # what notebooks ask for
        return figure

    def report(self) -> Path:
        """Write ``report.html`` and the figures into the run; the path of the page."""
        return write(self.run)

    def __repr__(self) -> str:
        return f"{self.table[self._shown()].to_string(index=False, na_rep='-')}\n{self.directory}"

    def _repr_html_(self) -> str:
        return self.table[self._shown()].to_html(index=False, na_rep="-", float_format="{:.4g}".format)

    def _shown(self) -> list[str]:
        scored = self.table["accuracy"].notna().any()
        return [name for name in SHOWN if name != "accuracy" or scored]
