"""Units that begin alike and stay so, and units that never wake."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from winit_cli.criteria import DEAD
from winit_cli.lint.chain import HIDDEN
from winit_cli.lint.filled import Filled
from winit_cli.lint.subject import Found, Label
from winit_cli.schemes.slots import LAYERS
from winit_cli.theory.activations import ACTIVATIONS

STAGES = HIDDEN | dict.fromkeys(("rnn", "lstm", "gru"), "rnn")  # models whose layers follow one another
SILENT_AT_0 = ("relu", "relu6")  # their slope at 0 is 0 in torch
IDENTITIES = ("eye", "dirac")
CURE = "draw hidden weights at random, e.g. kaiming_normal or orthogonal; zeros suit the head alone"


def identical_units(label: Label) -> Iterator[Found]:
    """Layers whose units get equal weights and pass them on by equal weights, so that all gradients are alike; or whose
    units give 0 and have slope 0 there."""
    model = label.setting.model
    if model.source or model.name not in STAGES:
        yield from _all_equal(label)
        return
    stages = _stages(label)
    for stage, following in pairwise(stages):
        weight, after = stage[0], following[0]
        if not all(filled.is_constant for filled in stage) or weight.slot.shape[0] == 1:
            continue
        if after.is_constant:
            end = "and lead on by equal weights: every update leaves them equal, so the layer is one unit for good"
        elif all(filled.is_zero for filled in stage) and _gives_0(label, weight):
            silent = f", where {label.activation} has slope 0: they never get a gradient"
            end = f"and give 0{silent if label.activation in SILENT_AT_0 else ': nothing of the input passes them'}"
        else:
            continue
        units = (weight.slot.block_shape if weight.slot.kind == "recurrent" else weight.slot.shape)[0]
        layer = weight.name.rpartition(".")[0]
        yield _found(label, weight, f"the {units} units of {layer} begin equal {end}")
        return


def _stages(label: Label) -> list[list[Filled]]:
    """The parameters of each layer, weights first, the head last."""
    found: dict[str, list[Filled]] = {}
    for filled in label.parameters:
        if filled.slot.kind in (*LAYERS, "bias"):
            layer = filled.slot.local.rpartition("_")[2] if filled.name.startswith("rnn.") else ""
            found.setdefault(filled.name.rpartition(".")[0] + layer, []).append(filled)
    return [sorted(stage, key=lambda filled: filled.slot.kind == "bias") for stage in found.values()]


def _gives_0(label: Label, weight: Filled) -> bool:
    """Whether a feedforward layer of zeros passes no signal on at all."""
    activation = ACTIVATIONS.get(label.activation or "")
    return weight.slot.kind != "recurrent" and activation is not None and float(activation(np.zeros(()))) == 0


def _all_equal(label: Label) -> Iterator[Found]:
    """A model whose order is not known, every weight and bias of which is constant."""
    parts = [filled for filled in label.parameters if filled.slot.kind != "norm"]
    weights = list(label.weights)
    if len(weights) > 1 and all(filled.is_constant for filled in parts):
        yield _found(
            label, weights[0], "all weights are constant: the units of every layer begin equal and get equal gradients"
        )


def _found(label: Label, cause: Filled, reason: str) -> Found:
    return Found((label,), label.path(cause, "val", "scheme"), reason, CURE)


def dead_units(label: Label) -> Iterator[Found]:
    """Identities that fill more units than there are inputs that live: the others are 0, where relu has slope 0."""
    chain = label.chain
    if chain is None or chain.activation not in SILENT_AT_0:
        return
    alive, worst = math.prod(label.setting.task.input_shape), (0.0, 0, chain.layers[0])
    for layer in chain.hidden:
        rows, inputs = layer.weight.slot.block_shape[:2]
        is_silent = layer.bias is None or (layer.bias.is_constant and (layer.bias.moments.mean or 0) <= 0)
        alive = min(rows, inputs, alive) if layer.weight.use.scheme in IDENTITIES and is_silent else rows
        worst = max(worst, (1 - alive / rows, rows - alive, layer), key=lambda found: found[0])
    share, dead, layer = worst
    if share:
        name = layer.weight.use.scheme
        yield Found(
            (label,),
            label.path(layer.weight, "scheme"),
            f"{name} leaves {dead} of the {layer.units} units of {layer.path} at 0, where {chain.activation} has slope "
            "0: they never get a gradient",
            f"orthogonal fills all units; {name} suits layers with no more units than inputs",
            "warning" if share >= DEAD else "note",
            share,
        )
