"""What the data offers to a constructor by the names of its parameters."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from winit_cli.errors import UsageError
from winit_cli.models import Task
from winit_cli.models.adapt import adapt

VECTORS = Task((5,), 3)
SERIES = Task((7, 2), 4, target_steps=3)
IMAGES = Task((3, 8, 6), 10)
TOKENS = Task((9,), 2, vocabulary=11)
OUTPUTS = ("output_size", "out_features", "output_dim", "num_classes", "outputs")


def offered(task: Task, signature: str, **options: Any) -> Any:
    """What a function with that signature is called with."""
    seen: dict[str, Any] = {}
    scope: dict[str, Any] = {"seen": seen, "nn": nn}
    exec(f"def f({signature}):\n    seen.update(locals())\n    return nn.Linear(1, 1)\n", scope)
    model = adapt("net", scope["f"], "source")
    model.build(task, **model.options(**options).model_dump())
    return seen


@pytest.mark.parametrize(
    ("task", "name", "value"),
    [
        *((task, "input_shape", task.input_shape) for task in (VECTORS, SERIES, IMAGES, TOKENS)),
        *((VECTORS, name, 5) for name in ("input_size", "in_features", "input_dim")),
        *((SERIES, name, 2) for name in ("input_size", "in_features", "input_dim")),
        *((IMAGES, name, 144) for name in ("input_size", "in_features", "input_dim")),
        *((VECTORS, name, 3) for name in OUTPUTS),
        (IMAGES, "in_channels", 3),
        (SERIES, "seq_len", 7),
        (TOKENS, "sequence_length", 9),
        (TOKENS, "vocab_size", 11),
        (TOKENS, "num_embeddings", 11),
        (SERIES, "target_steps", 3),
        (VECTORS, "target_steps", 0),
    ],
    ids=str,
)
def test_names_that_the_data_fills(task: Task, name: str, value: Any) -> None:
    assert offered(task, name)[name] == value
    assert offered(task, f"{name}=None")[name] == value  # in place of a default too
    assert offered(task, f"*, {name}")[name] == value
    assert offered(task, name, **{name: 99})[name] == 99  # unless the user says otherwise


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        (VECTORS, "in_channels", r"in_channels is asked for, but the data has vectors .* use input_size"),
        (SERIES, "in_channels", "in_channels is asked for, but the data has sequences"),
        (VECTORS, "seq_len", "seq_len is asked for, but the data has vectors"),
        (SERIES, "vocab_size", "vocab_size is asked for, but the inputs are no tokens"),
    ],
    ids=str,
)
def test_what_the_data_does_not_have(task: Task, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        offered(task, name)
    assert offered(task, f"{name}=6")[name] == 6
    assert offered(task, name, **{name: 8})[name] == 8


def test_what_is_no_name_of_the_data_is_an_option() -> None:
    assert offered(VECTORS, "hidden, in_features", hidden=7) == {"hidden": 7, "in_features": 5}
    assert offered(VECTORS, "hidden: int = 4, rate: float = 0.5")["hidden"] == 4
    assert offered(VECTORS, "in_features, **more", width=3)["more"] == {"width": 3}
    assert offered(VECTORS, "in_features, *layers")["layers"] == ()
    assert offered(VECTORS, "act=nn.ReLU")["act"] is nn.ReLU
