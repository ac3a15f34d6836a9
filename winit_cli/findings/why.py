"""A few words on why a label ended where it did."""

from __future__ import annotations

import math
from collections.abc import Sequence

from winit_cli.criteria import EVEN
from winit_cli.findings.numbers import Row

TINY = 1e-3  # a network that learns begins with norms of 0.01 and more
# what the number behind a verdict is
PHRASES = {
    "layer_gain": "mean square × {value} at {layer}",
    "grad_norm": "gradient of {layer} {value} of the head's",
    "dead_fraction": "{percent} of {layer} silent",
    "saturated_fraction": "{percent} of {layer} saturated",
    "distinct_units": "units of {layer} alike",
    "pre_mean_square": "{layer} overflows",
}
HEALTHY = "healthy at start"
YET = {  # what initialization does not explain
    "stuck": f"{HEALTHY}, yet stuck: look at the learning rate or the number of steps",
    "diverged": f"{HEALTHY}, yet diverged: look at the learning rate",
}
NAMED = 6
LAG = "grad_norm_lag_"  # with a number of steps


def why(first: float, last: float, verdict: Row | None = None, ended: str = "") -> str:
    """What the probe's verdict says, else what the gradients of the first and the last weight before training do;
    ``ended`` is how most trials of a label did: stuck, diverged or, blank, neither."""
    gradients = _of_gradients(first, last)
    if verdict is None:
        return gradients
    if verdict["verdict"] == "healthy":
        return YET[ended] if ended else "; ".join(filter(None, (HEALTHY, gradients)))
    metric, value = verdict["metric"], verdict["value"]
    phrase = PHRASES.get(metric, "{metric} {value} at {layer}")
    if metric.startswith(LAG):
        phrase = f"gradient {metric.removeprefix(LAG)} steps back {{value}} of the last's"
    shown = {"value": f"{value:.2g}", "percent": f"{value:.0%}"}
    return f"{verdict['verdict']}: {phrase.format(**verdict | shown)}"


def ended(n: int, stuck: int, diverged: int) -> str:
    """How at least half of n trials ended, where they did not learn."""
    if 2 * (stuck + diverged) < n or not n:
        return ""
    return "stuck" if stuck >= diverged else "diverged"


def unexplained(rows: Sequence[Row]) -> list[str]:
    """``kaiming, orthogonal (lr 0.1): healthy at start, yet stuck: …``: what stands as the why of which rows of the
    ranked table, for where that has no room."""
    several = len({row["lr"] for row in rows}) > 1
    names = {
        text: [f"{row['label']} (lr {row['lr']:g})" if several else row["label"] for row in rows if row["why"] == text]
        for text in YET.values()
    }
    return [
        f"{', '.join(found[:NAMED])}{', …' * (len(found) > NAMED)}: {text}" for text, found in names.items() if found
    ]


def _of_gradients(first: float, last: float) -> str:
    if math.isnan(first) or math.isnan(last):
        return ""
    if first == 0 and last == 0:
        return "no layer gets a gradient"
    if first == 0:
        return "the first layer's gradient is 0"
    if last == 0:
        return "the last layer's gradient is 0"
    if max(first, last) < TINY:
        return f"first and last gradient below {TINY:g}"
    ratio = first / last
    if ratio < 1 / EVEN:
        return f"first layer's gradient {ratio:.0e} of the last's"
    if ratio > EVEN:
        return f"first layer's gradient {ratio:.0e} × the last's"
    return f"gradients alike: first {ratio:.2g} × last"
