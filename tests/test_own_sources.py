"""A user's files as code: what counts as a change of them, what loading them may do, and whose modules are whose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import refused, winit, winit_json
from own import SMALL, write_files
from pandas import read_csv

BASE = ("compare", "--data", "d.npz", *SMALL, "--schemes", "as_built")


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)


def compare(*more: object, model: str = "net.py:Net") -> Path:
    return Path(winit_json(*BASE, "--model", model, *more)["run"])


def shapes(run: Path) -> list[str]:
    init = read_csv(run / "init.csv")
    return list(init[init["param"].str.endswith("weight") & (init["seed"] == 0)]["shape"])


def test_two_files_that_change_places_are_a_change() -> None:
    Path("one.py").write_text("SIZE = 4\n")
    Path("two.py").write_text("SIZE = 6\n")
    Path("net.py").write_text(
        "import one, two\nfrom torch import nn\ndef Net(in_features, num_classes):\n"
        "    return nn.Sequential(nn.Linear(in_features, one.SIZE), nn.Linear(one.SIZE, two.SIZE),\n"
        "                         nn.Linear(two.SIZE, num_classes))\n"
    )
    assert shapes(compare()) == ["4x5", "6x4", "3x6"]
    Path("one.py").write_text("SIZE = 6\n")
    Path("two.py").write_text("SIZE = 4\n")
    assert shapes(compare()) == ["6x5", "4x6", "3x4"]


IMPORTED = {
    "star": ("from pack import *\n", "inner.SIZE"),
    "importlib": ("import importlib\ninner = importlib.import_module('pack.inner')\n", "inner.SIZE"),
    "through": ("from pack import through\n", "through.SIZE"),
    "guarded": ("try:\n    from pack.inner import SIZE\nexcept ImportError:\n    SIZE = 1\n", "SIZE"),
    "late path": ("import sys\nsys.path.append('lib')\nimport later\n", "later.SIZE"),
}


@pytest.mark.parametrize("how", list(IMPORTED))
def test_an_edit_of_what_is_imported_counts_however_it_is(how: str) -> None:
    text, size = IMPORTED[how]
    Path("pack").mkdir()
    Path("lib").mkdir()
    Path("pack/__init__.py").write_text("__all__ = ['inner']\n")
    Path("pack/through.py").write_text("from .inner import SIZE as SIZE\n")
    Path("net.py").write_text(
        f"{text}from torch import nn\ndef Net(in_features, num_classes):\n"
        f"    return nn.Sequential(nn.Linear(in_features, {size}), nn.Linear({size}, num_classes))\n"
    )
    for number in (4, 7):
        Path("pack/inner.py").write_text(f"SIZE = {number}\n")
        Path("lib/later.py").write_text(f"SIZE = {number}\n")
        assert shapes(compare()) == [f"{number}x5", f"3x{number}"]


def test_a_package_that_cannot_be_imported_is_no_internal_error() -> None:
    Path("pack").mkdir()
    Path("pack/__init__.py").write_text("raise RuntimeError('broken')\n")
    Path("net.py").write_text(
        "from torch import nn\ndef Net(in_features, num_classes):\n    try:\n        import pack.inner\n"
        "    except RuntimeError:\n        pass\n    return nn.Linear(in_features, num_classes)\n"
    )
    assert shapes(compare()) == ["3x5"]


@pytest.mark.parametrize("command", ["compare", "check", "list"])
def test_what_code_prints_while_it_is_looked_at_does_not_spoil_the_document(command: str) -> None:
    Path("pack").mkdir()
    Path("pack/__init__.py").write_text("print('a package')\n")
    Path("pack/inner.py").write_text("")
    Path("net.py").write_text(
        "import torch, winit_cli as winit\nfrom torch import nn\ndef Net(in_features, num_classes):\n"
        "    import pack.inner\n    return nn.Linear(in_features, num_classes)\n"
        "class Loss:\n    def __init__(self):\n        print('a loss')\n    def __call__(self, out, y):\n"
        "        return nn.functional.cross_entropy(out, y)\n"
        "def fill(tensor, generator):\n    print('a scheme')\n    tensor.zero_()\n"
        "SCHEMES = [winit.Scheme('filled', fill)]\n"
    )
    Path("c.yaml").write_text("model: mlp\ndata: {name: npz, path: d.npz}\nschemes: [filled]\ntrain: {batch_size: 8}\n")
    code = ("--model", "net.py:Net", "--loss", "net.py:Loss", "--plugin", "net.py", "--json")
    arguments = {"compare": (*BASE, *code), "check": ("check", "c.yaml", *code), "list": ("list", "schemes", *code[4:])}
    result = winit(*arguments[command])
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    assert "a scheme" in result.stderr


def test_a_file_of_a_package_with_relative_imports_says_what_is_wrong() -> None:
    Path("pack").mkdir()
    Path("pack/__init__.py").write_text("")
    Path("pack/net.py").write_text("from .parts import Scale\n")
    said = refused(*BASE, "--model", "pack/net.py:Net")
    assert said.startswith("pack/net.py:1: loading pack/net.py raised ImportError: attempted relative import")


@pytest.mark.slow
def test_packages_outside_of_site_packages_are_left_as_they_are(tmp_path: Path) -> None:
    """Of a user's site, a distribution (``/usr/lib/python3/dist-packages``) or ``pip install --target``: some cannot
    be loaded twice."""
    for folder in ("dist-packages", "target"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"once_{folder[:4]}.py").write_text(
            "import sys\nassert not hasattr(sys, __name__), 'loaded twice'\nsetattr(sys, __name__, True)\n"
        )
        info = tmp_path / folder / f"once_{folder[:4]}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: once_{folder[:4]}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"once_{folder[:4]}.py,,\n")
    Path("net.py").write_text(f"import once_dist, once_targ\n{Path('net.py').read_text()}")
    code = "import once_dist, once_targ, sys; from winit_cli.cli import app; app(sys.argv[1:])"
    found = subprocess.run(
        [sys.executable, "-c", code, *BASE, "--model", "net.py:Net"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(tmp_path / part) for part in ("dist-packages", "target"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_what_a_file_sets_for_all_of_torch_does_not_outlive_the_command() -> None:
    import torch

    Path("net.py").write_text(
        "import torch\nfrom torch import nn\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n"
        "def Net(in_features, num_classes):\n    return nn.Linear(in_features, num_classes)\n"
    )
    try:
        refused(*BASE, "--model", "net.py:Net")
        assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)


@pytest.mark.parametrize("name", ["model_config", "task", "json", "_hidden", "self_", "fields"])
def test_options_of_any_name(name: str) -> None:
    Path("net.py").write_text(
        f"from torch import nn\ndef Net(in_features, num_classes, {name}=4):\n    assert {name} in (4, 5)\n"
        "    return nn.Linear(in_features, num_classes)\n"
    )
    compare()


DEFAULTS = {
    "tuple": ("(3, 3)", "sizes == (3, 3)"),
    "list": ("[3, 4]", "sizes == [3, 4]"),
    "text enum": ("Kind.WIDE", "sizes is Kind.WIDE"),
    "number enum": ("Number.ONE", "sizes is Number.ONE"),
    "numpy": ("np.float64(0.5)", "sizes == 0.5"),
    "infinite": ("float('inf')", "sizes > 1e300"),
    "nothing": ("None", "sizes is None"),
}


@pytest.mark.parametrize("kind", list(DEFAULTS))
def test_defaults_reach_the_constructor_and_a_rerun_as_they_are(kind: str) -> None:
    default, test = DEFAULTS[kind]
    Path("net.py").write_text(
        "import enum, numpy as np\nfrom torch import nn\nclass Kind(str, enum.Enum):\n    WIDE = 'wide'\n"
        f"class Number(enum.IntEnum):\n    ONE = 1\ndef Net(in_features, num_classes, sizes={default}):\n"
        f"    assert {test}, sizes\n    return nn.Linear(in_features, num_classes)\n"
    )
    run = compare()
    assert Path(winit_json("run", run / "config.yaml", "--model", "net.py:Net")["run"]) == run


ODD = {
    "on no device": (
        "from torch import nn\ndef Net(in_features, num_classes):\n"
        "    return nn.Linear(in_features, num_classes, device='meta')\n",
        "meta",
    ),
    "complex": (
        "import torch\nfrom torch import nn\ndef Net(in_features, num_classes):\n"
        "    made = nn.Linear(in_features, num_classes)\n"
        "    made.phase = nn.Parameter(torch.zeros(3, dtype=torch.complex64))\n    return made\n",
        "complex",
    ),
    "other exceptions": (
        "class Stop(BaseException): pass\ndef Net(): raise Stop('x')\n",
        "net.py:2: net.py:Net raised Stop: x",
    ),
}


@pytest.mark.parametrize("name", list(ODD))
def test_odd_networks_are_refused_with_a_message(name: str) -> None:
    text, message = ODD[name]
    Path("net.py").write_text(text)
    assert message in refused(*BASE, "--model", "net.py:Net")


def test_a_network_that_exits_in_training_is_a_failed_trial() -> None:
    Path("net.py").write_text(
        "import sys\nfrom torch import nn\nclass Net(nn.Linear):\n"
        "    def __init__(self, in_features, num_classes):\n        super().__init__(in_features, num_classes)\n"
        "        self.n = 0\n    def forward(self, x):\n        self.n += 1\n        if self.n > 4:\n"
        "            sys.exit(0)\n        return super().forward(x)\n"
    )
    found = winit(*BASE, "--model", "net.py:Net")
    assert found.exit_code == 1 and "as_built/0.05/0 failed: net.py:10: SystemExit: 0" in found.stderr
