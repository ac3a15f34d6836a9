"""The table of schemes: names, options with torch's defaults, and which parameters each can fill."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import init
from zoo import CASES, seeded, use_of

from winit_cli.errors import UsageError
from winit_cli.schemes import SCHEMES
from winit_cli.tables import find

TORCHS = [(name, options) for name, options in CASES if hasattr(init, f"{name}_")]


def test_every_filling_function_of_torch_is_in_the_table() -> None:
    functions = {name.rstrip("_") for name in dir(init) if name.endswith("_") and not name.startswith("_")}
    assert functions <= set(SCHEMES)


@pytest.mark.parametrize("row", SCHEMES.values(), ids=SCHEMES.keys())
def test_names_are_found_by_every_spelling(row: Any) -> None:
    for name in (row.name, *row.aliases):
        for spelled in (name, name.upper(), f"{name}_", name.replace("_", "-")):
            assert find(SCHEMES, spelled, "scheme") is row


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("xavier", "xavier_normal"),
        ("kaiming", "kaiming_normal"),
        ("glorot_uniform", "xavier_uniform"),
        ("glorot_normal", "xavier_normal"),
        ("he_uniform", "kaiming_uniform"),
        ("he_normal", "kaiming_normal"),
        ("kaiming_uniform_", "kaiming_uniform"),
    ],
)
def test_aliases_mean_what_people_mean(alias: str, name: str) -> None:
    assert find(SCHEMES, alias, "scheme").name == name


def test_an_unknown_scheme_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown scheme 'kaimng_normal'; did you mean 'kaiming_normal'"):
        find(SCHEMES, "kaimng_normal", "scheme")


@pytest.mark.parametrize("row", SCHEMES.values(), ids=SCHEMES.keys())
def test_rows_are_complete(row: Any) -> None:
    assert row.summary and row.formula and row.paper and row.torch_call and row.family
    assert row.applies_to


def test_what_a_scheme_can_fill_matches_what_torch_accepts() -> None:
    shapes = [(4,), (4, 4), (4, 4, 3), (4, 4, 3, 3), (4, 4, 3, 3, 3)]
    for name, options in TORCHS:
        for shape in shapes:
            try:
                with seeded("any"):
                    getattr(init, f"{name}_")(torch.empty(shape), **options)
                accepted = True
            except (ValueError, IndexError):
                accepted = False
            assert SCHEMES[name].can_fill(shape) == accepted, (name, shape)


def test_option_defaults_are_torchs() -> None:
    import inspect

    for name, _ in TORCHS:
        signature = inspect.signature(getattr(init, f"{name}_")).parameters
        for option, field in SCHEMES[name].options.model_fields.items():
            default = signature[option].default
            assert field.is_required() if default is inspect.Parameter.empty else field.default == default
        left_out = set(signature) - set(SCHEMES[name].options.model_fields) - {"tensor", "generator"}
        assert left_out == ({"groups"} if name == "dirac" else set())


def test_every_nonlinearity_of_torch_is_allowed() -> None:
    for name in ("linear", "conv1d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert use_of("kaiming_normal", nonlinearity=name).options["nonlinearity"] == name


def test_impossible_options_are_said() -> None:
    assert SCHEMES["uniform"].check({"a": 1.0, "b": 1.0}) == "a must be below b, got a=1.0, b=1.0"
    assert SCHEMES["trunc_normal"].check({"mean": 9.0, "std": 1.0, "a": -2.0, "b": 2.0}) is not None
    assert SCHEMES["trunc_normal"].check({"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0}) is None
