"""What else people hand to ``winit.compare`` and ``winit.init``: taken, or refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import winit_cli as winit
from winit_cli.errors import WinitError

X = np.linspace(-1, 1, 80).reshape(40, 2)
Y = np.arange(40) % 2


def net(in_features: int, num_classes: int) -> nn.Module:
    return nn.Linear(in_features, num_classes)


@pytest.fixture
def compare(tmp_path: Path) -> Any:
    def call(**changes: Any) -> winit.Comparison:
        given = {"model": net, "data": (X, Y), "schemes": ["zeros"], "seeds": 1, "steps": 2} | changes
        return winit.compare(**given, train={"batch_size": 8}, results=tmp_path, progress=False)

    return call


NUMBERS: dict[str, tuple[dict[str, Any], int]] = {
    "a count of seeds": ({"seeds": np.int64(2)}, 2),
    "seeds": ({"seeds": np.arange(3)}, 3),
    "a range of seeds": ({"seeds": range(2)}, 2),
    "steps": ({"steps": np.int64(2)}, 1),
    "learning rates": ({"lr": np.array([0.1, 0.2])}, 2),
    "an option": ({"schemes": [{"scheme": "normal", "std": np.float32(0.5)}]}, 1),
}


@pytest.mark.parametrize("name", list(NUMBERS))
def test_numbers_of_numpy_are_numbers(compare: Any, name: str) -> None:
    given, trials = NUMBERS[name]
    assert len(compare(**given).trials) == trials


REFUSED: dict[str, dict[str, Any]] = {
    "no inputs": {"data": (None, Y)},
    "ragged inputs": {"data": ([[1, 2], [3]], [0, 1])},
    "an object as data": {"data": object()},
    "a function as a scheme": {"schemes": [lambda tensor, generator: tensor.zero_()]},
    "a row as a scheme": {"schemes": [winit.Scheme("q", lambda tensor, generator: tensor.zero_())]},
    "no schemes": {"schemes": None},
    "text for seeds": {"seeds": "two"},
    "a fraction of a seed": {"seeds": 1.5},
    "a number as a loss": {"loss": 3},
    "no model": {"model": None},
    "a number as a model": {"model": 3},
    "no such device": {"device": "moon"},
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_used_is_refused_in_words(compare: Any, name: str, tmp_path: Path) -> None:
    with pytest.raises(WinitError) as caught:
        compare(**REFUSED[name])
    assert 0 < len(str(caught.value)) < 1000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", [torch.ones(3), nn.Linear, None], ids=["tensor", "class", "nothing"])
def test_only_a_module_is_filled(module: Any) -> None:
    with pytest.raises((WinitError, TypeError), match="Module"):
        winit.init(module, "zeros")
