"""Statistics over seeds: intervals, the summary table and the ranking. Data frames in, data frames out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame
from scipy import stats as scipy_stats

METRICS = ("final_train_loss", "final_val_loss", "final_test_loss", "final_test_accuracy")
OPTIONAL = ("final_val_loss", "final_test_accuracy")
MOMENTS = ("n", "diverged", "mean", "median", "iqm", "sd", "ci_low", "ci_high")
COUNTED = ("ok", "diverged")
RANKING = (
    *("rank", "label", "scheme", "lr", "n", "diverged", "stuck"),
    *(
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "loss",
        "loss_low",
        "loss_high",
        "first_grad",
        "last_grad",
    ),
)
Floats = NDArray[np.float64]
_VARIANT = re.compile(r"(?:@[^@=]+=[^@]*)+$")


def mean_interval(values: ArrayLike) -> tuple[float, float]:
    """The 95 % Student-t interval of the mean: mean ± t(0.975, n − 1) · sd / √n, NaN below two values."""
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2:
        return math.nan, math.nan
    half = float(scipy_stats.t.ppf(0.975, len(numbers) - 1)) * _sd(numbers) / math.sqrt(len(numbers))
    return _mean(numbers) - half, _mean(numbers) + half


def iqm(values: ArrayLike) -> float:
    """The interquartile mean: what is left after a quarter of the values is cut off at each end."""
    numbers = np.asarray(values, dtype=np.float64)
    return _mean(numbers) if _constant(numbers) else float(scipy_stats.trim_mean(numbers, 0.25))


def summarize(trials: DataFrame, labels: Sequence[str]) -> DataFrame:
    """The table summary.csv: one row per label, learning rate and metric.

    ``n`` counts finished trials, ``diverged`` those of them without a value; the moments are over
    the survivors and blank when there are none. Validation loss and accuracy appear where measured.
    """
    measured = [name for name in METRICS if name not in OPTIONAL or np.isfinite(numbers_of(trials, name)).any()]
    rows = [
        {"label": label, "lr": lr, "metric": metric, **_moments(numbers_of(group, metric))}
        for label, lr, group in groups(trials, labels)
        for metric in measured
    ]
    return DataFrame(rows, columns=["label", "lr", "metric", *MOMENTS])


def ranking(trials: DataFrame, gradients: DataFrame, labels: Sequence[str], *, task: str) -> DataFrame:
    """Labels and learning rates by mean test accuracy (or test loss for regression), the best first.

    A diverged trial is never dropped: it counts as the worst value seen in the comparison. Dropping
    it would let a scheme that fails on nine seeds of ten win with the tenth. Equal scores go to the
    row with fewer diverged trials; rows equal in both share a rank and keep the config's order. Only
    labels of one variant (equal text after ``@``) are compared. Means and intervals are over the
    survivors; ``first_grad`` and ``last_grad`` are medians over seeds at step 0 of the first and the last parameter
    among ``gradients``.
    """
    metric = "final_test_accuracy" if task == "classification" else "final_test_loss"
    first_step = gradients[gradients["step"] == 0]
    schemes = dict(zip(trials["label"], trials["scheme"], strict=True))
    variants = list(dict.fromkeys(split_label(label)[1] for label in labels))
    rows: list[dict[str, object]] = []
    for variant in variants:
        rivals = [label for label in labels if split_label(label)[1] == variant]
        compared = list(groups(trials, rivals))
        keys = _keys([numbers_of(group, metric) for _, _, group in compared], accuracy=task == "classification")
        order = sorted(range(len(keys)), key=keys.__getitem__)
        for place in order:
            rank = 1 + sum(key < keys[place] for key in keys)
            row = _standing(*compared[place], first_step)
            rows.append({"rank": rank, "scheme": schemes.get(compared[place][0], ""), **row})
    return DataFrame(rows, columns=list(RANKING))


def split_label(label: str) -> tuple[str, str]:
    """A label and its variant: ``kaiming_normal@depth=22`` gives ``kaiming_normal`` and ``depth=22``."""
    found = _VARIANT.search(label)
    return (label[: found.start()], label[found.start() + 1 :]) if found else (label, "")


def groups(trials: DataFrame, labels: Sequence[str]) -> Iterator[tuple[str, float, DataFrame]]:
    """The finished trials of each label and learning rate, in the config's order."""
    rates = [float(lr) for lr in trials["lr"].unique()]
    finished = trials[trials["status"].isin(COUNTED)]
    for label in labels:
        mine = finished[finished["label"] == label]
        yield from ((label, lr, mine[mine["lr"] == lr]) for lr in rates)


def numbers_of(frame: DataFrame, column: str) -> Floats:
    """A column as float64; blank cells and infinities are NaN."""
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=math.nan)
    return np.where(np.isfinite(numbers), numbers, math.nan)


def _constant(values: Floats) -> bool:
    return len(values) == 0 or bool(values.min() == values.max())


def _mean(values: Floats) -> float:
    """The mean, free of rounding where all values are equal, and with an exact sum elsewhere."""
    if len(values) == 0:
        return math.nan
    return float(values[0]) if _constant(values) else math.fsum(values) / len(values)


def _sd(values: Floats) -> float:
    if len(values) < 2:
        return math.nan
    return 0.0 if _constant(values) else float(values.std(ddof=1))


def _moments(values: Floats) -> dict[str, float]:
    survivors = values[np.isfinite(values)]
    median = float(np.median(survivors)) if len(survivors) else math.nan
    spread = (_mean(survivors), median, iqm(survivors), _sd(survivors), *mean_interval(survivors))
    return dict(zip(MOMENTS, (len(values), len(values) - len(survivors), *spread), strict=True))


def _keys(values: Sequence[Floats], *, accuracy: bool) -> list[tuple[float, float]]:
    """What each row is sorted by, low is good: its score and the share of its trials that diverged."""
    sign = -1.0 if accuracy else 1.0
    seen = [sign * group[np.isfinite(group)] for group in values]
    worst = max((float(group.max()) for group in seen if len(group)), default=math.inf)
    return [_key(sign * group, worst) for group in values]


def _key(losses: Floats, worst: float) -> tuple[float, float]:
    if len(losses) == 0:
        return math.inf, math.inf
    lost = np.isnan(losses)
    # equal accuracies summed in another order differ in the last bits, which must not decide a rank
    return round(_mean(np.where(lost, worst, losses)), 12), float(lost.mean())


def _standing(label: str, lr: float, group: DataFrame, first_step: DataFrame) -> dict[str, object]:
    accuracy, loss = (_moments(numbers_of(group, f"final_test_{name}")) for name in ("accuracy", "loss"))
    own = first_step[(first_step["label"] == label) & (first_step["lr"] == lr)]
    weights = list(dict.fromkeys(own["param"]))
    return {
        "label": label,
        "lr": lr,
        "n": len(group),
        "diverged": int((group["status"] == "diverged").sum()),
        "stuck": int((group["outcome"] == "stuck").sum()),
        **{f"accuracy{end}": accuracy[name] for end, name in _SHOWN},
        **{f"loss{end}": loss[name] for end, name in _SHOWN},
        "first_grad": _median(own, weights[0]) if weights else math.nan,
        "last_grad": _median(own, weights[-1]) if weights else math.nan,
    }


_SHOWN = (("", "mean"), ("_low", "ci_low"), ("_high", "ci_high"))


def _median(gradients: DataFrame, param: str) -> float:
    return float(np.median(numbers_of(gradients[gradients["param"] == param], "grad_norm")))
