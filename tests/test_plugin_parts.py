"""What a plug-in's scheme has beside ``choose``: ``fit`` and ``rate``, as they are called."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from commands import refused, runs, winit, write

HEAD = """
import torch, winit_cli as winit

def c(slot, *, std: float = 0.5):
    return winit.Use("zeros") if slot.kind == "bias" else winit.Use("normal", {"std": std})

"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(
        Path("c.yaml"), schemes=["mine", "kaiming_normal"], seeds=1, train={"lr": [0.1], "batch_size": 16, "steps": 2}
    )


def plug(row: str) -> None:
    Path("plug.py").write_text(f"{HEAD}SCHEMES = [winit.Scheme('mine', choose=c, {row})]\n")


RATES = {
    "None": "returned None, expected a finite number, 0 or more",
    "-1.0": "returned -1.0, expected",
    "float('nan')": "returned nan, expected",
    "'2'": "returned '2', expected",
    "1 / 0": "raised ZeroDivisionError: division by zero",
}


@pytest.mark.parametrize("value", list(RATES))
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_rate_that_is_none_is_told_before_anything_trains(command: str, value: str) -> None:
    plug(f"rate=lambda slot, optimizer, std: {value}")
    said = refused(command, "c.yaml", "--plugin", "plug.py")
    assert f"rate of scheme mine, asked about layers.0.weight and sgd, {RATES[value]}" in said and "\n" not in said


def test_functions_that_take_any_options_are_fine() -> None:
    plug("fit=lambda net, **options: None, rate=lambda *given, **options: 0, also=('norm',), code=lambda std=1: ''")
    assert winit("run", "c.yaml", "--plugin", "plug.py", "--quiet").exit_code == 0


def test_the_time_of_a_fit_is_recorded_that_calls_the_module_itself() -> None:
    plug("fit=lambda net, std: net.module(net.batch(8))")
    assert winit("run", "c.yaml", "--plugin", "plug.py", "--quiet").exit_code == 0
    mine, other = csv.DictReader((runs()[0] / "timings.csv").read_text().splitlines())
    assert float(mine["init_seconds"]) > 0 and mine["init_passes"] == "0"
    assert other["init_seconds"] == other["init_passes"] == ""


def test_a_fit_that_raises_is_told_with_its_scheme() -> None:
    plug("fit=lambda net, std: 1 / 0")
    said = winit("run", "c.yaml", "--plugin", "plug.py", "--quiet")
    assert said.exit_code == 2
    words = " ".join(said.stderr.split())
    assert re.search(r"plug\.py:7: scheme mine, with inputs .* raised ZeroDivisionError: division by zero", words), (
        words
    )
