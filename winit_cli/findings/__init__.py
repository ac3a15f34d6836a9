"""What a run found: the one source of the terminal's table, the report and every other form of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pandas import DataFrame

from winit_cli.findings.answer import answer
from winit_cli.findings.foretold import foretold
from winit_cli.findings.method import Reach, method, reach
from winit_cli.findings.notices import notices
from winit_cli.findings.signal import signal_theory
from winit_cli.findings.standings import median_curve, standings
from winit_cli.findings.tables import Tables, tables_of
from winit_cli.stats import headline
from winit_cli.store.frames import RunFrames

__all__ = ["Findings", "Reach", "Tables", "reach", "tables_of"]


@dataclass(frozen=True)
class Findings:
    """The answer of a run and everything behind it; each part is made when it is first asked for."""

    run: RunFrames

    @property
    def task(self) -> str:
        """``classification`` or ``regression``."""
        return str(self.run.data["task"])

    @property
    def metric(self) -> str:
        """What labels are ranked by."""
        return headline(self.task)

    @property
    def baseline(self) -> str:
        """The label that others are compared with."""
        return str(self.run.config["baseline"])

    @cached_property
    def tables(self) -> Tables:
        """The statistics as in the CSV files."""
        return tables_of(self.run)

    @cached_property
    def standings(self) -> DataFrame:
        """One row per label and learning rate, the best first."""
        return standings(self.run, self.tables)

    @cached_property
    def foretold(self) -> DataFrame:
        """The verdicts at initialization beside how training went."""
        return foretold(self.run.verdicts, self.standings)

    @cached_property
    def signal_theory(self) -> DataFrame:
        """What mean-field theory says of each label's weights."""
        return signal_theory(self.run)

    @property
    def claims(self) -> DataFrame:
        """What the config claims, decided."""
        return self.tables.claims

    @property
    def reach(self) -> Reach:
        """What these seeds can decide."""
        return reach(self.run.config)

    @property
    def sentences(self) -> list[str]:
        """The answer, a paragraph per variant."""
        return answer(self.standings, self.reach, task=self.task)

    @property
    def unsupported(self) -> list[str]:
        """Claims that were refuted or remain undecided."""
        return [str(claim) for claim in self.claims.loc[self.claims["verdict"] != "supported", "claim"]]

    @property
    def notices(self) -> list[str]:
        """What a reader must know before trusting the numbers."""
        return notices(self.run)

    @property
    def method(self) -> list[str]:
        """How it was decided."""
        return method(self.run.config, self.tables.rules, self.tables.targets)

    def curve(self, label: str, lr: float) -> list[float]:
        """The median training loss by step."""
        return median_curve(self.run, label, lr)
