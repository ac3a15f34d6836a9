"""Plug-ins: rows from a file or an installed package, held to what winit's own rows are held to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from commands import refused, runs, winit, winit_json, write
from pandas import read_csv

from winit_cli.data import DATASETS
from winit_cli.losses import LOSSES
from winit_cli.models import MODELS
from winit_cli.schemes import SCHEMES

GOOD = """
import numpy as np
import torch
from torch import nn
import winit_cli as winit

def half_normal(tensor, generator, *, std: float = 0.5):
    "The absolute values of a normal distribution."
    tensor.normal_(0.0, std, generator=generator).abs_()

def stripes(*, width: int = 6, seed: int = 0):
    "Vectors with one of two stripes."
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    return winit.dataset(rng.normal(size=(60, width)) + y[:, None], y)

def tower(input_shape, num_classes, height: int = 2):
    layers = [nn.Linear(*input_shape, *input_shape) for _ in range(height)]
    return nn.Sequential(*layers, nn.Linear(*input_shape, num_classes))

def soft(out, y):
    return nn.functional.cross_entropy(out, y, label_smoothing=0.2)

SCHEMES = [winit.Scheme("half_normal", half_normal, aliases=("hn",), moments=lambda shape, std: winit.Moments(
    std=std * (1 - 2 / np.pi) ** 0.5, mean=std * (2 / np.pi) ** 0.5))]
