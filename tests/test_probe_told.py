"""What ``winit probe`` says on the terminal, and that it looks at the disk first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import winit, winit_json

from winit_cli.criteria import CLOSED, OPEN
from winit_cli.plots import probe_gates
from winit_cli.probe import memory

RNN = ("--model", "rnn", "--data", "adding", "-s", "data.length=12", "-s", "data.train_size=64")
SMALL = ("-s", "model.hidden=8", "-s", "train.batch_size=32")
NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, in_features, output_size):
        super().__init__(nn.Flatten(), nn.Linear(in_features, 9), nn.Tanh(), nn.Linear(9, output_size))
"""


def said(*arguments: Any) -> str:
    result = winit("probe", "--results", "results", *arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_scans_of_recurrent_models_show_the_number_that_decides() -> None:
    schemes = ("--schemes", "normal:std=0.001,orthogonal", "--widths", "8,12", "--seeds", "1")
    text = said(*RNN, *SMALL[2:], *schemes)
    assert "gradient of the first step's state in proportion to the last's" in text
    found = winit_json("probe", "--results", "results", *RNN, *SMALL[2:], *schemes)
    by_verdict: dict[str, list[float]] = {}
    for cell in found["cells"]:
        by_verdict.setdefault(cell["verdict"], []).append(cell["time_ratio"])
        if cell["verdict"] == "vanishing":
            assert cell["metric"] == "grad_norm_lag_11" and cell["value"] == cell["time_ratio"]
    assert max(by_verdict["vanishing"]) < min(by_verdict["healthy"])
    assert {row["metric"] for row in found["scan"] if row["seed"] == 0} >= {"time_ratio", "gradient_ratio"}


def test_a_scan_of_a_model_without_depth_and_width_has_a_result() -> None:
    Path("net.py").write_text(NET)
    text = said("--model", "net.py:Net", "--data", "gaussian", "--sigma-w", "1:2:1")
    assert text.startswith("sigma_w result ") and "depth" not in text


def test_layers_are_told_with_what_the_columns_are_and_with_time() -> None:
    text = said(*RNN, *SMALL, "--schemes", "orthogonal", "--seeds", "2")
    assert "rnn over time: gradient by steps back 0: " in text and ", 11: " in text and "half-life" in text
    assert "alike: mean cosine between two examples" in text and "dead: " not in text
    assert "flat: share of pre-activations where the activation hardly moves" in text
    lstm = said("--model", "lstm", *RNN[2:], *SMALL, "--schemes", "orthogonal", "--seeds", "1")
    assert "nearly shut or open gates: input 0%, forget 0%, output 0%" in lstm
    mlp = said("--data", "gaussian", "--schemes", "kaiming", "--seeds", "1")
    assert "over time" not in mlp and "dead: share of units that are 0 or below for every example" in mlp


def test_gates_are_shut_and_open_by_one_measure() -> None:
    for module in (memory, probe_gates):
        assert (module.CLOSED, module.OPEN) == (CLOSED, OPEN) == (0.05, 0.95)  # type: ignore[attr-defined]


@pytest.mark.parametrize("option", ["--results", "--plot"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_measured(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("")
    for name in ("trials.measure", "scan.measure_spot", "coordinate.check_spot"):
        monkeypatch.setattr(f"winit_cli.probe.{name}", lambda *_, **__: pytest.fail("measured"))
    for more in ((), ("--depths", "1,2"), ("--coordinate-check",)):
        done = winit("probe", "--data", "gaussian", "--schemes", "zeros", *more, option, "file/there")
        assert done.exit_code == 1 and "cannot use file/there" in done.stderr.replace("\n", " ")
    assert not Path("results").exists()


@pytest.mark.parametrize(("value", "expected"), [(0.0, "are zero everywhere"), (3.0, "are equal")])
def test_data_without_differences_are_refused(value: float, expected: str) -> None:
    x, y = np.full((80, 5), value, dtype=np.float32), np.arange(80) % 2
    np.savez("data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    flat = ("--data", "data.npz", "-s", "data.normalize=false", "--schemes", "kaiming")
    for more in ((), ("--depths", "1,2")):
        done = winit("probe", *flat, *more)
        assert done.exit_code == 2 and f"examples {expected}, so nothing could be told apart" in done.stderr
