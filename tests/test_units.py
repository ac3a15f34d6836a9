"""The pictures of first-layer units: what is cut from a model, and in which shape."""

from __future__ import annotations

import pytest

from winit_cli.engine.units import UNITS, first_units
from winit_cli.models import MODELS, Task

SHAPES = [
    ("mlp", (1, 28, 28), (UNITS, 28, 28)),
    ("mlp", (3, 9, 7), (UNITS, 9, 7)),
    ("mlp", (16,), (UNITS, 16)),
    ("cnn", (3, 8, 8), (UNITS, 3, 3)),
    ("lstm", (1, 8, 8), (UNITS, 8)),
    ("rnn", (5, 2), (UNITS, 2)),
]


@pytest.mark.parametrize(("name", "inputs", "shape"), SHAPES)
def test_units_are_pictures_where_the_weights_read_one(name, inputs, shape):
    row = MODELS[name]
    model = row.build(Task(inputs, 4), **row.options().model_dump())
    units = first_units(model, inputs)
    assert units.shape == shape
    if name == "mlp":
        mine = model.layers[0].weight[0].detach().reshape(inputs)
        assert units[0] == pytest.approx(mine.mean(dim=0).numpy() if len(inputs) == 3 else mine.numpy())
