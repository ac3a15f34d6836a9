"""The keys in the brackets of a metric: names, values, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from winit_cli.claims.draft import Key
from winit_cli.claims.metrics import READERS, Metric, spelled
from winit_cli.claims.scan import ClaimError
from winit_cli.errors import brief, known


def read_keys(
    keys: Sequence[Key], metric: Metric | None, rates: Sequence[float]
) -> tuple[dict[str, Any], list[ClaimError]]:
    """The values of keys of a metric, or of an outcome (``None``), and the faults; no rates: they are not known."""
    names = [*(metric.keys if metric else ()), "lr"]
    found: dict[str, Any] = {}
    faults: list[ClaimError] = []
    for key in keys:
        try:
            found[key.name] = _value(key, names, metric.name if metric else "an outcome", rates)
        except ValueError as error:
            faults.append(ClaimError(key.at, str(error)))
    return found, faults


def _value(key: Key, names: Sequence[str], what: str, rates: Sequence[float]) -> Any:
    if key.name not in names:
        raise ValueError(f"{what} has no key '{brief(key.name)}'; {known(key.name, names)}")
    try:
        value = READERS[key.name](key.text)
    except ValueError as error:
        raise ValueError(f"{error}, got {brief(key.text)}") from None
    if key.name == "lr" and rates and value not in rates:
        raise ValueError(no_such_rate(value, rates))
    return value


def no_such_rate(rate: Any, rates: Sequence[float]) -> str:
    """What is said of a learning rate that is not in ``train.lr``."""
    return f"nothing is trained at the learning rate {rate:g}; train.lr has {listed(rates)}"


def listed(rates: Sequence[float]) -> str:
    """Learning rates in a message."""
    return ", ".join(f"{rate:g}" for rate in rates)


def canonical(metric: str, keys: Mapping[str, Any], lr: float | None, rates: Sequence[float]) -> str:
    """``train_loss[step=0]``; the learning rate is told where there are several."""
    several = lr is not None and len(rates) > 1
    return spelled(metric, {**keys, "lr": f"{lr:g}"} if several else keys)
