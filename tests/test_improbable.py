"""Starting values that their scheme's formula makes improbable are told, and others are not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import winit
from small import Heard, bytes_of, run_of
from torch import nn
from typer.testing import CliRunner
from zoo import use_of

from winit_cli.cli import app
from winit_cli.plan import Trial
from winit_cli.plugins import plugged
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.audit import audit, improbable
from winit_cli.schemes.recipe import Recipe
from winit_cli.store.frames import read_run
from winit_cli.theory.improbable import improbability
from winit_cli.theory.moments import Moments
from winit_cli.verify import verify

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
        assert list(run.warnings["trial"].unique()) == ["wrong/0.1/0", "wrong/0.1/1"]
        assert set(run.warnings["label"]) == {"wrong"}
        assert bytes_of(run_of(tmp_path / "results", *settings)) == bytes_of(result)
    report = CliRunner().invoke(app, ["report", str(result.directory), "--format", "md"])
    assert report.exit_code == 0
    text = next(result.directory.glob("*.md")).read_text()
    assert "Some parameters did not start as their scheme promises (2 trials of wrong)" in " ".join(text.split())


@pytest.fixture
def wrong(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Settings of a run whose two trials are improbable."""
    (tmp_path / "plug.py").write_text(WRONG)
    with plugged([tmp_path / "plug.py"], "mlp", None):
        yield ("schemes=[{scheme: wrong, std: 0.2}]", "model={name: mlp, width: 80, depth: 1}", "engine=serial")


def warnings_of(heard: Heard) -> list[str]:
    return [text.partition(": layers")[0] for text in heard.notes if text.startswith("warning")]


def test_copied_trials_keep_it_and_it_is_said(wrong: tuple[str, ...], tmp_path: Path) -> None:
    first = run_of(tmp_path / "results", *wrong)
    heard = Heard()
    second = run_of(tmp_path / "results", *wrong, "seeds=3", heard=heard)
    assert [key for key, _ in heard.done] == ["wrong/0.1/2"]
    assert warnings_of(heard) == ["warning: wrong, seed 0"]
    told = read_run(second.directory).warnings
    assert list(told["trial"].unique()) == ["wrong/0.1/0", "wrong/0.1/1", "wrong/0.1/2"]
    assert told[told["seed"] < 2].equals(read_run(first.directory).warnings)
    assert all(finding.is_whole for finding in verify(second.directory))
    renamed = ("schemes=[{scheme: wrong, std: 0.2, label: mine}]", *wrong[1:])
    again = Heard()
    third = run_of(tmp_path / "results", *renamed, heard=again)
    assert again.done == [] and warnings_of(again) == ["warning: mine, seed 0"]
    assert set(read_run(third.directory).warnings["label"]) == {"mine"}


def test_a_run_that_stops_keeps_it_and_says_it_once(wrong: tuple[str, ...], tmp_path: Path) -> None:
    class Stopped(Heard):
        def trial_done(self, trial: Trial, status: str, final: float | None) -> None:
            raise KeyboardInterrupt

    heard = Stopped()
    with pytest.raises(KeyboardInterrupt):
        run_of(tmp_path / "results", *wrong, heard=heard)
    assert warnings_of(heard) == ["warning: wrong, seed 0"]
    (directory,) = (tmp_path / "results").iterdir()
    assert list(read_run(directory).warnings["trial"].unique()) == ["wrong/0.1/0"]
    resumed = Heard()
    run_of(tmp_path / "results", *wrong, heard=resumed)
    assert [key for key, _ in resumed.done] == ["wrong/0.1/1"] and warnings_of(resumed) == []
    assert list(read_run(directory).warnings["trial"].unique()) == ["wrong/0.1/0", "wrong/0.1/1"]


def recipe_of(name: str, **options: float) -> Recipe:
    return Recipe(name, others=use_of(name, **options))


def said_of(module: nn.Module, recipe: Recipe) -> list[str]:
    assignments = initialize(module, recipe, 0)
    return improbable(assignments, audit(assignments))


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_padding_is_no_improbable_row(kind: type[nn.Embedding | nn.EmbeddingBag]) -> None:
    module = kind(4, 3000, padding_idx=1)
    assert said_of(module, recipe_of("pytorch_default")) == []
    (record,) = audit(initialize(module, recipe_of("pytorch_default"), 0))
    assert record.expected_std == pytest.approx(math.sqrt(3 / 4)) == pytest.approx(record.std, rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_what_a_type_cannot_hold_is_not_improbable(dtype: torch.dtype) -> None:
    module = nn.Linear(900, 700, bias=False).to(dtype)
    fine = ({"val": 0.1}, {"val": 1e-6}, {"val": -3.3})
    recipes = [recipe_of("constant", **options) for options in fine]
    for recipe in (*recipes, recipe_of("normal", mean=1.0, std=0.01), recipe_of("uniform", a=0.0, b=1.0)):
        assert said_of(module, recipe) == [], recipe
    wrong = Moments(std=0.0, mean=0.1)
    assert improbability(wrong, 9, 0.102, 0.0, near=1e-3) == {"mean": 0.0, "std": 1.0}
    assert improbability(Moments(std=0.1, drawn=True), 9999, 0.0, 0.12, near=1e-3)["std"] < 1e-9


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
