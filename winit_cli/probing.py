"""The probe of a run: its labels measured at initialization, before anything is trained."""

from __future__ import annotations

import time

from winit_cli.engine.initial import one_thread
from winit_cli.errors import Terminated
from winit_cli.plan import Plan
from winit_cli.probe.measured import Measured
from winit_cli.probe.trials import Probed, probe_trial, trials_to_probe
from winit_cli.store.probed import keep, kept
from winit_cli.store.store import Store
from winit_cli.training import Progress
from winit_cli.workers import job_error

FORMAT = 3  # of the measurements, raised when they change


def probe_run(plan: Plan, store: Store, progress: Progress) -> None:
    """Measure the labels of a plan and enter it, unless that was done; then say aloud which are ill.

    A label that cannot be measured is left out; its trials may train all the same.
    """
    trials = trials_to_probe(plan)
    facts = {"format": FORMAT, "trials": [trial.key for trial in trials], "widths": _widths(plan)}
    before = kept(store)
    if before is not None and {name: before.get(name) for name in facts} == facts:
        return
    start, measured = time.monotonic(), dict[str, dict[int, Measured]]()
    failed: dict[str, str] = {}
    with one_thread():
        for trial in trials:
            if trial.label in failed:
                continue
            try:
                mine = measured.setdefault(trial.label, {})
                mine[trial.seed] = probe_trial(trial, count_values=not mine)
            except Terminated:
                raise
            except (Exception, SystemExit) as error:
                measured.pop(trial.label, None)
                failed[trial.label] = job_error(error).reason
    probed = Probed(measured)
    tables = {"probe": probed.rows(), "verdicts": probed.verdict_rows(), "histograms": probed.histogram_rows()}
    keep(store, tables, {**facts, "failed": failed, "seconds": time.monotonic() - start})
    for label, reason in failed.items():
        progress.note(f"{label} was not probed: {reason}")
    if said := _ill(probed):
        progress.note(f"at initialization: {said}")


def _widths(plan: Plan) -> list[int] | None:
    """The widths of the coordinate check, ``None`` where there is none."""
    widths = plan.config.base.measure.widths
    return None if widths is None else list(widths)


def _ill(probed: Probed) -> str:
    """``8 labels healthy; normal std=0.01 vanishing; zeros symmetric``; blank where all are healthy."""
    verdicts = {label: found.verdict for label, found in probed.verdicts.items()}
    ill = [f"{label} {verdict}" for label, verdict in verdicts.items() if verdict != "healthy"]
    healthy = len(verdicts) - len(ill)
    return "; ".join([f"{healthy} label{'s' if healthy != 1 else ''} healthy", *ill]) if ill else ""
