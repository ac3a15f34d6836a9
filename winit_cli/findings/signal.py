"""What mean-field theory says of the weights that a run's labels began with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from pandas import DataFrame

from winit_cli.findings.numbers import Row, records
from winit_cli.stats import split_label
from winit_cli.store.frames import RunFrames
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.phase import mean_field, phase

COLUMNS = (
    *("label", "activation", "sigma_w2", "sigma_b2", "q_star", "chi_1", "c_star", "xi_q", "xi_c", "phase"),
    "gradient_factor",
)
ASIDE = 0.1  # a mean beyond so many standard deviations is no zero mean


def signal_theory(run: RunFrames) -> DataFrame:
    """One row per label of an MLP without norm layers: ``sigma_w2 = fan_in Var(w)`` and ``sigma_b2`` as the median over
    the hidden layers behind the first, the mean-field numbers that belong to them (``winit_cli.theory``), and
    ``gradient_factor = chi_1^((L - 1) / 2)``, what these make of a gradient norm from the last of L hidden layers to
    the first.

    Labels whose weights have a mean, which the theory does not know, are left out, and so are other models.
    """
    rows = [row for label in run.labels for row in _of_label(run, label)]
    return DataFrame(rows, columns=list(COLUMNS))


def _of_label(run: RunFrames, label: str) -> Iterator[Row]:
    model = _model(run.config, split_label(label)[1])
    activation = model.get("activation", "relu")
    if model["name"] != "mlp" or model.get("norm", "none") != "none" or activation not in ACTIVATIONS:
        return
    mine = run.init[run.init["label"] == label]
    mine = mine[mine["seed"] == mine["seed"].min()].drop_duplicates("param")
    weights = [row for row in records(mine) if _is_hidden(row["param"], "weight")]
    biases = [row for row in records(mine) if _is_hidden(row["param"], "bias")]
    if not weights or any(_has_mean(row) for row in weights[1:] or weights):
        return
    sigma_w2 = float(np.median([_fan_in(row) * _std(row) ** 2 for row in weights[1:] or weights]))
    sigma_b2 = float(np.median([_std(row) ** 2 for row in biases[1:] or biases])) if biases else 0.0
    found = mean_field(activation, sigma_w2, sigma_b2)
    change = math.nan if found.chi_1 is None else found.chi_1 ** ((len(weights) - 1) / 2)
    yield {
        "label": label,
        "activation": activation,
        "sigma_w2": sigma_w2,
        "sigma_b2": sigma_b2,
        **{name: math.nan if value is None else value for name, value in asdict(found).items()},
        "phase": phase(found),
        "gradient_factor": change,
    }


def _model(config: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """The model of a variant: the config's with what ``vary:`` changes in it."""
    model = dict(config["model"])
    for key, values in config.get("vary", {}).items():
        section, _, option = key.partition(".")
        mine = [value for value in values if f"{option}={value}" in variant.split(",")]
        if section == "model" and mine:
            model[option] = mine[0]
    return model


def _is_hidden(param: str, local: str) -> bool:
    path, _, name = param.rpartition(".")
    return name == local and path.startswith("layers.")


def _fan_in(row: Row) -> int:
    return math.prod(int(size) for size in row["shape"].split("x")[1:])


def _std(row: Row) -> float:
    """As the formula promises it, or as drawn."""
    expected = row["expected_std"]
    return float(row["std"] if expected is None or math.isnan(expected) else expected)


def _has_mean(row: Row) -> bool:
    """Whether the weights' mean is more than what their number leaves to chance, and not small beside their spread."""
    chance = 6 * row["std"] / math.sqrt(math.prod(map(int, row["shape"].split("x"))))
    return bool(abs(row["mean"]) > max(chance, ASIDE * row["std"]))
