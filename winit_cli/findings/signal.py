"""What mean-field theory says of the weights that a run's labels began with."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from typing import cast

from pandas import DataFrame

from winit_cli.findings.numbers import Row
from winit_cli.stats import split_label, varied_model
from winit_cli.store.frames import RunFrames
from winit_cli.theory.phase import mean_field, phase
from winit_cli.theory.prediction import Written, network, plain_activation

COLUMNS = (
    *("label", "activation", "sigma_w2", "sigma_b2", "q_star", "chi_1", "c_star", "xi_q", "xi_c", "phase"),
    "gradient_factor",
)


def signal_theory(run: RunFrames) -> DataFrame:
    """One row per label of an MLP without norm layers: ``sigma_w2 = fan_in Var(w)`` and ``sigma_b2 = Var(b)`` as the
    median over the hidden layers behind the first, the mean-field numbers that belong to them (``winit_cli.theory``),
    and ``gradient_factor = chi_1^((L - 1) / 2)``, what these make of a gradient norm from the last of L hidden layers
    to the first.

    Labels whose weights or biases have a mean, which the theory does not know, are left out, and so are other models.
    """
    rows = [row for label in run.labels for row in _of_label(run, label)]
    return DataFrame(rows, columns=list(COLUMNS))


def _of_label(run: RunFrames, label: str) -> Iterator[Row]:
    activation = plain_activation(varied_model(run.config, split_label(label)[1]))
    mine = run.init[run.init["label"] == label]
    mine = mine[mine["seed"] == mine["seed"].min()].drop_duplicates("param")
    written = {str(row.param): cast(Written, row) for row in mine.itertuples()}
    names = (name.rpartition(".") for name in written)
    hidden = network([path for path, _, name in names if path.startswith("layers.") and name == "weight"], written)
    if activation is None or not hidden:
        return
    behind = hidden[1:] or hidden
    sigma_w2 = statistics.median(layer.sigma_w2 for layer in behind)
    sigma_b2 = statistics.median(layer.sigma_b2 for layer in behind)
    found = mean_field(activation, sigma_w2, sigma_b2)
    yield {
        "label": label,
        "activation": activation,
        "sigma_w2": sigma_w2,
        "sigma_b2": sigma_b2,
        **{name: math.nan if value is None else value for name, value in asdict(found).items()},
        "phase": phase(found),
        "gradient_factor": math.nan if found.chi_1 is None else found.chi_1 ** ((len(hidden) - 1) / 2),
    }
