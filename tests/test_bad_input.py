"""Whatever a user gets wrong: one clear message with its place, the right exit code, nothing written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import SMALL, winit, write

from winit_cli.config.document import MAX_BYTES

MODEL = {"name": "mlp", "width": 6, "depth": 1}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*arguments: object) -> str:
    """What a command says as it ends with exit code 2, having written nothing."""
    before = sorted(Path.cwd().rglob("*"))
    result = winit(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("winit: ")
    assert sorted(Path.cwd().rglob("*")) == before
    return str(result.stderr).removeprefix("winit: ").rstrip()


def refused_text(text: str | bytes) -> str:
    """The message about a config with this text."""
    Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return refused("run", "c.yaml")


def refused_with(**changes: Any) -> str:
    """The message about the small config with top-level keys changed."""
    write(Path("c.yaml"), **changes)
    return refused("run", "c.yaml")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"model": "resnet"}, "model.name: unknown model 'resnet'; known: mlp, cnn, lstm, gru, rnn"),
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
    ({"schemes": ["zeros", "zeros"]}, "schemes.1: label 'zeros' is used twice; give one of them another label:"),
    (
        {"schemes": [{"scheme": "zeros", "label": "A b"}, {"scheme": "ones", "label": "a-b"}]},
        "schemes.1: label 'a-b' and 'A b' share one file name; give one of them another label:",
    ),
    ({"schemes": [{"scheme": "zeros", "label": "../x"}]}, "schemes.0.label: a label must be text of at most 64"),
    ({"schemes": [{"scheme": "zeros", "label": 5}]}, "that begins with a letter or digit, got 5"),
    ({"schemes": [{"scheme": "zeros", "gain": 2}]}, "zeros has no option 'gain'; known: scheme, label, bias, fallback"),
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
    ({"train": {"optimizer": "adam", "momentum": 0.9}}, "momentum goes with sgd and rmsprop, not with adam; use betas"),
    ({"train": {"steps": 3, "epochs": 2}}, "train: give steps or epochs, not both"),
    ({"train": {"batch_size": 65}}, "train.batch_size 65 is larger than the training part of gaussian (64 examples)"),
    ({"train": {"batch_size": 16, "steps": 2, "warmup": 3}}, "train.warmup 3 is longer than the training (2 steps)"),
    ({"seeds": "ten"}, "seeds: expected a number of seeds or a list like [3, 5, 8], got ten"),
    ({"seeds": "10"}, "seeds: expected a number of seeds or a list like [3, 5, 8], got '10'"),
    ({"seeds": True}, "seeds: expected a number of seeds or a list like [3, 5, 8], got true"),
    ({"seeds": 0}, "seeds: expected 1 to 100000 seeds, got 0"),
    ({"seeds": []}, "seeds: too few values, got []"),
    ({"seeds": [1, 1]}, "seeds: 1 is given twice"),
    ({"seeds": [-1]}, "seeds.0: must be at least 0, got -1"),
    ({"seeds": [10**30]}, "seeds.0: must be below 9223372036854775808"),
    ({"name": "a/b"}, "name: expected letters, digits, . _ - (at most 64, the first a letter or digit), got a/b"),
    ({"name": ".."}, "the first a letter or digit), got .."),
    ({"name": 5}, "name: must be text (put it in quotes), got 5"),
    ({"trian": {}}, "trian: unknown key 'trian'; did you mean 'train'? (known: name, seeds"),
    ({"claims": [{"better": "zeros"}]}, "claims: this version of winit decides no claims; remove them"),
    ({"engine": "stacked"}, "engine: this version of winit has no stacked engine; use engine: auto or serial"),
    ({"engine": "fast"}, "engine: unknown value fast; did you mean 'auto'? (known: auto, serial)"),
    ({"precision": "fp16"}, "precision: unknown value fp16; did you mean 'bf16'?"),
    ({"precision": "tf32"}, "precision: tf32 needs a CUDA device; use precision: fp32 or --device cuda"),
    ({"baseline": "zero"}, "baseline: no label zero among the schemes; did you mean 'zeros'?"),
    ({"checkpoint_seconds": 0}, "checkpoint_seconds: must be above 0, got 0"),
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
        "label dirac: 'dirac' cannot fill layers.0.weight (6, 8): it fills conv weights; "
        "add a fallback for such parameters to the entry, e.g. fallback: eye",
    ),
    ({"scheme": "dirac", "fallback": "dirac"}, "choose another fallback, e.g. fallback: kaiming_normal"),
    ({"scheme": "zeros", "bias": "xavier_normal"}, "'xavier_normal' cannot fill layers.0.bias (6,)"),
    ({"scheme": "zeros", "bias": "orthogonal"}, "use bias: zeros, or bias: {scheme: constant, val: …}"),
    ({"scheme": "zeros", "others": "zeros"}, "others: goes with rules:; a plain scheme covers all weights"),
    ({"scheme": "zeros", "fallback": "nope"}, "schemes.0.fallback.scheme: unknown scheme 'nope'"),
    ({"scheme": "zeros", "bias": 0}, "schemes.0.bias.scheme: expected the name of a scheme, got 0"),
    (
        {"label": "r", "rules": [{"params": "head.*", "scheme": "zeros"}]},
        "label r: no rule covers layers.0.weight (6, 8); add a rule (params: GLOB) or others: as_built",
    ),
    (
        {"label": "r", "rules": [{"params": "hed.*", "scheme": "zeros"}], "others": "ones"},
        "label r: rules.0 (hed.*) wins no parameter: none matches, or earlier rules take them all; the parameters are "
        "layers.0.weight, layers.0.bias, head.weight, head.bias",
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


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{there}: &{there} [{', '.join([f'*{here}'] * 10)}]\n" for here, there in zip("abcdefgh", "bcdefghi", strict=True)
)

TEXTS: list[tuple[str, str | bytes, str]] = [
    ("not UTF-8", b"name: x\nmodel: caf\xe9\n", "c.yaml:2: not UTF-8 text (byte 18); save the file as UTF-8"),
    ("UTF-16", "name: x".encode("utf-16"), "c.yaml:1: not UTF-8 text (byte 0); save the file as UTF-8"),
    ("empty", "", "c.yaml: 'model' is required, e.g. model: mlp; known: mlp, cnn, lstm, gru, rnn"),
    ("a list", "[1, 2]", "c.yaml: expected a mapping like 'name: mnist', got [1, 2]"),
    ("unclosed", "a: [1, 2\n", "c.yaml:2:1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ("colons", "a: b: c", "c.yaml:1:5: not valid YAML: mapping values are not allowed here; put text that contains"),
    ("tabs", "model:\n\tname: x", "c.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token; ind"),
    ("two documents", "a: 1\n---\nb: 2\n", "expected a single document in the stream, but found another document; a"),
    ("control character", "a: 1\nb: x\x07\n", "c.yaml:2:5: not valid YAML: the character U+0007 is not allowed"),
    (
        "Python tag",
        "name: !!python/object/apply:os.system ['touch pwned']",
        "c.yaml:1:7: the tag !!python/object/apply:os.system is not allowed; a config holds plain data only, remove it",
    ),
    ("own tag", "a: 1\nname: !custom x", "c.yaml:2:7: the tag !custom is not allowed; a config holds plain data only"),
    ("alias bomb", BOMB, "not valid YAML: more than 20,000 values after aliases are expanded"),
    ("alias of itself", "a: &a [*a]", "c.yaml:1:4: not valid YAML: an alias contains itself; write the values out"),
    ("no such alias", "a: *b", "c.yaml:1:4: not valid YAML: found undefined alias 'b'; put text that begins with *"),
    ("deep nesting", "a: " + "[" * 3000 + "]" * 3000, "c.yaml: not valid YAML: nested too deeply"),
    ("deep blocks", "- " * 3000 + "x", "c.yaml: not valid YAML: nested too deeply"),
    ("duplicate key", "name: a\nname: b\n", "c.yaml:2:1: the key 'name' is given twice; remove one"),
    ("key of a list", "? [a, b]\n: 1\n", "c.yaml:1:3: a key must be plain text, not a list or mapping"),
    ("unreadable number", "seeds: !!int abc", "c.yaml:1:8: cannot read the value 'abc' as int"),
    ("unreadable truth", "seeds: !!bool 7", "c.yaml:1:8: cannot read the value '7' as bool"),
    ("empty number", "seeds: !!float ''", "c.yaml:1:8: cannot read the value '' as float"),
    ("endless number", "seeds: " + "9" * 5000, f"c.yaml:1:8: cannot read the value '{'9' * 80}…' as int"),
    ("too long", "#" * (MAX_BYTES + 1), "c.yaml is longer than 1,000,000 bytes, which no config is"),
]


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_fault_of_a_text(text: str | bytes, message: str) -> None:
    said = refused_text(text)
    assert message in said
    assert len(said) < 3000


def test_values_in_messages_are_kept_short_and_cannot_steer_the_terminal() -> None:
    said = refused_text('name: "' + "y" * 3000 + '"\n"\\e[31mred": 1\n')
    assert f"got {'y' * 80}…" in said
    assert "\x1b" not in said
    assert "unknown key '\\x1b[31mred'" in said


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
        "engine: stacked\n"
    )
    head, *lines = said.splitlines()
    assert head == "9 faults in the config"
    places = ["1:1", "2:20", "3:1", "5:5", "6:22", "8:3", "9:13", "10:1", "11:1"]
    assert sorted(line.split(": ")[0].strip() for line in lines) == sorted(f"c.yaml:{place}" for place in places)


FILES = {
    "missing": ("nope.yaml", "nope.yaml does not exist; winit init nope.yaml writes a starter"),
    "a directory": (".", ". is a directory; give a YAML file (winit init NEW.yaml writes a starter)"),
    "no packaged one": ("mnits", "no file 'mnits' and no packaged config of that name; did you mean 'mnist'?"),
    "endless": ("/dev/zero", "/dev/zero is longer than 1,000,000 bytes, which no config is; give a YAML file"),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(("name", "message"), FILES.values(), ids=FILES)
def test_file_that_is_no_config(command: str, name: str, message: str) -> None:
    assert message in refused(command, name)


SETTINGS = {
    "seeds": "-s seeds: expected key=value, e.g. -s train.lr=0.1",
    "=3": "-s =3: expected key=value",
    "model..depth=3": "-s model..depth=3: 'model..depth' has an empty part; write the key like train.lr",
    "train.lr=0": "-s train.lr=0: train.lr: must be above 0, got 0",
    "train.lr=[0.1": "-s train.lr=[0.1: not valid YAML: expected ',' or ']'",
    "seeds=3,4": "-s seeds=3,4: seeds: expected a number of seeds or a list like [3, 5, 8], got 3,4",
    "seeds=!!python/name:os.system x": "the tag !!python/name:os.system is not allowed",
    "schemes.5=ones": "-s schemes.5=ones: '5' is not a position in a list of 2; the first is 0",
    "schemes.-1=ones": "-s schemes.-1=ones: '-1' is not a position in a list of 2; the first is 0",
    "schemes.²=ones": "-s schemes.²=ones: '²' is not a position in a list of 2",
    "schemes.0.gain=2": "-s schemes.0.gain=2: schemes.0.gain: kaiming_normal has no option 'gain'; known: a, mode",
    "model.depth.x=3": "-s model.depth.x=3: model.depth is 1 and has no keys of its own; the key must lead",
    "name.x=3": "-s name.x=3: name is small and has no keys of its own",
    "nope.x=3": "-s nope.x=3: nope: unknown key 'nope'; did you mean 'name'?",
    "vary.model.depth=3": "-s vary.model.depth=3: vary.model.depth: expected a list of values, got 3",
    "data.train_size=10": "train.batch_size 16 is larger than the training part of gaussian (10 examples)",
    "claims=[x]": "-s claims=[x]: claims: this version of winit decides no claims",
    "name=a\nseeds: 3": "-s name=a\nseeds: 3: not valid YAML",
}


@pytest.mark.parametrize(("setting", "message"), SETTINGS.items(), ids=SETTINGS)
def test_fault_of_a_setting(setting: str, message: str) -> None:
    write(Path("c.yaml"))
    assert message in refused("run", "c.yaml", "-s", setting)


COMPARISONS: list[tuple[list[str], str]] = [
    (["--schemes", ""], "--schemes: schemes: 'schemes' is empty; list at least one"),
    (["--schemes", "xavir"], "--schemes xavir: schemes.0.scheme: unknown scheme 'xavir'; did you mean 'xavier'?"),
    (["--schemes", "constant"], "--schemes constant: schemes.0: constant needs the option 'val'"),
    (["--schemes", "normal:std"], "normal:std: options are written scheme:option=value, e.g. normal:std=0.01"),
    (["--schemes", "normal:std="], "normal:std=: options are written scheme:option=value"),
    (["--schemes", "zeros:scheme=ones"], "zeros:scheme=ones: options are written scheme:option=value"),
    (["--schemes", "normal:std=x"], "--schemes normal:std=x: schemes.0.std: must be a number, got x"),
    (["--schemes", "normal:std=[1"], "normal:std=[1: not valid YAML"),
    (["--schemes", "zeros,zeros"], "schemes.1: label 'zeros' is used twice"),
    (["--schemes", "dirac"], "--schemes dirac: label dirac: 'dirac' cannot fill layers.0.weight"),
    (["--schemes", "zeros", "--lr", "0"], "--lr 0: train.lr: must be above 0, got 0"),
    (["--schemes", "zeros", "--lr", "[0.1"], "--lr [0.1: not valid YAML"),
    (["--schemes", "zeros", "--lr", "0.1,"], "--lr 0.1,: train.lr: must be a number, got ''"),
    (["--schemes", "zeros", "--seeds", "x"], "--seeds x: seeds: expected a number of seeds or a list"),
    (["--schemes", "zeros", "--steps", "-1"], "--steps -1: train.steps: must be at least 1, got -1"),
    (["--schemes", "zeros", "--model", "x"], "--model x: model.name: unknown model 'x'; known: mlp"),
    (["--schemes", "zeros", "--engine", "stacked"], "--engine stacked: engine: this version of winit has no stacked"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), COMPARISONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_fault_of_a_comparison(arguments: list[str], message: str) -> None:
    assert message in refused("compare", "--data", "gaussian", *arguments)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "--device cuda: torch sees no CUDA GPU here; use --device cpu, or auto"),
        ("cuda:7", "--device cuda:7: torch sees no CUDA GPU here; use --device cpu, or auto"),
        ("gpu", "unknown device 'gpu'; use auto, cpu, cuda or cuda:N"),
    ],
)
def test_device_that_is_not_there(device: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write(Path("c.yaml"))
    assert refused("run", "c.yaml", "--device", device) == message


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


def _file_in_the_way(results: Path) -> None:
    results.write_text("not a directory")


def _file_above(results: Path) -> None:
    results.parent.write_text("not a directory")


@pytest.mark.parametrize("prepare", [_file_in_the_way, _file_above], ids=["a file in the way", "a file above"])
def test_results_directory_that_cannot_be_made(prepare: Callable[[Path], None], tmp_path: Path) -> None:
    results = tmp_path / "results" if prepare is _file_in_the_way else tmp_path / "above" / "results"
    prepare(results)
    before = sorted(tmp_path.rglob("*"))
    result = winit("run", write(tmp_path / "c.yaml"), "--results", results)
    assert result.exit_code == 1
    assert f"cannot use {results}" in result.stderr
    assert "choose another directory with --results" in result.stderr
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "c.yaml"])


def test_results_directory_that_refuses_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    result = winit("run", write(tmp_path / "c.yaml"), "--results", tmp_path / "r")
    assert result.exit_code == 1
    assert "Permission denied. What was recorded before is kept; free space or fix the permission" in result.stderr


def test_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect

    class Full(sqlite3.Connection):
        def commit(self) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, **{**k, "factory": Full}))
        result = winit("run", write(tmp_path / "c.yaml"))
    assert result.exit_code == 1
    assert "database or disk is full. What was recorded before is kept" in result.stderr
    again = winit("run", "c.yaml")
    assert again.exit_code == 0, again.stderr


def test_store_that_is_damaged(tmp_path: Path) -> None:
    assert winit("run", write(tmp_path / "c.yaml")).exit_code == 0
    (run,) = Path("results").iterdir()
    (run / "run.sqlite").write_bytes(b"not a database" * 1000)
    result = winit("run", "c.yaml")
    assert result.exit_code == 1
    assert "file is not a database" in result.stderr
    assert winit("list", "runs").exit_code == 0
    assert winit("report").exit_code in (1, 2)


REPORTS = {
    "no runs": ([], "no runs under results; make one with: winit run mnist"),
    "no such run": (["x"], "no run 'x': results holds none; make one with: winit run mnist"),
}


@pytest.mark.parametrize(("arguments", "message"), REPORTS.values(), ids=REPORTS)
def test_run_that_is_not_there(arguments: list[str], message: str) -> None:
    assert refused("report", *arguments) == message


def test_prefix_of_two_runs_and_name_of_none(tmp_path: Path) -> None:
    write(tmp_path / "c.yaml")
    assert winit("run", "c.yaml").exit_code == winit("run", "c.yaml", "-s", "seeds=1").exit_code == 0
    assert "'small' means more than one run: small-" in refused("report", "small")
    assert "no run 'smal-0' under results; did you mean 'small-" in refused("report", "smal-0")


EXPLANATIONS: list[tuple[list[str], str]] = [
    (["kaimng"], "unknown scheme 'kaimng'; did you mean 'kaiming'? (known: pytorch_default"),
    (["zeros", "--layer", "linear:10"], "--layer linear:10: expected linear:784x100 (inputs x outputs), conv:"),
    (["zeros", "--layer", "conv:3x4x3,groups=2"], "in_channels must be divisible by groups"),
    (["zeros", "--layer", f"linear:{10**11}x{10**11}"], "Storage size calculation overflowed"),
    (["dirac", "--layer", "linear:3x4"], "'dirac' cannot fill weight (4, 3): it fills conv weights; choose another"),
    (["normal:foo=1"], "normal has no option 'foo'; known: mean, std, scheme"),
    (["zeros", "--activation", "rleu"], "no gain for 'rleu'; did you mean 'relu'?"),
    (["constant", "--layer", "linear:3x4"], "constant needs the option 'val', which has no default"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), EXPLANATIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_fault_of_an_explanation(arguments: list[str], message: str) -> None:
    assert message in refused("explain", *arguments)


def test_download_of_what_needs_none() -> None:
    assert refused("data", "download", "digits") == (
        "digits needs no download; those that do: mnist, fashion_mnist, cifar10"
    )
    assert "unknown data set 'mnits'; did you mean 'mnist'?" in refused("data", "download", "mnits")


def test_second_config_at_fault_stops_before_the_first_trains() -> None:
    write(Path("a.yaml"))
    write(Path("b.yaml"), seeds="ten")
    assert "b.yaml:" in refused("run", "a.yaml", "b.yaml")


def test_small_config_is_valid() -> None:
    write(Path("c.yaml"))
    assert SMALL["name"] == "small"
    assert winit("check", "c.yaml").exit_code == 0
