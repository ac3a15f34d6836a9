"""What a run measures of its labels before training, keeps, and says of it afterwards."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import winit, write
from frames import make_run
from small import Heard, plan_of, rows, run_of

from winit_cli.config import parse, resolve
from winit_cli.errors import ConfigError, StorageError
from winit_cli.findings import Findings
from winit_cli.findings.foretold import foretold, said
from winit_cli.findings.signal import signal_theory
from winit_cli.findings.why import ended, why
from winit_cli.plan import make_plan
from winit_cli.probe.trials import trials_to_probe
from winit_cli.store.frames import read_run
from winit_cli.store.reading import FILE
from winit_cli.theory.meanfield import chi_1
from winit_cli.verify import verify

BAD = "schemes=[kaiming_normal,zeros]"


def test_labels_are_measured_before_training_and_the_verdict_is_the_why(tmp_path: Path) -> None:
    heard = Heard()
    result = run_of(tmp_path, BAD, "seeds=3", heard=heard)
    assert heard.notes[0] == "at initialization: 1 label healthy; zeros symmetric"
    assert {(row["label"], row["seed"]) for row in rows(result, "probe")} == {
        (label, str(seed)) for label in ("kaiming_normal", "zeros") for seed in range(3)
    }
    assert [(row["label"], row["verdict"], row["layer"]) for row in rows(result, "verdicts")] == [
        ("kaiming_normal", "healthy", ""),
        ("zeros", "symmetric", "layers.0"),
    ]
    found = Findings(read_run(result.directory))
    reasons = dict(zip(found.standings["label"], found.standings["why"], strict=True))
    assert reasons["zeros"] == "symmetric: units of layers.0 alike"
    assert reasons["kaiming_normal"].startswith("healthy at start; ")


def test_what_is_there_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(tmp_path)
    monkeypatch.setattr("winit_cli.probing.probe_trial", lambda trial: pytest.fail("measured again"))
    heard = Heard()
    assert run_of(tmp_path, heard=heard).was_complete
    assert heard.notes == []


def test_more_seeds_can_be_measured_of_a_finished_run_and_none(tmp_path: Path) -> None:
    few = run_of(tmp_path, "measure.probe=1")
    assert {row["seed"] for row in rows(few, "probe")} == {"0"}
    assert {row["seed"] for row in rows(run_of(tmp_path), "probe")} == {"0", "1"}
    none = run_of(tmp_path, "measure.probe=0")
    assert none.directory == few.directory and none.was_complete
    assert rows(none, "probe") == rows(none, "verdicts") == []
    found = Findings(read_run(none.directory))
    assert found.standings["why"].iloc[0].startswith("gradients alike")
    assert found.foretold.empty and said(found.foretold) == ""
    (told,) = (one for one in verify(none.directory) if "before training" in one.what)
    assert told.is_whole and told.said == "nothing was measured"


def test_many_labels_are_probed_with_fewer_seeds() -> None:
    labels = [f"{{scheme: normal, label: n{place}, std: 0.{place + 1}}}" for place in range(40)]
    trials = trials_to_probe(plan_of(f"schemes=[{','.join(labels)}]", "seeds=9", "train.lr=[0.1,0.2]"))
    assert len(trials) == 40 * 2 and {trial.seed for trial in trials} == {0, 1} and {t.lr for t in trials} == {0.1}


def _spoil(directory: Path) -> None:
    with contextlib.closing(sqlite3.connect(directory / FILE)) as connection, connection:
        connection.execute("UPDATE probe SET value = value + 1 WHERE rowid = 1")


def test_damage_is_noticed_and_cured_by_the_same_command(tmp_path: Path) -> None:
    result = run_of(tmp_path)
    before = (result.directory / "probe.csv").read_bytes()
    _spoil(result.directory)
    with pytest.raises(StorageError, match=r"measured before training.*again measures it anew"):
        read_run(result.directory)
    assert any("before training" in found.what and found.is_whole is False for found in verify(result.directory))
    assert run_of(tmp_path).was_complete
    assert (result.directory / "probe.csv").read_bytes() == before
    assert all(found.is_whole for found in verify(result.directory))


def test_a_run_of_an_older_version_can_be_read(tmp_path: Path) -> None:
    result = run_of(tmp_path)
    with contextlib.closing(sqlite3.connect(result.directory / FILE)) as connection, connection:
        for name in ("probe", "verdicts", "histograms"):
            connection.execute(f"DROP TABLE {name}")
        connection.execute("DELETE FROM meta WHERE key IN ('probed', 'digest')")
        connection.execute("PRAGMA user_version = 0")
    run = read_run(result.directory)
    assert run.probe.empty and list(run.verdicts.columns)[:2] == ["label", "verdict"]
    assert not Findings(run).standings.empty


NO_PROBE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, in_features, output_size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(output_size, in_features))

    def forward(self, x):
        if torch.overrides._get_current_function_mode_stack():
            raise ValueError("not while somebody watches")
        return x @ self.weight.T
"""