MODELS = [winit.Model("tower", tower)]
DATASETS = [winit.DatasetRow("stripes", stripes)]
LOSSES = [winit.Loss("soft", soft)]
"""
USED = {
    "model": {"name": "tower", "height": 1},
    "data": {"name": "stripes", "width": 5},
    "schemes": ["half_normal", {"scheme": "hn", "std": 0.1, "label": "small"}, "pytorch_default"],
    "train": {"loss": "soft", "steps": 3, "batch_size": 8},
}


@pytest.fixture(autouse=True)
def _plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plug.py").write_text(GOOD)
    write(Path("c.yaml"), **USED)


def test_a_yaml_may_name_what_a_plug_in_adds() -> None:
    run = Path(winit_json("run", "c.yaml", "--plugin", "plug.py")["run"])
    init = read_csv(run / "init.csv")
    assert set(init["scheme"]) == {"half_normal", "zeros", "pytorch_default"}
    drawn = init[init["scheme"] == "half_normal"]
    assert (drawn["min"] >= 0).all() and drawn["expected_std"].notna().all()
    assert set(init["param"]) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    said = refused("run", "c.yaml")
    for name in ("unknown model 'tower'", "unknown data set 'stripes'", "unknown scheme 'hn'", "unknown loss 'soft'"):
        assert name in said


def test_every_command_that_reads_names_knows_them() -> None:
    assert winit("check", "c.yaml", "--plugin", "plug.py").exit_code == 0
    for what, name in (("schemes", "half_normal"), ("models", "tower"), ("data", "stripes")):
        assert name in winit("list", what, "--plugin", "plug.py").stdout
        assert name not in winit("list", what).stdout
    assert "std=0.2" in winit("explain", "half_normal:std=0.2", "--layer", "linear:4x3", "--plugin", "plug.py").stdout
    assert '"half_normal"' in winit("schema", "--plugin", "plug.py").stdout
    found = winit_json(
        *("compare", "--schemes", "hn,zeros", "--model", "tower", "--data", "stripes", "--steps", "2"),
        *("--seeds", "1", "-s", "train.batch_size=4", "--loss", "soft", "--plugin", "plug.py"),
    )
    assert {row["scheme"] for row in found["ranking"]} == {"half_normal", "zeros"}


def test_tables_and_modules_are_as_before() -> None:
    names = [list(rows) for rows in (SCHEMES, MODELS, DATASETS, LOSSES)]
    path, modules = list(sys.path), set(sys.modules)
    winit("run", "c.yaml", "--plugin", "plug.py")
    assert [list(rows) for rows in (SCHEMES, MODELS, DATASETS, LOSSES)] == names
    assert sys.path == path
    assert not [name for name in set(sys.modules) - modules if "plug" in name]


def test_an_edited_plug_in_never_serves_old_results() -> None:
    first = winit_json("run", "c.yaml", "--plugin", "plug.py")["run"]
    assert winit_json("run", "c.yaml", "--plugin", "plug.py")["run"] == first
    Path("plug.py").write_text(GOOD.replace("label_smoothing=0.2", "label_smoothing=0.3"))
    assert winit_json("run", "c.yaml", "--plugin", "plug.py")["run"] != first
    assert len(runs()) == 2


def test_trials_that_use_nothing_of_a_plug_in_do_not_depend_on_it() -> None:
    write(Path("plain.yaml"))
    first = winit_json("run", "plain.yaml")["run"]
    assert winit_json("run", "plain.yaml", "--plugin", "plug.py")["run"] == first


SCHEME = (
    "import torch, winit_cli as winit\ndef f(tensor, generator{options}):\n    {body}\n"
    "SCHEMES = [winit.Scheme({row})]\n"
)
DATA = "import torch, winit_cli as winit\ndef f():\n    {body}\nDATASETS = [winit.DatasetRow('mine', f)]\n"


def scheme(body: str = "tensor.zero_()", options: str = "", row: str = "'mine', f") -> str:
    return SCHEME.format(body=body, options=options, row=row)


FAULTS = {
    "syntax": ("def f(:\n", "plug.py:1: loading plug.py raised SyntaxError: "),
    "import": ("\nimport not_there_at_all\n", "plug.py:2: loading plug.py raised ModuleNotFoundError: No module named"),
    "exception": ("x = 1\ny = x / 0\n", "plug.py:2: loading plug.py raised ZeroDivisionError: division by zero"),
    "exit": ("import sys\nsys.exit(0)\n", "plug.py:2: loading plug.py raised SystemExit: 0"),
    "nothing": ("x = 1\n", "plug.py defines none of SCHEMES, MODELS, DATASETS, LOSSES; list its rows in one of them"),
    "no list": ("SCHEMES = 3\n", "plug.py: SCHEMES must be a list of winit.Scheme, got 3"),
    "no row": ("MODELS = [3]\n", "plug.py: MODELS holds 3, expected winit.Model(…)"),
    "taken": (scheme(row="'kaiming', f"), "plug.py: there is a scheme named 'kaiming' already; choose another name"),
    "name": (scheme(row="'My Scheme', f"), "plug.py: scheme name 'My Scheme': use small letters, digits and _"),
    "global": (scheme("tensor.normal_()"), "plug.py:2: scheme mine draws from torch's global generator; hand on the"),
    "changing": (
        scheme("global n; n = globals().get('n', 0) + 1; tensor.fill_(n)"),
        "plug.py:2: scheme mine gives other values at the second call; draw from the generator it is given",
    ),
    "part": (
        scheme("tensor[0] = 0"),
        "plug.py:2: scheme mine leaves values that are not finite; fill the whole tensor",
    ),
    "std": (
        scheme("tensor.normal_(generator=generator)", row="'mine', f, moments=lambda shape: winit.Moments(std=0.5)"),
        "plug.py:2: scheme mine gives values of std 0.9992 where its moments promise 0.5",
    ),
    "mean": (
        scheme("tensor.fill_(2)", row="'mine', f, moments=lambda shape: winit.Moments(std=0.0, mean=1.0)"),
        "plug.py:2: scheme mine gives values of mean 2 where its moments promise 1",
    ),
    "raises": (
        scheme("tensor.nope()"),
        "plug.py:3: scheme mine raised AttributeError: 'Tensor' object has no attribute",
    ),
    "positional": (
        scheme(options=", std=1"),
        "plug.py:2: scheme mine must take 2 positional argument(s), and its options",
    ),
    "option": (
        scheme(options=", *, std: 'Nope' = 1"),
        "reading the options of scheme mine raised NameError: name 'Nope'",
    ),
    "function": (scheme(row="'mine', 3"), "scheme mine: expected a function, got 3"),
    "model": ("import winit_cli as w\nMODELS = [w.Model('m', 3)]\n", "m is 3, expected a class or function that"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_fault_gets_one_message_with_its_place(name: str) -> None:
    text, message = FAULTS[name]
    Path("plug.py").write_text(text)
    state = torch.get_rng_state()
    said = refused("list", "schemes", "--plugin", "plug.py")
    assert message in said and "\n" not in said
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 3", "mine returned int, expected winit.dataset(x_train, y_train, …)"),
        ("return 1 / 0", "plug.py:3: data set mine raised ZeroDivisionError: division by zero"),
        ("return winit.dataset([[1.0], [float('nan')]] * 9, [0, 1] * 9)", "has NaN or infinite values: 9 of 18"),
        (
            "p = winit.Part(torch.zeros(4, 2), torch.zeros(3)); return winit.Dataset('d', 'regression', p, None, p, 1)",
            "mine, train part: x has 4 examples and y 3, expected as many and at least one",
        ),
        (
            "p = winit.Part(torch.zeros(4, 2), torch.tensor([0, 1, 2, 9])); "
            "return winit.Dataset('d', 'classification', p, None, p, 3)",
            "mine, train part: y is torch.int64, expected int64 classes from 0 to 2",
        ),
    ],
)
def test_a_data_set_of_a_plug_in_is_checked_when_it_is_loaded(body: str, message: str) -> None:
    Path("plug.py").write_text(DATA.format(body=body))
    assert message in refused("compare", "--data", "mine", "--schemes", "zeros", "--plugin", "plug.py")


def test_a_missing_plug_in() -> None:
    assert refused("list", "schemes", "--plugin", "plog.py") == "plog.py does not exist; give a Python file"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``shiny`` as an installer leaves it, with one entry point in each group."""
    site = tmp_path / "site"
    (site / "shiny").mkdir(parents=True)
    (site / "shiny" / "__init__.py").write_text("from shiny.rows import *\n")
    (site / "shiny" / "rows.py").write_text(GOOD + "\nSCHEME, = SCHEMES\n")
    info = site / "shiny-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shiny\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[winit.schemes]\nhalf = shiny:SCHEME\n[winit.models]\nt = shiny:MODELS\n[winit.data]\ns = shiny:DATASETS\n"
    )
    monkeypatch.syspath_prepend(str(site))
    yield site / "shiny" / "rows.py"
    for name in [name for name in sys.modules if name.partition(".")[0] == "shiny"]:
        del sys.modules[name]


@pytest.mark.slow
def test_an_installed_package_adds_rows_by_its_entry_points(package: Path) -> None:
    write(Path("c.yaml"), **USED | {"train": {"steps": 2, "batch_size": 8}})
    assert "tower" in winit("list", "models").stdout
    first = winit_json("run", "c.yaml")["run"]
    assert winit_json("run", "c.yaml")["run"] == first
    package.write_text(package.read_text().replace("range(height)", "range(height + 1)"))
    assert winit_json("run", "c.yaml")["run"] != first


def test_a_faulty_package_is_named(package: Path) -> None:
    package.write_text("x = 1\nraise RuntimeError('rusty')\n")
    said = refused("list", "schemes")
    assert "rows.py:2: " in said and "RuntimeError: rusty" in said
    assert "plug-in half of the package shiny (mend or uninstall it)" in said
