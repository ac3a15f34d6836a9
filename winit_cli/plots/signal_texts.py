"""What the figures of a probe show, in words and numbers, for those who do not see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pandas import DataFrame

from winit_cli.plots.probe_gates import GATE
from winit_cli.plots.signals import Signals


def verdicts(signals: Signals) -> str:
    """The verdict of each label, and from which layer on."""
    rows = zip(*(signals.verdicts[name].fillna("") for name in ("label", "verdict", "layer")), strict=True)
    return _joined(f"{label} is {verdict}{f' from {layer} on' if layer else ''}" for label, verdict, layer in rows)


def signal(signals: Signals) -> str:
    """Mean square and gradient at both ends of each label."""
    texts = []
    for label in _labels(signals):
        squares, gradients = (_ends(signals.of(label, metric)) for metric in ("pre_mean_square", "grad_norm"))
        texts.append(f"{label} has the mean square {squares} and gradients of norm {gradients}")
    return _joined(iter(texts))


def correlation(signals: Signals) -> str:
    """The correlation in the first and in the last hidden layer."""
    return _joined(f"{label} {_ends(signals.of(label, 'correlation').iloc[:-1])}" for label in _labels(signals))


def spectrum(signals: Signals) -> str:
    """The range of singular values of each label."""
    frame = signals.histograms[signals.histograms["quantity"] == "jacobian_singular_value"]
    return _joined(f"{label} from {_range(mine)}" for label, mine in frame.groupby("label", sort=False))


def _histograms(signals: Signals, quantity: str) -> str:
    frame = signals.histograms[signals.histograms["quantity"] == quantity]
    return _joined(
        f"{label}, {layer} from {_range(mine)}"
        for (label, layer), mine in frame.groupby(["label", "layer"], sort=False)
    )


def histograms(quantity: str) -> Callable[[Signals], str]:
    """The range of a quantity in each layer of each label."""
    return partial(_histograms, quantity=quantity)


def gates(signals: Signals) -> str:
    """The mean of each gate of each label."""
    frame = signals.histograms[signals.histograms["quantity"].str.startswith(GATE)]
    found: Any = frame.groupby(["label", "layer", "quantity"], sort=False)
    return _joined(
        f"{label}, {gate.removeprefix(GATE)} gate of {layer}: mean {_mean(mine):.2f}"
        for (label, layer, gate), mine in found
    )


def _labels(signals: Signals) -> list[str]:
    return [label for labels in signals.variants.values() for label in labels]


def _ends(frame: DataFrame) -> str:
    """``0.5 in layers.0 and 2 in head``."""
    rows = list(frame[["layer", "mean"]].itertuples(index=False))
    return " and ".join(f"{row.mean:.3g} in {row.layer}" for row in (rows[:1] + rows[-1:] if len(rows) > 1 else rows))


def _range(frame: DataFrame) -> str:
    return f"{frame['low'].min():.3g} to {frame['high'].max():.3g}"


def _mean(frame: DataFrame) -> float:
    return float(((frame["low"] + frame["high"]) / 2 * frame["count"]).sum() / frame["count"].sum())


def _joined(texts: Iterator[str]) -> str:
    return f"{'; '.join(texts)}."
