"""Faults of the command line: the option is named, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import refused, winit, write

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory


SETTINGS = {
    "seeds": "-s seeds: expected key=value, e.g. -s train.lr=0.1",
    "=3": "-s =3: expected key=value",
    "model..depth=3": "-s model..depth=3: 'model..depth' has an empty part; write the key like train.lr",
    "train.lr=0": "-s train.lr=0: train.lr: must be above 0, got 0",
    "train.lr=[0.1": "-s train.lr=[0.1: not valid YAML: expected ',' or ']'",
    "seeds=3,4": "-s seeds=3,4: seeds: expected a number of seeds or a list like [3, 5, 8] or [100-104], got 3,4",
    "seeds=!!python/name:os.system x": "the tag !!python/name:os.system is not allowed",
    "schemes.5=ones": "-s schemes.5=ones: '5' is not a position in a list of 2; the first is 0",
    "schemes.-1=ones": "-s schemes.-1=ones: '-1' is not a position in a list of 2; the first is 0",
    "schemes.²=ones": "-s schemes.²=ones: '²' is not a position in a list of 2",
    "schemes.0.gain=2": "-s schemes.0.gain=2: schemes.0.gain: kaiming_normal has no option 'gain'; did you mean "
    "'nonlinearity'? (known: a, mode, nonlinearity, scheme, fan",
    "model.depth.x=3": "-s model.depth.x=3: model.depth is 1 and has no keys of its own; the key must lead",
    "name.x=3": "-s name.x=3: name is small and has no keys of its own",
    "nope.x=3": "-s nope.x=3: nope: unknown key 'nope'; did you mean 'ignore'? (known: name",
    "vary.model.depth=3": "-s vary.model.depth=3: vary.model.depth: expected a list of values, got 3",
    "data.train_size=10": "train.batch_size 16 is larger than the training part of gaussian (10 examples)",
    "claims=[x]": "-s claims=[x]: claims.0: at character 1: no label 'x'; known: kaiming_normal, zeros",
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
    (["--schemes", "zeros", "--engine", "fast"], "--engine fast: engine: unknown value fast"),
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
        ("cpu:", "unknown device 'cpu:'; use auto, cpu, cuda or cuda:N"),
    ],
)
def test_device_that_is_not_there(device: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write(Path("c.yaml"))
    assert refused("run", "c.yaml", "--device", device) == message


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
