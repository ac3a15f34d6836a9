"""What is told of layers that do not stand in a stack: recurrent ones, and embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from winit_cli.explain.layers import Layer
from winit_cli.explain.parameters import Parameter
from winit_cli.schemes import SCHEMES


def recurrent_facts(layer: Layer, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The spectral radius of the recurrent weights (per gate), and what it does to a state.

    ``sqrt(hidden Var(w))``: the circular law for independent values around 0 (Girko 1984), and the gain of orthogonal
    ones, whose eigenvalues all have that size.
    """
    weight = next(one for one in parameters if one.param.startswith("weight_hh"))
    if weight.std is None or weight.mean is None or weight.mean:
        what = "its row has no moments" if weight.std is None else f"the mean of {weight.param} is not 0"
        return {"sentence": f"no theory of the recurrent weights: {what}; winit probe measures it"}
    radius = weight.std * math.sqrt(layer.outputs)
    return {"spectral_radius": radius, "sentence": _of_state(layer, radius, parameters)}


def embedding_facts(weight: Parameter) -> dict[str, Any]:
    """The size of the vectors; fans have no meaning for a look-up."""
    if weight.variance is None or weight.mean is None:
        return {"sentence": "an embedding sums nothing: its values are the signal"}
    square = weight.variance + weight.mean**2
    return {
        "mean_square": square,
        "sentence": "an embedding sums nothing, so its fans have no meaning (torch counts fan_in = dimensions): the "
        f"next layer gets vectors of mean square {square:.4g}",
    }


def _of_state(layer: Layer, radius: float, parameters: Sequence[Parameter]) -> str:
    size = f"the spectral radius of weight_hh_l0 is about sqrt(hidden Var(w)) = {radius:.4g}"
    if layer.kind == "rnn":
        does = "keeps its size" if math.isclose(radius, 1, rel_tol=1e-3) else f"changes {radius:.4g}x per step"
        return f"{size}: a small state, and the gradient of the past, {does} (tanh; less once it saturates)"
    biases = [one for one in parameters if one.param.startswith("bias")]
    apart = next((row for one in biases if (row := SCHEMES[one.scheme]).family == "recurrent"), None)
    if apart is not None:
        return f"{size} in each gate; {apart.name} sets gates apart and keeps {apart.keeps}"
    if layer.kind == "lstm" and all(one.mean == 0 for one in biases):
        return f"{size} in each gate; the forget gate opens at sigmoid(0) = 1/2, so a cell forgets half in every step"
    return f"{size} in each gate; gates decide what a state keeps"