def test_a_model_that_cannot_be_probed_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NO_PROBE)
    config = write(tmp_path / "c.yaml", schemes=["as_built"], model=None)
    done = winit("run", config, "--model", "net.py:Net")
    assert done.exit_code == 0
    said_aloud = " ".join(done.stderr.split())
    assert "as_built was not probed: " in said_aloud and "not while somebody watches" in said_aloud


VERDICT = {"label": "x", "layer": "layers.0", "metric": "", "value": None, "advice": ""}


@pytest.mark.parametrize(
    ("verdict", "metric", "value", "text"),
    [
        ("vanishing", "grad_norm", 3e-5, "vanishing: gradient of layers.0 3e-05 of the head's"),
        ("exploding", "layer_gain", 4.0, "exploding: mean square × 4 at layers.0"),
        ("dead", "dead_fraction", 0.95, "dead: 95% of layers.0 silent"),
        ("exploding", "pre_mean_square", float("inf"), "exploding: layers.0 overflows"),
        ("vanishing", "grad_norm_lag_27", 1e-9, "vanishing: gradient 27 steps back 1e-09 of the last's"),
        ("vanishing", "something_new", 0.123, "vanishing: something_new 0.12 at layers.0"),
    ],
)
def test_why_in_words(verdict: str, metric: str, value: float, text: str) -> None:
    assert why(1.0, 1.0, VERDICT | {"verdict": verdict, "metric": metric, "value": value}) == text


