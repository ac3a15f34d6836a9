"""What the gates of recurrent layers let through: how often each is nearly shut and nearly open."""

from __future__ import annotations

from matplotlib.figure import Figure
from pandas import DataFrame

from winit_cli.criteria import CLOSED, OPEN
from winit_cli.plots.boxes import Box, box, panels
from winit_cli.plots.signals import Signals

GATE = "gate_"
WIDTH = 2.3


def figure(signals: Signals) -> Figure | None:
    """A row for each label, a histogram between 0 and 1 for each gate; None without gates."""
    frame = signals.histograms[signals.histograms["quantity"].str.startswith(GATE)]
    if frame.empty:
        return None
    columns = frame[["layer", "quantity"]].drop_duplicates()
    several = columns["layer"].nunique() > 1
    places = list(columns.itertuples(index=False, name=None))
    rows = {
        label: [_box(mine[(mine["layer"] == layer) & (mine["quantity"] == gate)]) for layer, gate in places]
        for label in signals.labels
        if len(mine := frame[frame["label"] == label])
    }
    names = [f"{layer if several else ''} {gate.removeprefix(GATE)} gate, 0 to 1".strip() for layer, gate in places]
    return panels(signals, rows, names, WIDTH)


def _box(frame: DataFrame) -> Box | None:
    if frame.empty:
        return None
    middle, count = (frame["low"] + frame["high"]) / 2, frame["count"]
    whole = count.sum()
    shut, opened = (count[chosen].sum() / whole for chosen in (middle < CLOSED, middle > OPEN))
    text = f"mean {(middle * count).sum() / whole:.2f} · shut {shut:.0%} · open {opened:.0%}"
    return box(frame, text, (0.0, 1.0))
