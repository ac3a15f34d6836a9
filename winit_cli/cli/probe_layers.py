"""What ``winit probe`` says of every label: verdicts, layers, files, figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.figures import Picture
from winit_cli.cli.layer_table import explained, layer_table, over_time
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError, brief, known

if TYPE_CHECKING:
    from pandas import DataFrame

    from winit_cli.plan import Plan
    from winit_cli.probe.trials import Probed


APART = "probe"  # folder in a run's directory


@dataclass(frozen=True)
class Layers:
    """A plan with what was measured of its labels; ``label`` is the one whose layers are printed, if any."""

    plan: Plan
    probed: Probed
    label: str | None

    def write(self, directory: Path) -> Path:
        """In the directory of the plan's run, which has the same files with the same bytes if it is there; in a folder
        of their own where that measures other seeds."""
        from winit_cli.probe.trials import COLUMNS, HISTOGRAM_COLUMNS, VERDICT_COLUMNS
        from winit_cli.store.files import write_csv
        from winit_cli.store.reading import FILE

        if (directory / FILE).exists() and not self._is_as_in_a_run:
            directory = directory / APART
        write_csv(directory / "probe.csv", COLUMNS, self.probed.rows())
        write_csv(directory / "histograms.csv", HISTOGRAM_COLUMNS, self.probed.histogram_rows())
        write_csv(directory / "verdicts.csv", VERDICT_COLUMNS, self.probed.verdict_rows())

        return directory

    @property
    def _is_as_in_a_run(self) -> bool:
        from winit_cli.probe.trials import trials_to_probe

        mine = [(label, seed) for label, seeds in self.probed.measured.items() for seed in seeds]
        return mine == [(trial.label, trial.seed) for trial in trials_to_probe(self.plan)]

    def document(self) -> dict[str, Any]:
        """The tables, and means over the seeds."""
        from winit_cli.probe.trials import COLUMNS, VERDICT_COLUMNS
        from winit_cli.widths import EXAMPLES

        return {
            "seeds": self.probed.seeds,
            "examples": EXAMPLES,
            "verdicts": [dict(zip(VERDICT_COLUMNS, row, strict=True)) for row in self.probed.verdict_rows()],
            "summary": self._means().to_dict("records"),
            "probe": [dict(zip(COLUMNS, row, strict=True)) for row in self.probed.rows()],
        }

    def _means(self) -> DataFrame:
        from winit_cli.stats import layer_means

        return layer_means(self._frame())

    def _frame(self) -> DataFrame:
        from pandas import DataFrame

        from winit_cli.probe.trials import COLUMNS

        return DataFrame(self.probed.rows(), columns=list(COLUMNS))

    def show(self, terminal: Terminal) -> None:
        """The table of verdicts, the layers of one label, then a sentence of advice for each label that is ill, or for
        all where none is."""
        verdicts = self.probed.verdicts
        terminal.print(_verdict_table(terminal, self.probed))
        terminal.print()
        if self.label is not None:
            found = verdicts[self.label]
            means = self._means()
            mine = means[means["label"] == self.label]
            terminal.print(layer_table(terminal, mine, found.verdict, found.layer))
            terminal.print()
            for text in over_time(mine):
                terminal.print(escape(text))
            terminal.print(f"[dim]{escape(explained(mine))}[/dim]\n")
        ill = {label: found for label, found in verdicts.items() if found.layer} or dict(list(verdicts.items())[:1])
        for label, found in ill.items():
            terminal.print(f"[bold]{escape(label if found.layer else 'healthy')}[/bold]: {escape(found.advice)}")
        terminal.print(f"[dim]{escape(self._method())}[/dim]")

    def _method(self) -> str:
        from winit_cli.findings.numbers import counted
        from winit_cli.widths import EXAMPLES

        there = len({seed for trial in self.plan.trials for seed in trial.setting.experiment.general.seeds})
        count = len(self.probed.seeds)
        seeds = f"{count} of {there} seeds (--seeds {there} probes all)" if count < there else counted(count, "seed")
        means = "" if self.label is None else "; of layers means, ± half of their 95 % interval"
        examples = f"each with up to {EXAMPLES} examples of its first batches"
        return f"medians over {seeds}, {examples}{means}; nothing was trained"

    def pictures(self) -> Iterator[Picture]:
        """The figures of ``winit_cli.plots.signal_plots`` that have something to show."""
        from pandas import DataFrame

        from winit_cli.plots.signal_plots import SIGNAL_PLOTS
        from winit_cli.plots.signals import Signals
        from winit_cli.probe.trials import HISTOGRAM_COLUMNS, VERDICT_COLUMNS
        from winit_cli.resolved import resolved_config

        verdicts = DataFrame(self.probed.verdict_rows(), columns=list(VERDICT_COLUMNS))
        histograms = DataFrame(self.probed.histogram_rows(), columns=list(HISTOGRAM_COLUMNS))
        config = resolved_config(self.plan)
        signals = Signals(self._frame(), verdicts, histograms, _init(self.plan), config, self.plan.labels)
        for plot in SIGNAL_PLOTS:
            figure = plot.draw(signals)
            if figure is not None:
                yield Picture(plot.name, plot.title, plot.alt(signals), figure)


def measure_layers(plan: Plan, seeds: int | None, label: str | None) -> Layers:
    """Probe so many seeds of a plan, or as many as a run would; the layers of ``label`` are wanted, or of the only
    label that there is.

    Raises:
        UsageError: no label is called so, or a model cannot be probed.
    """
    from winit_cli.probe.trials import probe_plan

    if label is not None and label not in plan.labels:
        raise UsageError(f"--layers: no label '{brief(label)}'; {known(label, plan.labels)}")
    only = plan.labels[0] if len(plan.labels) == 1 else None
    return Layers(plan, probe_plan(plan, seeds), label or only)


def _init(plan: Plan) -> DataFrame:
    """The rows of ``init.csv`` for the first seed of each label."""
    from pandas import DataFrame

    from winit_cli.engine.initial import initialized
    from winit_cli.schemes.audit import InitRecord

    first = {trial.label: trial for trial in reversed(plan.trials)}
    rows = [
        (trial.key, trial.label, trial.seed, *astuple(record))
        for trial in first.values()
        for record in initialized(trial).records
    ]
    return DataFrame(rows, columns=["trial", "label", "seed", *(field.name for field in fields(InitRecord))])


def _verdict_table(terminal: Terminal, probed: Probed) -> Table:
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    for name in ("label", "verdict", "first bad layer", "number"):
        table.add_column(name, overflow="fold", no_wrap=name == "verdict")
    for label, found in probed.verdicts.items():
        number = f"{found.metric} {found.value:.3g}" if found.value is not None else "-"
        table.add_row(escape(label), found.verdict, escape(found.layer or "-"), number)
    return table