def test_why_of_what_initialization_does_not_explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the table where it has room, else below it."""
    yet = "healthy at start, yet stuck: look at the learning rate or the number of steps"
    monkeypatch.chdir(tmp_path)
    config = write(tmp_path / "c.yaml", schemes=["kaiming_normal"], train={"lr": [1e-9, 0.3], "steps": 30})
    monkeypatch.setenv("COLUMNS", "80")
    assert f"kaiming_normal (lr 1e-09): {yet}" in " ".join(winit("run", config).stdout.split())
    monkeypatch.setenv("COLUMNS", "220")
    wide = winit("run", config).stdout
    assert wide.count(yet) == 1 and f"lr 1e-09): {yet}" not in wide
    (run,) = (tmp_path / "results").iterdir()
    reasons = list(Findings(read_run(run)).standings["why"])
    assert reasons[0].startswith("healthy at start; gradients alike") and reasons[1] == yet


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((4, 0, 0), ""),
        ((4, 1, 0), ""),
        ((4, 2, 0), "stuck"),
        ((4, 1, 2), "diverged"),
        ((0, 0, 0), ""),
        ((4, 1, 1), "stuck"),
    ],
)
def test_how_most_trials_ended(counts: tuple[int, int, int], expected: str) -> None:
    assert ended(*counts) == expected
    ill = VERDICT | {"verdict": "dead", "metric": "dead_fraction", "value": 1.0}
    assert why(1.0, 1.0, ill, expected) == "dead: 100% of layers.0 silent"


def _judged(verdicts: dict[str, str], **results: Any) -> pd.DataFrame:
    frame = pd.DataFrame([VERDICT | {"label": label, "verdict": word} for label, word in verdicts.items()])
    usual = {"lr": 0.1, "n": 6, "stuck": 0, "diverged": 0, "beats": ()}
    rows_of = ((label, result if isinstance(result, list) else [result]) for label, result in results.items())
    standings = pd.DataFrame([{"label": label, **usual, **one} for label, some in rows_of for one in some])
    return foretold(frame, standings)


def test_a_verdict_is_held_against_how_training_went() -> None:
    found = _judged(
        {"good": "healthy", "slow": "vanishing", "bad": "dead", "lucky": "chaotic", "unlucky": "healthy"},
        good={"beats": (("slow", 0.1),)},
        slow={},
        bad={"stuck": 2, "diverged": 1},
        lucky={"stuck": 2},
        unlucky={"diverged": 6},
    )
    assert list(found["trained"]) == ["trained", "behind", "failed", "trained", "failed"]
    assert list(found["foretold"]) == [True, True, True, False, False]
    assert said(found).endswith("for 3 of 5 labels, not for lucky, unlucky")


def test_labels_are_judged_at_their_best_learning_rates() -> None:
    found = _judged(
        {"good": "healthy", "ill": "vanishing"},
        good=[{"beats": (("good", 0.001), ("ill", 0.001))}, {"lr": 0.001}],
        ill=[{}, {"lr": 0.001}],
    )
    assert list(found["trained"]) == ["trained", "trained"]
    assert list(found["foretold"]) == [True, False]


def test_labels_without_a_trial_are_not_judged() -> None:
    found = _judged({"good": "healthy", "late": "dead"}, good={}, late={"n": 0})
    assert list(found["foretold"]) == [True, None]
    assert "1 of 1 label" in said(found)


def test_theory_of_the_labels_of_a_run(tmp_path: Path) -> None:
    schemes = (
        "schemes=[kaiming_normal,zeros,orthogonal,pytorch_default,{scheme: uniform, label: u},"
        "{scheme: kaiming_normal, label: shifted, bias: {scheme: constant, val: 0.3}}]"
    )
    result = run_of(tmp_path, schemes, "model.depth=4", "vary={model.activation: [relu, tanh]}", "seeds=1")
    found = signal_theory(read_run(result.directory)).set_index("label")
    assert "u@activation=relu" not in found.index, "U(0, 1) has a mean"
    assert "shifted@activation=relu" not in found.index, "so have these biases"
    he, saxe = found.loc["kaiming_normal@activation=relu"], found.loc["orthogonal@activation=tanh"]
    assert (
        he["sigma_w2"] == pytest.approx(2)
        and he["chi_1"] == pytest.approx(1)
        and he["gradient_factor"] == pytest.approx(1)
    )
    assert saxe["sigma_w2"] == pytest.approx(1) and saxe["activation"] == "tanh"
    default = found.loc["pytorch_default@activation=relu"]
    assert default["sigma_w2"] == pytest.approx(1 / 3) and default["sigma_b2"] == pytest.approx(1 / 18)
    assert default["chi_1"] == pytest.approx(chi_1("relu", 1 / 3, 1 / 18))
    assert default["gradient_factor"] == pytest.approx((1 / 6) ** 1.5)
    assert found.loc["zeros@activation=relu", "q_star"] == 0


def test_no_theory_for_what_it_does_not_know() -> None:
    run = make_run(Path("/nowhere"))
    run.config["model"] = {"name": "lstm", "hidden": 8}
    assert signal_theory(run).empty


def test_claims_about_what_is_measured_before_training(tmp_path: Path) -> None:
    claims = (
        "claims=['kaiming_normal layer_gain[layer=layers.1] / zeros distinct_units[layer=layers.0] > 0.01',"
        "'kaiming_normal gradient_quotient > 0', 'zeros pre_mean_square[layer=layers.0] in [-1, 0.5]']"
    )
    result = run_of(tmp_path, BAD, claims, "seeds=7", "measure.probe=1")
    assert len({row["seed"] for row in rows(result, "probe")}) == 7, "claims need all seeds"
    assert [row["verdict"] for row in rows(result, "claims")] == ["supported"] * 3
    assert {row["n"] for row in rows(result, "claims")} == {"7"}


def test_a_claim_about_a_layer_that_is_not_there_is_a_fault() -> None:
    text = (
        "{name: c, model: mlp, data: {name: gaussian, features: 5}, schemes: [zeros], "
        "claims: ['zeros layer_gain[layer=layers.9] > 1']}"
    )
    with pytest.raises(ConfigError, match=r"the model has no layer layers\.9; .*layers\.0"):
        make_plan(resolve(parse(text, "c.yaml")), "cpu")


def test_the_page_shows_verdicts_and_theory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    winit("run", write(tmp_path / "c.yaml", model={"name": "mlp", "width": 6, "depth": 2}))
    assert winit("report", "--format", "html,md").exit_code == 0
    page = next(tmp_path.glob("results/*/report.html")).read_text()
    assert 'id="signal"' in page and "Mean-field theory" in page and "draw the weights at random" in page
    assert "foretold how training went" in next(tmp_path.glob("results/*/report.md")).read_text()
