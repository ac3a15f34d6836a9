"""Starting values that their scheme's formula makes improbable are told, and others are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import winit
from small import Heard, bytes_of, run_of
from typer.testing import CliRunner

from winit_cli.cli import app
from winit_cli.plugins import plugged
from winit_cli.store.frames import read_run
from winit_cli.theory.improbable import improbability
from winit_cli.theory.moments import Moments

# right as winit tries it at once, and wrong with another option
WRONG = """
import math, torch, winit_cli as winit
def wrong(tensor, generator, *, std=0.1):
    tensor.normal_(0, std, generator=generator)
def moments(shape, std):
    return winit.Moments(std=0.1, drawn=True)
SCHEMES = [winit.Scheme("wrong", wrong, moments=moments, dims=(2, 2))]
"""


@pytest.mark.parametrize("n", [2, 7, 60, 2000])
@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_p_values_are_no_smaller_than_they_say(name: str, n: int) -> None:
    source = np.random.default_rng(n)
    half = np.sqrt(3) * 0.2
    drawn = source.normal(1.5, 0.2, (4000, n)) if name == "normal" else 1.5 + source.uniform(-half, half, (4000, n))
    wanted = Moments(std=0.2, mean=1.5, drawn=True)
    found = [improbability(wanted, n, float(row.mean()), float(row.std())) for row in drawn]
    for moment in ("mean", "std"):
        p = np.array([one[moment] for one in found])
        for level in (0.1, 0.01, 0.001):
            assert np.mean(p < level) < level + 4 * np.sqrt(level / 4000), (moment, level)
        if name == "normal":
            assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.04)


def test_what_is_wrong_by_a_tenth_is_improbable() -> None:
    n = 784 * 100
    good = Moments(std=1 / 28, drawn=True)
    assert min(improbability(good, n, 0.0001, 1 / 28).values()) > 0.4
    assert improbability(good, n, 0.0, 0.9 / 28)["std"] < 1e-100
    assert improbability(good, n, 0.001, 1 / 28)["mean"] < 1e-6
    assert improbability(Moments(std=0.0, mean=0.1), n, 0.1, 0.0) == {"mean": 1.0, "std": 1.0}
    assert improbability(Moments(std=0.0, mean=0.1), n, 0.1001, 0.0)["mean"] == 0
    assert improbability(Moments(std=None), n, 0.0, 1.0) == improbability(Moments(std=0.1), n, 5.0, 9.0) == {}


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_a_run_says_and_keeps_what_is_improbable(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plug.py").write_text(WRONG)
    with plugged([Path("plug.py")], "mlp", None):
        heard = Heard()
        settings = (
            "schemes=[{scheme: wrong, std: 0.2}, kaiming_normal]",
            "model={name: mlp, width: 80, depth: 1}",
            f"engine={engine}",
        )
        result = run_of(tmp_path / "results", *settings, heard=heard)
        told = [text for text in heard.notes if text.startswith("warning")]
        assert len(told) == 1
        assert told[0].startswith("warning: wrong, seed 0: layers.0.weight (wrong) has std 0.195")
        assert "expected 0.1, which has probability" in told[0]
        run = read_run(result.directory)
        assert {key: texts[0] for key, texts in run.warnings.items()} == {
            "wrong/0.1/0": "wrong",
            "wrong/0.1/1": "wrong",
        }
        assert bytes_of(run_of(tmp_path / "results", *settings)) == bytes_of(result)
    report = CliRunner().invoke(app, ["report", str(result.directory), "--format", "md"])
    assert report.exit_code == 0
    text = next(result.directory.glob("*.md")).read_text()
    assert "Some parameters did not start as their scheme promises (2 trials of wrong)" in " ".join(text.split())


def test_winits_own_schemes_are_as_they_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = winit(
        "compare",
        "--schemes",
        "kaiming,xavier_uniform,trunc_normal,variance_scaling,zeros,orthogonal",
        "--seeds",
        "8",
        "--steps",
        "1",
        "-s",
        "measure.probe=0",
        "--json",
    )
    assert json.loads(found.stdout)["state"] == "complete"
    assert "warning" not in found.stderr
