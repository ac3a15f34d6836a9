"""Claims in the YAML: places of faults, what is written back, and that they change nothing of the trials."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from commands import SMALL, refused, refused_with, winit, write
from small import BASE, plan_of, run_of

from winit_cli.claims.check import stored_claims
from winit_cli.claims.decide import decide, needed_steps
from winit_cli.config import dump, parse, resolve
from winit_cli.errors import ConfigError
from winit_cli.plan import make_plan
from winit_cli.resolved import resolved_config
from winit_cli.store.frames import read_run

CLAIMS = """
claims:
  - {expect: "kaiming_normal < zeros", metric: final_train_loss, lr: 0.1}
  - zeros stuck
  - "kaiming_normal grad_norm[param=layers.0.weight] / xavier in [0.1, 10]"
"""
TEXT = BASE.replace("[kaiming_normal]", "[kaiming_normal, zeros, xavier]")


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        make_plan(resolve(parse(text, "c.yaml")), "cpu")
    return [str(fault) for fault in error.value.faults]


def test_claims_are_part_of_a_plan_and_written_back() -> None:
    plan = plan_of(text=TEXT + CLAIMS)
    assert [claim.text for claim in plan.config.claims][1] == "zeros stuck"
    written = resolved_config(plan)
    assert written["claims"] == [
        {"expect": "kaiming_normal < zeros", "metric": "final_train_loss", "lr": 0.1},
        {"expect": "zeros stuck"},
        {"expect": "kaiming_normal grad_norm[param=layers.0.weight] / xavier in [0.1, 10]"},
    ]
    again = make_plan(resolve(parse(dump(written), "again.yaml")), "cpu")
    assert again.config.claims == plan.config.claims and resolved_config(again) == written


def test_claims_change_no_identity_and_no_name() -> None:
    without, with_claims = plan_of(text=TEXT), plan_of(text=TEXT + CLAIMS)
    assert [trial.identity for trial in without.trials] == [trial.identity for trial in with_claims.trials]
    assert without.name == with_claims.name


def test_a_run_with_other_claims_trains_nothing(tmp_path: Path) -> None:
    first = run_of(tmp_path, text=TEXT)
    second = run_of(tmp_path, text=TEXT + CLAIMS)
    assert second.directory == first.directory and second.was_complete
    written = yaml.safe_load((second.directory / "config.yaml").read_text(encoding="utf-8"))
    assert written["claims"][1] == {"expect": "zeros stuck"}


def test_a_run_on_disk_decides_its_claims(tmp_path: Path) -> None:
    done = run_of(tmp_path, "seeds=6", text=TEXT + CLAIMS)
    run = read_run(done.directory)
    claims = stored_claims(run.config, run.labels)
    tables = {"trials": run.trials, "curves": run.curves, "gradients": run.gradients}
    found = decide(claims, tables, {})
    assert list(found["n"]) == [6, 6, 6] and found["effect"].notna().all()
    rows = run.gradients[run.gradients["step"] == 0]
    needed = [rows[rows["param"] == param] for param, _ in needed_steps(claims)]
    assert decide(claims, tables | {"gradients": needed[0]}, {}).equals(found)


def test_all_faults_are_told_at_once_each_at_its_place() -> None:
    text = TEXT.replace("steps: 6", "stpes: 6") + (
        "claims:\n  - zros stuck\n  - expect: zeros < 2\n    metric: final_los\n  - 3\n  - {better: zeros}\n"
        "  - {expect: zeros stuck, lr: -1}\n"
    )
    said = faults(text)
    assert [fault.split(": ")[:2] for fault in said] == [
        ["c.yaml:6:9", "train.stpes"],
        ["c.yaml:10:5", "claims.0"],
        ["c.yaml:12:5", "claims.1.metric"],
        ["c.yaml:13:5", "claims.2"],
        ["c.yaml:14:5", "claims.3"],
        ["c.yaml:14:6", "claims.3.better"],
        ["c.yaml:15:27", "claims.4.lr"],
    ]
    assert "at character 1: no label 'zros'; did you mean 'zeros'?" in said[1]
    assert said[3].endswith("expected a claim like {expect: zeros final_test_accuracy < 0.2}, got 3")
    assert said[4].endswith("a claim needs expect:, as in {expect: zeros final_test_accuracy < 0.2}")
    assert said[5].endswith("unknown key 'better'; did you mean 'metric'? (known: expect, metric, lr)")
    assert said[6].endswith("must be above 0, got -1")


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ("zeros stuck", "c.yaml:9:1: claims: expected a list of claims like [{expect: zeros final_test"),
        (
            [{"expect": "zeros stuck", "lr": 0.3}],
            "claims.0.lr: nothing is trained at the learning rate 0.3; train.lr has",
        ),
        ([{"expect": 5}], "claims.0.expect: must be text (put it in quotes), got 5"),
        (
            ["zeros final_val_loss < 2"],
            "claims.0: at character 7: final_val_loss needs a validation part; set data.val_",
        ),
        (["zeros stuck"] * 501, "claims: 501 claims, expected at most 500"),
        (["zeros stuck", "zeros is stuck"], "claims.1: says the same as claims.0; remove one of them"),
    ],
)
def test_fault_of_claims(claims: object, message: str) -> None:
    assert message in "\n".join(faults(TEXT + yaml.safe_dump({"claims": claims}, width=1000)))


def test_faults_that_only_the_plan_can_see() -> None:
    text = TEXT + (
        "claims:\n  - zeros grad_norm[param=layers.0.wieght,step=4] < 1\n  - {expect: 'zeros train_loss[step=3] < 1'}\n"
        "  - zeros test_loss[step=4] / xavier < 1\n  - zeros test_loss[step=3] < 2\n"
    )
    said = faults(text)
    assert said[0].startswith(
        "c.yaml:10:5: claims.0: at character 7: the model has no parameter layers.0.wieght with a gradient; "
        "did you mean 'layers.0.weight'?"
    )
    assert said[1].startswith("c.yaml:11:6: claims.1.expect: at character 7: step 3 is not measured, but 2 and 4 are")
    assert said[2].endswith("step 4 is not measured, but 3 and 6 are; change it or measure.test_every (3)")
    assert len(said) == 3


def test_accuracy_needs_classes() -> None:
    text = TEXT.replace("gaussian, features: 5, classes: 3", "adding, length: 5").replace(
        "mlp, width: 6, depth: 2", "rnn, hidden: 4"
    )
    said = faults(text + "claims: [zeros final_test_accuracy < 1, zeros final_test_loss < 1]\n")
    assert len(said) == 1 and "there is no accuracy here, only for classification; write final_test_loss" in said[0]


def test_layers_without_a_jacobian_are_told() -> None:
    asked = "claims: ['zeros layer_jacobian_sv_mean[layer={}] < 1']\n"
    plan_of(text=TEXT + asked.format("layers.1"))
    assert faults(TEXT + asked.format("layers.0"))[0].endswith(
        "layer_jacobian_sv_mean is not measured of layers.0: no layer comes before it"
    )
    wide = TEXT.replace("width: 6", "width: 600")
    assert "of layers.1: it has 600 outputs, more than 512" in faults(wide + asked.format("layers.1"))[0]
    plan_of(text=wide + asked.format("head"))


TRANSFORMER = TEXT.replace("gaussian, features: 5, classes: 3,", "digits,").replace(
    "mlp, width: 6, depth: 2", "transformer, width: 8, depth: 1, heads: 4"
)


def test_widths_that_cannot_be_measured_are_told() -> None:
    def widths(text: str, measure: str) -> str:
        (fault,) = faults(text.replace("test_every: 3", f"test_every: 3, {measure}"))
        return fault

    assert "measure.widths: width 33: " in widths(TRANSFORMER, "widths: [8, 16, 33]")
    assert "measure.widths: width 1000000: a network takes about " in widths(TEXT, "widths: [8, 1000000]")
    plan_of("measure.widths=[4, 8]", text=TEXT)
    assert "measure.probe: 0 no network is measured" in widths(TEXT, "widths: [4, 8], probe: 0")
    claimed = TEXT + "claims: ['zeros width_slope[layer=head] < 1']\n"
    plan_of("measure.widths=[4, 8]", "measure.probe=0", text=claimed)


VARIED = TEXT + "vary: {model.depth: [1, 2]}\n"


def test_labels_have_their_varied_values() -> None:
    plan = plan_of(text=VARIED + "claims: ['zeros@depth=1 stuck', 'zeros@depth=2 stuck']\n")
    assert [claim.terms[0].label for claim in plan.config.claims] == ["zeros@depth=1", "zeros@depth=2"]
    said = faults(VARIED + "claims: [zeros stuck]\n")
    assert said == [
        "c.yaml:10:10: claims.0: at character 1: 'zeros' alone is no label; write one of zeros@depth=1, zeros@depth=2"
    ]


def test_a_parameter_is_looked_for_in_the_labels_own_variant() -> None:
    claims = "claims: ['zeros@depth={} grad_norm[param=layers.1.weight] < 1']\n"
    plan_of(text=VARIED + claims.format(2))
    assert "no parameter layers.1.weight" in faults(VARIED + claims.format(1))[0]


def test_where_the_varied_values_are_at_fault_claims_wait() -> None:
    said = faults(TEXT + "vary: {model.depth: 3}\nclaims: ['zeros@depth=3 stuck']\n")
    assert len(said) == 1 and "vary.model.depth: expected a list of values" in said[0]


def test_varied_validation_sizes_are_known_to_the_plan_only() -> None:
    text = TEXT + "vary: {data.val_size: [0, 10]}\nclaims: ['zeros@val_size=%d final_val_loss < 9']\n"
    plan_of(text=text % 10)
    assert "final_val_loss needs a validation part" in faults(text % 0)[0]


@pytest.mark.usefixtures("no_sets")
def test_on_the_command_line() -> None:
    write(Path("c.yaml"), claims=["zeros stuck", "kaiming_normal final_test_accuracy > 0.2"])
    assert winit("check", "c.yaml").exit_code == 0
    assert "-s claims=[x stuck]: claims.0: at character 1: no label 'x'; known: kaiming_normal, zeros" in refused(
        "run", "c.yaml", "-s", "claims=[x stuck]"
    )
    assert "claims.0: at character 7: no metric 'stuk'; did you mean 'stuck'?" in refused_with(claims=["zeros stuk"])
    assert "c.yaml" in refused_with(claims=["x"], schemes=SMALL["schemes"])
