"""Hostile names, labels, messages and files: nothing leaves the results directory, nothing is run or sent."""

from __future__ import annotations

import csv
import json
import re
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL, refused, refused_with, runs, winit, winit_json, write

from winit_cli.store.files import plain_cell

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory

KEYS = [
    "[red]x[/red]",
    "<script>alert(1)</script>",
    "=cmd()",
    "$x_{",
    "a$b$c",
    "\x1b[31mred",
    "+1",
    "@x",
    "-y",
    "{{7*7}}",
]
NET = f"""
from torch import nn
class Net(nn.Module):
    def __init__(self, in_features, num_classes):
        super().__init__()
        keys = {KEYS!r}
        self.parts = nn.ParameterDict({{key: nn.Parameter(nn.Linear(in_features, 1).weight[0]) for key in keys}})
        self.last = nn.Linear(in_features, num_classes)
    def forward(self, x):
        return self.last(x * sum(self.parts.values()))
class Bad(Net):
    calls = 0
    def forward(self, x):
        self.calls += 1
        if self.calls > 6:
            raise ValueError("\\x1b[31m[red]boom[/red]\\x07 <script>")
        return super().forward(x)
"""
NAMES = [
    "../../x",
    "..",
    "/etc/x",
    "a/b",
    "a\\b",
    "x\0y",
    "x" * 300,
    "",
    " ",
    "-rf",
    "[red]",
    "<b>",
    "=cmd()",
    "\x1b[31m",
    "a\nb",
]


@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:20] for name in NAMES])
def test_names_stay_inside_the_results_directory(name: str, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.parent.iterdir())
    write(Path("c.yaml"), name=name)
    result = winit("run", "c.yaml", "--quiet")
    if result.exit_code == 0:
        (run,) = runs()
        assert run.parent.resolve() == (tmp_path / "results").resolve()
        assert re.fullmatch(r"[A-Za-z0-9._-]+-[0-9a-f]{8}", run.name)
    else:
        assert result.exit_code == 2 and result.stderr.startswith("winit: c.yaml:1:") and "\x1b" not in result.stderr
        assert not Path("results").exists()
    assert sorted(path for path in tmp_path.parent.iterdir()) == before


@pytest.mark.parametrize("label", NAMES, ids=[ascii(name)[:20] for name in NAMES])
def test_labels_that_could_be_more_than_a_label_are_refused(label: str) -> None:
    said = refused_with(schemes=[{"scheme": "zeros", "label": label}])
    assert said.startswith("c.yaml:") and ("label" in said or "character" in said)
    assert "\x1b" not in said and "\0" not in said


def test_names_of_parameters_are_text_wherever_they_are_shown() -> None:
    Path("net.py").write_text(NET)
    changes = {"model": "net.py:Net", "schemes": [{"scheme": "as_built"}], "train": {"steps": 4}}
    write(Path("c.yaml"), **changes)
    result = winit("run", "c.yaml", "--model", "net.py:Net")
    assert result.exit_code == 0, result.stderr
    (run,) = runs()
    with (run / "init.csv").open(newline="", encoding="utf-8") as file:
        cells = {row["param"] for row in csv.DictReader(file)}
    assert cells == {f"parts.{key}" for key in KEYS} | {"last.weight", "last.bias"}
    assert winit("report").exit_code == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "49" not in re.findall(r"parts\.(\d+)", page)
    for picture in (run / "figures").glob("*.svg"):
        assert "<script" not in picture.read_text(encoding="utf-8")
    assert winit("verify", run, "--model", "net.py:Net").exit_code == 0
    assert winit("export", run, "--to", "csv", "out").exit_code == 0
    for name in ("init.csv", "gradients.csv"):
        assert (Path("out") / name).read_bytes() == (run / name).read_bytes()


def test_what_a_users_code_raises_is_text_in_a_terminal() -> None:
    Path("net.py").write_text(NET)
    write(Path("c.yaml"), model="net.py:Bad", schemes=[{"scheme": "as_built"}], train={"steps": 8})
    result = winit("run", "c.yaml", "--model", "net.py:Bad")
    assert result.exit_code == 1
    assert "ValueError: \\x1b[31m[red]boom[/red]\\x07 <script>" in result.stderr
    assert "\x1b" not in result.output and "\x07" not in result.output
    assert "\x1b" not in winit("list", "runs").output


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@sum", "\tx", "\rx", "=cmd|' /C calc'!A0"])
def test_cells_that_a_spreadsheet_would_run_are_text(text: str) -> None:
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1.5", "+2", "-inf", "1e-3", "layers.0.weight", "", "a=b"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert plain_cell(text) == text


CODE = ["net.py:Net", "os.system", "net:Net", "__main__", "{name: 'net.py:Net', x: 1}"]


@pytest.mark.parametrize("name", CODE)
def test_a_yaml_alone_runs_no_code(name: str) -> None:
    Path("net.py").write_text("open('ran', 'w')\n" + NET)
    config = json.dumps({key: value for key, value in SMALL.items() if key != "model"})[1:-1]
    Path("c.yaml").write_text(f"{{model: {name}, {config}}}")
    said = refused("run", "c.yaml")
    assert not Path("ran").exists()
    assert "net.py:Net" not in name or "--model net.py:Net" in said


def npy(shape: tuple[int, ...], data: bytes) -> bytes:
    """An array file whose header claims a shape."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def archive(members: dict[str, bytes]) -> bytes:
    """A zip file."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


def members(**changed: bytes) -> dict[str, bytes]:
    """A small data set as the members of an archive."""
    found = {}
    for name in ("x_train", "y_train", "x_test", "y_test"):
        file = BytesIO()
        np.save(file, np.zeros((20, 3)) if name[0] == "x" else np.arange(20) % 2)
        found[f"{name}.npy"] = changed.get(name, file.getvalue())
    return found


LIES = {
    "a shape beyond memory": archive(members(x_train=npy((10**12, 3), b"\0" * 100))),
    "a shape beyond 64 bits": archive(members(x_train=npy((10**30,), b"\0" * 100))),
    "fewer bytes than claimed": archive(members(x_train=npy((20, 3), b"\0" * 100))),
    "no array": archive(members(x_train=b"import os")),
    "a negative shape": archive(members(x_train=npy((-1, 3), b"\0" * 100))),
    "only elsewhere": archive({f"../../{name}": content for name, content in members().items()}),
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES)
def test_archives_that_lie(content: bytes) -> None:
    Path("d.npz").write_bytes(content)
    said = refused_with(data={"name": "npz", "path": "d.npz"})
    assert said.startswith("c.yaml:6:1: data: ")


def test_the_document_of_a_run_is_json_whatever_it_holds() -> None:
    assert winit_json("run", write(Path("c.yaml"), schemes=["zeros"]))["ranking"]
