"""Claims decided by a run: the table, the exit code, and new claims on old trials."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import SMALL, winit, write
from small import rows, run_of

from winit_cli.findings import Findings
from winit_cli.store.frames import read_run

HOLDS, FAILS = "kaiming_normal final_test_loss < 1000", "zeros learned"
TWO = ("schemes=[kaiming_normal, zeros]", "seeds=6")


def test_claims_are_decided_by_the_run_and_anew_without_training(tmp_path: Path) -> None:
    plain = run_of(tmp_path, *TWO)
    assert rows(plain, "claims") == []
    gradient = "kaiming_normal grad_norm[param=layers.1.bias, step=4] < 1000"
    claimed = run_of(tmp_path, *TWO, f'claims=["{HOLDS}", "{gradient}", "{FAILS}"]')
    assert claimed.was_complete and claimed.directory == plain.directory
    found = rows(claimed, "claims")
    assert list(found[0]) == ["claim", "metric", "n", "effect", "ci_low", "ci_high", "p", "verdict"]
    assert [(row["claim"], row["n"], row["verdict"]) for row in found] == [
        (HOLDS, "6", "supported"),
        (gradient, "6", "supported"),
        (FAILS, "6", "refuted"),
    ]
    assert float(found[0]["p"]) == 3 / 2**6
    run = read_run(claimed.directory)
    assert Findings(run).unsupported == [FAILS]
    norms = run.gradients.query("label == 'kaiming_normal' and step == 4 and param == 'layers.1.bias'")["grad_norm"]
    assert float(found[1]["effect"]) == pytest.approx(norms.mean())
    assert rows(run_of(tmp_path, *TWO), "claims") == []


def test_a_claim_about_slopes_over_widths(tmp_path: Path) -> None:
    slope = "kaiming_normal width_slope[layer=head, step=3] in [-5, 5]"
    plain = run_of(tmp_path, "seeds=6")
    claimed = run_of(tmp_path, "seeds=6", "measure.widths=[4, 8]", f'claims=["{slope}"]')
    assert claimed.directory == plain.directory, "nothing is trained again, and the probe is made anew"
    probed = [row for row in rows(claimed, "probe") if row["metric"] == "width_slope_3" and row["layer"] == "head"]
    assert [row["seed"] for row in probed] == list("012345")
    (found,) = rows(claimed, "claims")
    assert (found["metric"], found["n"], found["verdict"]) == ("width_slope[layer=head,step=3]", "6", "supported")
    assert float(found["effect"]) == pytest.approx(sum(float(row["value"]) for row in probed) / 6)
    config = SMALL | {"model": "cnn", "data": "digits", "measure": {"widths": [4, 8]}}
    refused = winit("check", write(tmp_path / "c.yaml", **config))
    assert refused.exit_code == 2 and "model cnn has no option for its width" in " ".join(refused.stderr.split())


@pytest.mark.parametrize("command", ["run", "compare"])
def test_strict_claims_exit_with_three(command: str, tmp_path: Path) -> None:
    config = SMALL | {"schemes": ["kaiming_normal", "zeros"], "seeds": 6, "claims": [HOLDS]}
    where = ("--results", tmp_path / "results")
    arguments: tuple[object, ...] = ("run", write(tmp_path / "c.yaml", **config), *where)
    if command == "compare":
        arguments = ("compare", "--schemes", "kaiming_normal,zeros", "--seeds", "6", "--steps", "6", *where)
        arguments = (*arguments, "--data", "gaussian", "-s", f"claims=[{HOLDS}]")
    assert winit(*arguments, "--strict-claims").exit_code == 0
    failing = (*arguments, "-s", f"claims=[{HOLDS}, {FAILS}]")
    assert winit(*failing).exit_code == 0
    result = winit(*failing, "--strict-claims")
    assert result.exit_code == 3 and f"not supported: {FAILS}" in result.stderr
    assert winit(*failing, "--strict-claims").exit_code == 3  # complete already


def test_a_wrong_claim_is_a_fault_at_its_place(tmp_path: Path) -> None:
    claims = ["kaiming_norml < zeros", {"expect": "zeros stck"}]
    result = winit("check", write(tmp_path / "c.yaml", claims=claims))
    assert result.exit_code == 2 and "2 faults" in result.stderr
    assert "at character 1: no label 'kaiming_norml'; did you mean 'kaiming_normal'?" in result.stderr
    assert "at character 7: no metric 'stck'; did you mean 'stuck'?" in result.stderr
