"""Faults of a user's own network or loss: one message with file and line, before any training."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import refused
from own import SCHEMES, SMALL, net, write_files


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)


def said(model: str = "net.py:Net", *more: object, schemes: str = SCHEMES) -> str:
    return refused("compare", "--data", "d.npz", *SMALL, "--model", model, "--schemes", schemes, *more)


FAULTS = {
    "shape": (
        "return self.layer(x)[:, :2]",
        r"gives \(16, 2\) for a batch of 16, expected \(16, 3\): a logit for each",
    ),
    "dict": ("return {'logits': self.layer(x)}", r"returned a mapping with the keys logits, expected one tensor"),
    "tuple": ("return self.layer(x), x", r"returned a tuple, expected one tensor"),
    "bug": (
        "return self.layer(x @ x)",
        r"net\.py:11: forward of net\.py:Net, called with one tensor of shape \(16, 5\), raised",
    ),
    "exit": ("raise SystemExit(3)", r"net\.py:11: forward of .* raised SystemExit: 3"),
    "no gradient": ("return self.layer(x).detach()", r"does not depend on the parameters: there is nothing to train"),
    "in place": ("y = self.layer(x).exp(); y *= 2; return y", r"the backward pass raised RuntimeError"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_faults_of_a_forward_pass(name: str) -> None:
    body, message = FAULTS[name]
    Path("net.py").write_text(net(body))
    assert re.search(message, said()), said()


@pytest.mark.parametrize(
    ("text", "model", "message"),
    [
        ("", "net.py", "net.py: name the class or function, like net.py:NAME; the file defines nothing"),
        ("class Net: pass\ndef _f(): pass\n", "net.py", "the file defines Net"),
        ("class Net: pass\n", "net.py:Nett", "net.py defines no 'Nett'; did you mean 'Net'?"),
        ("def f(): return 3\n", "net.py:f", "net.py:1: net.py:f returned int, expected an nn.Module"),
        ("f = 3\n", "net.py:f", "net.py:f is 3, expected a class or function that returns an nn.Module"),
        ("def f(x, /): pass\n", "net.py:f", "net.py:1: net.py:f takes positional-only parameters"),
        ("def f():\n    raise ValueError('no\\nmore')\n", "net.py:f", "net.py:2: net.py:f raised ValueError: no"),
        ("import nothing_like_it\n", "net.py:f", "net.py:1: loading net.py raised ModuleNotFoundError: No module"),
        ("def f(:\n", "net.py:f", "net.py:1: loading net.py raised SyntaxError: "),
        ("import sys\nsys.exit('bye')\n", "net.py:f", "net.py:2: loading net.py raised SystemExit: bye"),
        (
            "from torch import nn\nheld = nn.Linear(5, 3)\ndef f(): return held\n",
            "net.py:f",
            "net.py:f returned the same module twice; it must build another for every call",
        ),
        (
            "from torch import nn\ndef f(in_channels): return nn.Conv2d(in_channels, 3, 3)\n",
            "net.py:f",
            "in_channels is asked for, but the data has vectors (features) of shape (5,); use input_size",
        ),
        (
            "from torch import nn\ndef f(): return nn.Flatten()\n",
            "net.py:f",
            "net.py:f has no parameter that trains",
        ),
    ],
)
def test_faults_of_a_file(text: str, model: str, message: str) -> None:
    Path("net.py").write_text(text)
    assert message in said(model)


def test_a_missing_file_and_a_directory() -> None:
    assert said("nett.py:Net") == "nett.py does not exist; give a Python file"
    Path("dir.py").mkdir()
    assert said("dir.py:Net") == "dir.py is a directory; give a Python file"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return (out - y[:, None]) ** 2", r"returned a tensor of shape \(16, 3\), expected a scalar"),
        ("return 3.0", "returned a float, expected a scalar"),
        ("return out.sum().detach()", "does not depend on the parameters"),
        (
            "return out.nope",
            r"l\.py:2: loss l\.py:f, given outputs \(16, 3\) and targets \(16,\), raised AttributeError",
        ),
    ],
)
def test_faults_of_a_loss(body: str, message: str) -> None:
    Path("l.py").write_text(f"def f(out, y):\n    {body}\n")
    assert re.search(message, said("mlp", "--loss", "l.py:f", schemes="zeros"))
