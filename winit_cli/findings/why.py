"""A few words on why a label ended where it did."""

from __future__ import annotations

import math

from winit_cli.findings.numbers import Row

EVEN = 10.0  # gradients of the first and the last layer within this factor count as alike
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
LAG = "grad_norm_lag_"  # with a number of steps


def why(first: float, last: float, verdict: Row | None = None) -> str:
    """What the probe's verdict says, else what the gradients of the first and the last weight before training do."""
    gradients = _of_gradients(first, last)
    if verdict is None:
        return gradients
    if verdict["verdict"] == "healthy":
        return "; ".join(filter(None, ("healthy at start", gradients)))
    metric, value = verdict["metric"], verdict["value"]
    phrase = PHRASES.get(metric, "{metric} {value} at {layer}")
    if metric.startswith(LAG):
        phrase = f"gradient {metric.removeprefix(LAG)} steps back {{value}} of the last's"
    shown = {"value": f"{value:.2g}", "percent": f"{value:.0%}"}
    return f"{verdict['verdict']}: {phrase.format(**verdict | shown)}"


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
