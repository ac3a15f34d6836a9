"""The final metric over the learning rate, a chart per variant."""

from __future__ import annotations

import numpy as np
from pandas import DataFrame

from winit_cli.findings import Findings
from winit_cli.plots.panels import MOST, variants
from winit_cli.report.bands import Band
from winit_cli.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Series, keys
from winit_cli.report.scales import Axis, Floats, Tick, linear, logarithmic
from winit_cli.store.frames import RunFrames


def charts(run: RunFrames, found: Findings) -> list[Chart]:
    """Mean and 95 % interval of the metric at each rate; none where there is one rate."""
    table = found.tables.summary[found.tables.summary["metric"] == found.metric]
    table = table[table["mean"].notna()]
    lrs = np.array(sorted({float(lr) for lr in run.trials["lr"]}))
    if len(lrs) < 2:
        return []
    kind = "accuracy" if found.task == "classification" else "loss"
    return [
        _chart(run, table[table["label"].isin(labels)], (kind, variant, place), lrs)
        for place, (variant, labels) in enumerate(list(variants(run.labels).items())[:MOST])
        if table["label"].isin(labels).any()
    ]


def _chart(run: RunFrames, table: DataFrame, name: tuple[str, str, int], lrs: Floats) -> Chart:
    kind, variant, place = name
    legend = keys(run.labels)
    indexed = {label: rows.set_index("lr").reindex(lrs) for label, rows in table.groupby("label", sort=False)}
    return Chart(
        name=f"rates-{place}",
        title=f"final test {kind}{f', {variant}' if variant else ''}",
        x_name="learning rate",
        y_name=f"test {kind}",
        x=_along(lrs),
        y=_upwards(table["mean"].to_numpy(dtype=np.float64), kind, run.data.get("constant_loss")),
        places=lrs,
        series=[Series(legend[str(label)], _band(rows)) for label, rows in indexed.items()],
        names=[f"{lr:g}" for lr in lrs],
        whiskers=True,
        about="mean and 95 % interval",
    )


def _band(rows: DataFrame) -> Band:
    return Band(*(rows[name].to_numpy(dtype=np.float64) for name in ("mean", "ci_low", "ci_high")))


def _along(lrs: Floats) -> Axis:
    """Logarithmic with a tick at each rate, as long as they are few."""
    low, high = float(lrs[0]), float(lrs[-1])
    room = (high / low) ** 0.06 if low > 0 else 1.0
    if low <= 0:
        return linear(low, high, LEFT, RIGHT)
    axis = logarithmic(low / room, high * room, LEFT, RIGHT)
    if len(lrs) > 8:
        return axis
    marks = tuple(Tick(round(float(at), 1), f"{lr:g}") for at, lr in zip(axis.place(lrs), lrs, strict=True))
    return Axis(axis.low, axis.high, True, LEFT, RIGHT, marks)


def _upwards(means: Floats, kind: str, constant: float | None) -> Axis:
    """All means, but none above ten times the loss of the constant predictor."""
    if kind == "accuracy":
        return linear(-0.02, 1.02, BOTTOM, TOP)
    inside = means[means <= 10 * constant] if constant else means
    inside = inside if len(inside) else means
    low, high = float(inside.min()), float(inside.max())
    if low > 0 and high / low > 30:
        return logarithmic(low / 1.2, high * 1.2, BOTTOM, TOP)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return linear(low - room, high + room, BOTTOM, TOP)
