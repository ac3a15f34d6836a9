"""Faults of a config: one clear message with its place, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refused_text, refused_with, winit, write

MODEL = {"name": "mlp", "width": 6, "depth": 1}
pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"model": "vgg"}, "model.name: unknown model 'vgg'; known: mlp, cnn, lstm, gru, rnn"),
    ({"model": "lsmt"}, "model.name: unknown model 'lsmt'; did you mean 'lstm'?"),
    ({"model": 5}, "model: expected a name or a mapping with name:, got 5; known: mlp"),
    ({"model": MODEL | {"widht": 3}}, "model.widht: unknown key 'widht'; did you mean 'width'? (known: width, depth"),
    ({"model": MODEL | {"norm": "batchnorm"}}, "model.norm: unknown value batchnorm; did you mean 'batch'?"),
    ({"model": MODEL | {"bias": 1}}, "model.bias: must be true or false, got 1"),
    ({"model": MODEL | {"width": 2**31 - 1, "depth": 2}}, "too large for any computer; make them smaller"),
    ({"model": "cnn"}, "cnn needs images (channels, height, width), the data has vectors"),
    ({"model": {"name": "cnn", "channels": [0]}}, "model.channels.0: must be at least 1, got 0"),
    ({"data": "mnits"}, "data.name: unknown data set 'mnits'; did you mean 'mnist'?"),
    ({"data": {"name": "gaussian", "clases": 3}}, "data.clases: unknown key 'clases'; did you mean 'classes'?"),
    ({"data": {"name": "digits", "train_size": 9999}}, "data: digits: train_size + val_size + test_size = 10359"),
    ({"data": "npz"}, "data: npz needs the option 'path', which has no default"),
    ({"schemes": []}, "'schemes' is empty; list at least one, e.g. schemes: [kaiming_normal, zeros]"),
    ({"schemes": None}, "'schemes' is required; list at least one"),
    ({"schemes": "zeros"}, "'schemes' must be a list; list at least one"),
    ({"schemes": ["kaiming_norml"]}, "unknown scheme 'kaiming_norml'; did you mean 'kaiming_normal'? (known: pytorch"),
    ({"schemes": [3]}, "schemes.0: expected the name of a scheme, or a mapping with scheme: or rules:, got 3"),
    ({"schemes": [{"label": "x"}]}, "schemes.0: 'scheme' is required; known: pytorch_default"),
    (
        {"schemes": ["zeros", "zeros"]},
        "schemes.1: label 'zeros' is used twice; give one of them another, e.g. label",
    ),
    (
        {"schemes": [{"scheme": "zeros", "label": "A b"}, {"scheme": "ones", "label": "a-b"}]},
        "schemes.1: label 'a-b' and 'A b' share one file name; give one of them another, e.g. label: a-b 2",
    ),
    ({"schemes": [{"scheme": "zeros", "label": "../x"}]}, "schemes.0.label: a label must be text of at most 64"),
    ({"schemes": [{"scheme": "zeros", "label": 5}]}, "that begins with a letter or digit, got 5"),
    (
        {"schemes": [{"scheme": "zeros", "gain": 2}]},
        "zeros has no option 'gain'; known: scheme, label, others, bias, fallback, recurrent, input, forget_bias",
    ),
    ({"schemes": [{"scheme": "xavier", "gane": 2}]}, "xavier_normal has no option 'gane'; did you mean 'gain'?"),
    ({"schemes": [{"scheme": "xavier", "gain": "rleu"}]}, "expected a number, an activation or auto, got 'rleu'"),
    ({"schemes": ["constant"]}, "schemes.0: constant needs the option 'val', which has no default"),
    ({"schemes": ["sparse"]}, "schemes.0: sparse needs the option 'sparsity', which has no default"),
    ({"schemes": [{"scheme": "sparse", "sparsity": 2}]}, "schemes.0.sparsity: must be at most 1, got 2"),
    ({"schemes": [{"scheme": "uniform", "a": 2}]}, "a must be below b, got a=2.0, b=1.0"),
    ({"schemes": [{"scheme": "kaiming", "mode": "fan_avg"}]}, "schemes.0.mode: unknown value fan_avg; did you mean"),
    ({"train": {"steps": -5}}, "train.steps: must be at least 1, got -5"),
    ({"train": {"steps": "two"}}, "train.steps: must be a whole number, got two"),
    ({"train": {"steps": 2**40}}, "train.steps: must be at most 2147483647, got 1099511627776"),
    ({"train": {"stpes": 3}}, "train.stpes: unknown key 'stpes'; did you mean 'steps'?"),
    ({"train": [1]}, "train: expected a mapping of options, got [1]"),
    ({"train": False}, "train: expected a mapping of options, got false"),
    ({"train": {"lr": 0}}, "train.lr: must be above 0, got 0"),
    ({"train": {"lr": float("nan")}}, "train.lr: must be above 0, got .nan"),
    ({"train": {"lr": float("inf")}}, ", got .inf"),
    ({"train": {"lr": []}}, "train.lr: too few values, got []"),
    ({"train": {"lr": [0.1, "abc"]}}, "train.lr.1: must be a number, got abc"),
    ({"train": {"lr": [0.1, 0.1]}}, "train.lr: 0.1 is given twice"),
    ({"train": {"lr": True}}, "train.lr: expected a number, got true or false"),
    ({"train": {"betas": [0.9], "optimizer": "adam"}}, "train.betas: too few values, got [0.9]"),
    ({"train": {"optimizer": "SDG"}}, "train.optimizer: unknown value SDG; did you mean 'sgd'?"),
    ({"train": {"momentum": 0.9, "nesterov": "yes"}}, "train.nesterov: "),
    ({"train": {"nesterov": True}}, "nesterov needs a momentum above 0; add e.g. momentum: 0.9, or remove it"),
    ({"train": {"nesterov": True, "momentum": 0}}, "nesterov needs a momentum above 0; add e.g. momentum: 0.9"),
    (
        {"train": {"optimizer": "rmsprop", "momentum": 0.9, "nesterov": True}},
        "nesterov goes with sgd, not with rmsprop; remove it",
    ),
    ({"train": {"optimizer": "adam", "momentum": 0.9}}, "momentum goes with sgd and rmsprop, not with adam; use betas"),
    ({"train": {"steps": 3, "epochs": 2}}, "train: give steps or epochs, not both"),
    ({"train": {"batch_size": 65}}, "train.batch_size 65 is larger than the training part of gaussian (64 examples)"),
    ({"train": {"batch_size": 16, "steps": 2, "warmup": 3}}, "train.warmup 3 is longer than the training (2 steps)"),
    ({"seeds": "ten"}, "seeds: expected a number of seeds or a list like [3, 5, 8] or [100-104], got ten"),
    ({"seeds": "10"}, "seeds: expected a number of seeds or a list like [3, 5, 8] or [100-104], got '10'"),
    ({"seeds": True}, "seeds: expected a number of seeds or a list like [3, 5, 8] or [100-104], got true"),
    ({"seeds": 0}, "seeds: expected 1 to 100000 seeds, got 0"),
    ({"seeds": []}, "seeds: too few values, got []"),
    ({"seeds": [1, 1]}, "seeds: 1 is given twice"),
    ({"seeds": [-1]}, "seeds.0: must be at least 0, got -1"),
    ({"seeds": [10**30]}, "seeds.0: must be below 9223372036854775808"),
    ({"name": "a/b"}, "name: expected letters, digits, . _ - (at most 64, the first a letter or digit), got a/b"),
    ({"name": ".."}, "the first a letter or digit), got .."),
    ({"name": 5}, "name: must be text (put it in quotes), got 5"),
    ({"trian": {}}, "trian: unknown key 'trian'; did you mean 'train'? (known: name, seeds"),
    ({"claims": ["zros stuck"]}, "claims.0: at character 1: no label 'zros'; did you mean 'zeros'? (known"),
    ({"engine": "fast"}, "engine: unknown value fast; did you mean 'auto'? (known: auto, stacked, serial)"),
    ({"precision": "fp16"}, "precision: unknown value fp16; did you mean 'bf16'?"),
    ({"precision": "tf32"}, "precision: tf32 needs a CUDA device; use precision: fp32 or --device cuda"),
    ({"baseline": "zero"}, "baseline: no label zero among the schemes; did you mean 'zeros'?"),
    ({"checkpoint_seconds": 0}, "checkpoint_seconds: must be above 0, got 0"),
    ({"measure": {"widths": [8]}}, "measure.widths: too few values, got [8]; give 2 or more"),
    ({"measure": {"evry": 1}}, "measure.evry: unknown key 'evry'; did you mean 'every'?"),
    ({"vary": [1]}, "vary: expected a mapping like {model.depth: [10, 30]}, got [1]"),
    ({"vary": {"depth": [1]}}, "vary.depth: only options of model, data and train can be varied, e.g. model.depth"),
    ({"vary": {"model.depth": 3}}, "vary.model.depth: expected a list of values, got 3"),
    ({"vary": {"model.depth": [1, 1]}}, "vary.model.depth: a value is given twice in [1, 1]"),
    ({"vary": {"train.lr": [0.1]}}, "vary.train.lr: cannot be varied; list the rates in train.lr"),
    ({"vary": {"model.dpth": [1]}}, "unknown key 'dpth'; did you mean 'depth'?"),
    ({"vary": {"model.depth": [1, "x"]}}, "model.depth: must be a whole number, got x (where model.depth is x)"),
    ({"vary": {"data.seed": [1, -1]}}, "vary: the labels 'kaiming_normal@seed=1' and 'kaiming_normal@seed=-1' share"),
    ({"vary": {"train.momentum": [0.5, "0.5"]}}, "vary: the labels 'kaiming_normal@momentum=0.5' and"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS, ids=lambda value: None if isinstance(value, dict) else value)
def test_fault_of_a_config(changes: dict[str, Any], message: str) -> None:
    said = refused_with(**changes)
    assert message in said
    assert said.startswith("c.yaml:"), "the place comes first"
    assert len(said.splitlines()) == 1 or "faults in the config" in said


RECIPES: list[tuple[dict[str, Any], str]] = [
    (
        {"scheme": "dirac"},
        "label dirac: 'dirac' cannot fill layers.0.weight (6, 8), head.weight (3, 6): it fills conv weights; "
        "add a fallback for such parameters to the entry, e.g. fallback: kaiming_normal",
    ),
    ({"scheme": "dirac", "fallback": "dirac"}, "choose another fallback, e.g. fallback: kaiming_normal"),
    ({"scheme": "zeros", "bias": "xavier_normal"}, "'xavier_normal' cannot fill layers.0.bias (6,)"),
    ({"scheme": "zeros", "bias": "orthogonal"}, "use bias: zeros, or bias: {scheme: constant, val: …}"),
    ({"scheme": "zeros", "fallback": "nope"}, "schemes.0.fallback.scheme: unknown scheme 'nope'"),
    ({"scheme": "zeros", "bias": 0}, "schemes.0.bias.scheme: expected the name of a scheme, got 0"),
    (
        {"label": "r", "rules": [{"params": "head.*", "scheme": "zeros"}]},
        "label r: no rule covers layers.0.weight (6, 8); keep what the constructor made with others: as_built",
    ),
    (
        {"label": "r", "rules": [{"params": "hed.*", "scheme": "zeros"}], "others": "ones"},
        "label r: rules.0 (hed.*) wins no parameter: none matches, earlier rules take them all, or they are frozen; "
        "the parameters are layers.0.weight, layers.0.bias, head.weight, head.bias",
    ),
    ({"label": "r", "rules": [{"layers": "conv", "scheme": "zeros"}], "others": "ones"}, "rules.0 (conv) wins no"),
    (
        {"label": "r", "rules": [{"layers": "lin", "scheme": "zeros"}]},
        "unknown kind of layer lin; did you mean 'linear'",
    ),
    ({"label": "r", "rules": []}, "schemes.0.rules: expected a list of rules like {layers: linear, scheme:"),
    ({"rules": [{"layers": "linear", "scheme": "zeros"}]}, "schemes.0: an entry with rules: needs a label:"),
    ({"label": "r", "rules": ["linear"]}, "a rule is a mapping with params: GLOB or layers: KIND, and scheme:, got"),
    (
        {"label": "r", "rules": [{"layers": "linear"}]},
        "schemes.0.rules.0: 'scheme' is required; known: pytorch_default",
    ),
    (
        {"label": "r", "rules": [{"layers": "linear", "scheme": "zeros", "vall": 3}]},
        "schemes.0.rules.0.vall: zeros has no option 'vall'; known: scheme, params, layers",
    ),
    (
        {"label": "r", "scheme": "zeros", "rules": [{"layers": "linear", "scheme": "zeros"}]},
        "schemes.0.scheme: 'scheme' cannot stand beside rules:; known: label, rules, others, bias, fallback",
    ),
]


@pytest.mark.parametrize(("entry", "message"), RECIPES, ids=lambda value: None if isinstance(value, dict) else value)
def test_fault_of_an_entry(entry: dict[str, Any], message: str) -> None:
    said = refused_with(schemes=["kaiming_normal", entry]).replace("schemes.1", "schemes.0")
    assert message in said
    assert "c.yaml:" in said


def test_all_faults_of_a_config_are_reported_at_once_with_line_and_column() -> None:
    said = refused_text(
        "name: a/b\n"
        "model: {name: mlp, widht: 3}\n"
        "data: mnits\n"
        "schemes:\n"
        "  - kaiming_norml\n"
        "  - {scheme: normal, std: -1}\n"
        "train:\n"
        "  steps: -5\n"
        "  lr: [0.1, 0]\n"
        "seeds: ten\n"
        "engine: fast\n"
    )
    head, *lines = said.splitlines()
    assert head == "9 faults in the config"
    places = ["1:1", "2:20", "3:1", "5:5", "6:22", "8:3", "9:13", "10:1", "11:1"]
    assert sorted(line.split(": ")[0].strip() for line in lines) == sorted(f"c.yaml:{place}" for place in places)


X, Y = np.linspace(0, 1, 200).reshape(40, 5), np.arange(40) % 2
ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"x_train": X, "y_train": Y}, "d.npz lacks x_test, y_test; it has x_train, y_train"),
    "lengths": (
        {"x_train": X, "y_train": Y[:3], "x_test": X, "y_test": Y},
        "x_train has 40 examples and y_train 3, expected as many",
    ),
    "pickled": (
        {"x_train": X, "y_train": np.array([None] * 40), "x_test": X, "y_test": Y},
        "y_train holds pickled Python objects, which are never loaded; save numbers",
    ),
    "not finite": (
        {"x_train": X * np.nan, "y_train": Y, "x_test": X, "y_test": Y},
        "x_train has NaN or infinite values: 200 of 200",
    ),
    "shape": (
        {"x_train": X[:, 0], "y_train": Y, "x_test": X, "y_test": Y},
        "x_train has shape (40,), expected (N, features)",
    ),
}


@pytest.mark.parametrize(("arrays", "message"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_do_not_fit(arrays: dict[str, Any], message: str) -> None:
    np.savez("d.npz", **arrays)
    said = refused_with(data={"name": "npz", "path": "d.npz"})
    assert said.startswith(f"c.yaml:6:1: data: {message}")


def test_arrays_that_are_missing() -> None:
    assert "data: there is no file d.npz; `path` must name an .npz file" in refused_with(
        data={"name": "npz", "path": "d.npz"}
    )


def test_small_config_is_valid() -> None:
    write(Path("c.yaml"))
    assert winit("check", "c.yaml").exit_code == 0
