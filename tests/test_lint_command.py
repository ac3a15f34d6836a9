"""``winit check``: findings with places, ``--strict``, ``ignore:``, the table of parameters; what a run says of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from commands import refused, refused_with, runs, winit, winit_json, write
from linted import IMAGES, LSTM, MLP, SEQUENCES, checked, fitting
from own import write_files
from torch import nn
from zoo import CASES

import winit_cli
from winit_cli.cli.sources import packaged
from winit_cli.config.ignore import LintName
from winit_cli.errors import ConfigError
from winit_cli.lint import LINTS
from winit_cli.lint.rules import RULES

BAD = ["zeros", {"scheme": "constant", "label": "c", "val": 0.5}, {"scheme": "normal", "label": "tiny", "std": 0.0001}]
MEANT = {"rule": "identical-units", "label": ["zeros", "c"], "reason": "to see it"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def findings(*options: str, **changes: Any) -> list[dict[str, Any]]:
    write(Path("c.yaml"), **({"schemes": BAD, "seeds": 7} | changes))
    made: list[dict[str, Any]] = winit_json("check", "c.yaml", *options)["findings"]
    return made


@pytest.mark.parametrize("name", packaged())
def test_a_shipped_config_has_no_findings_but_meant_ones(name: str) -> None:
    result = winit_json("check", name, "--strict")
    assert result["trials"] > 0 and result["findings"] == []
    assert all(len(one["why_ignored"]) > 10 for one in result["ignored"])


def test_every_finding_has_a_place_a_number_and_a_cure() -> None:
    text = write(Path("c.yaml"), schemes=BAD, seeds=7).read_text().splitlines()
    made = findings()
    assert [(one["rule"], one["severity"], one["labels"]) for one in made] == [
        ("std-too-small", "warning", ["tiny"]),
        ("identical-units", "warning", ["zeros", "c"]),
        ("shared-lr", "note", ["tiny", "c"]),
    ]
    for one, cause in zip(made, ("std", "zeros", "lr"), strict=True):
        assert one["places"][0] == f"c.yaml:{one['line']}:{one['column']}"
        assert text[one["line"] - 1][one["column"] - 1 :].startswith(cause)
        assert re.search(r"\d", one["reason"]) and one["cure"]
    assert len(made[1]["places"]) == 2


def test_what_is_printed_is_grouped_and_fits_80_columns() -> None:
    write(Path("c.yaml"), schemes=BAD, seeds=7)
    result = winit("check", "c.yaml")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    _, warnings, notes, end = result.stdout.split("\n\n")
    assert warnings.startswith("2 warnings\nc.yaml:") and notes.startswith("1 note\nc.yaml:")
    assert ": identical-units\n    labels zeros, c\n    the 6 units of layers.0 begin equal" in warnings
    assert "    cure: draw hidden weights at random" in warnings
    assert "ignore: [{rule: …, label: …, reason: …}]" in end


def test_strict_lets_no_warning_pass() -> None:
    write(Path("c.yaml"), schemes=BAD, seeds=7)
    assert winit("check", "c.yaml", "--strict").exit_code == 2
    assert winit("check", "c.yaml", "--strict", "--json").exit_code == 2
    write(Path("c.yaml"), schemes=["xavier_normal", "kaiming_normal"], seeds=6, model={"name": "mlp", "depth": 3})
    result = winit("check", "c.yaml", "--strict")
    assert "1 note\n" in result.stdout and result.exit_code == 0


def test_an_option_is_named_where_it_is_the_cause() -> None:
    (one,) = findings("-s", "seeds=1", schemes=["kaiming_normal"])
    assert (one["places"], one["line"], one["labels"]) == (["-s seeds=1"], None, [])


def test_variants_are_told_by_the_worst() -> None:
    varied = {"model": {"name": "mlp", "width": 20}, "vary": {"model.depth": [4, 30, 40]}, "schemes": ["xavier_normal"]}
    made = findings(**varied)
    assert [one["rule"] for one in made] == ["std-too-small", "gain-mismatch"]
    assert made[0]["labels"] == ["xavier_normal@depth=30", "xavier_normal@depth=40"]
    assert made[0]["reason"].startswith("at worst, xavier_normal@depth=40: the signal shrinks 0.7")
    assert made[1]["labels"] == ["xavier_normal@depth=4"]
    meant = {"rule": "std-too-small", "label": "xavier_normal@depth=30", "reason": "r"}
    assert findings(**varied, ignore=[meant])[0]["labels"] == ["xavier_normal@depth=40"]


def test_what_is_meant_is_set_aside() -> None:
    write(Path("c.yaml"), schemes=BAD, seeds=7, ignore=[MEANT, {"rule": "shared-lr", "reason": "few steps"}])
    made = winit_json("check", "c.yaml")
    assert [one["rule"] for one in made["findings"]] == ["std-too-small"]
    assert [(one["rule"], one["why_ignored"]) for one in made["ignored"]] == [
        ("identical-units", "to see it"),
        ("shared-lr", "few steps"),
    ]
    assert "2 findings set aside by ignore: (identical-units, shared-lr)" in " ".join(
        winit("check", "c.yaml").stdout.split()
    )


def test_an_entry_that_sets_nothing_aside_is_said() -> None:
    ignored = ["selu-gain", {"rule": "std-too-small", "label": "tiyn", "reason": "r"}, {**MEANT, "label": "tiny"}]
    made = [one for one in findings(ignore=ignored) if one["rule"].endswith("-ignore")]
    assert [(one["rule"], one["severity"], one["places"][0].count(":")) for one in made] == [
        ("unused-ignore", "note", 2),
        ("unexplained-ignore", "note", 2),
        ("unused-ignore", "note", 2),
        ("unused-ignore", "note", 2),
    ]
    assert made[0]["reason"] == "selu-gain finds nothing, so nothing is ignored"
    assert made[2]["reason"].startswith("no label 'tiyn'; did you mean 'tiny'?")
    assert made[3]["reason"] == "identical-units finds nothing for tiny, so nothing is ignored"


def test_faults_of_ignore_are_told_with_the_rest() -> None:
    said = refused_with(ignore=["std-to-small", {"rule": "selu-gain", "why": "x"}, 3], seeds=0)
    assert said.startswith("4 faults in the config") and "did you mean 'std-too-small'? (known: " in said
    assert "unknown key 'why'; known: rule, label, reason" in said
    assert "ignore.2: expected the name of a rule, or a mapping like {rule: std-too-small" in said
    assert "ignore: expected a list like" in refused_with(ignore="std-too-small")
    assert "ignore.0.label" in refused_with(ignore=[{"rule": "selu-gain", "label": []}])
    assert "'rule'" in refused_with(ignore=[{"reason": "none"}])


def test_what_is_ignored_changes_no_identity_and_is_kept() -> None:
    write(Path("c.yaml"))
    plain = winit_json("check", "c.yaml")["run"]
    write(Path("c.yaml"), ignore=[MEANT, "few-seeds"])
    assert winit_json("check", "c.yaml")["run"] == plain
    winit_json("run", "c.yaml", "--quiet")
    (run,) = runs()
    kept = yaml.safe_load((run / "config.yaml").read_text())["ignore"]
    assert kept == [MEANT, {"rule": "few-seeds"}]
    assert winit_json("check", run / "config.yaml")["already_trained"] == 4


def test_a_run_counts_the_warnings_and_says_where_they_are() -> None:
    write(Path("c.yaml"), seeds=6)
    result = winit("run", "c.yaml", "-s", "train.steps=3")
    assert result.stderr.count("1 warning from: winit check c.yaml -s train.steps=3\n") == 1
    assert "warning" not in winit("run", "c.yaml", "-s", "train.steps=3", "--quiet").stderr
    assert "warning" not in winit("run", "c.yaml", "-s", "schemes=[kaiming_normal]").stderr


def test_the_assignment_is_a_table_on_request() -> None:
    rules = {"label": "r", "rules": [{"params": "head.*", "scheme": "zeros"}], "others": "pytorch_default"}
    write(Path("c.yaml"), schemes=["kaiming_normal", {"scheme": "he", "label": "same"}, rules], seeds=2)
    result = winit("check", "c.yaml", "--parameters")
    assert "\nkaiming_normal, same\nparam            shape  scheme          rule    expected std\n" in result.stdout
    assert "\nlayers.0.weight  6x8    kaiming_normal  scheme           0.5\n" in result.stdout
    assert "\nhead.bias        3      zeros            rules.0             0\n" in result.stdout
    rows = winit_json("check", "c.yaml", "--parameters")["parameters_by_label"]
    assert len(rows) == 3 * 4 and rows[0] == {
        "label": "kaiming_normal",
        "param": "layers.0.weight",
        "shape": "6x8",
        "scheme": "kaiming_normal",
        "rule": "scheme",
        "expected_std": 0.5,
        "lr_factor": 1.0,
    }
    assert "parameters_by_label" not in winit_json("check", "c.yaml")
    winit_json("run", "c.yaml", "--quiet")
    (run,) = runs()
    listed = [line.split(",") for line in (run / "init.csv").read_text().splitlines()]
    at = {name: listed[0].index(name) for name in ("label", "param", "shape", "scheme", "rule", "expected_std")}
    recorded = [[line[at[name]] for name in at] for line in listed[1:] if line[listed[0].index("seed")] == "0"]
    assert recorded == [["" if row[name] is None else _csv(row[name]) for name in at] for row in rows]


def _csv(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def test_the_rules_are_listed_and_known_by_name() -> None:
    assert tuple(LINTS) == get_args(LintName) == tuple(RULES)
    listed = winit_json("list", "lints")
    assert [row["name"] for row in listed] == list(LINTS)
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    assert [name for name in LINTS if f"`{name}`" not in readme] == []


@pytest.mark.parametrize(
    "model",
    [
        (),
        ("model.norm=batch", "model.activation=gelu"),
        ("model={name: cnn, channels: [6, 4], activation: selu, pool: avg}", IMAGES),
        LSTM,
        ("model={name: gru, hidden: 5, layers: 2}", SEQUENCES),
        ("model={name: rnn, hidden: 5, nonlinearity: relu}", SEQUENCES),
    ],
    ids=" ".join,
)
def test_every_scheme_is_looked_at_on_every_model(model: tuple[str, ...]) -> None:
    entries = [{"scheme": name, "label": f"{i} {name}", "fallback": "zeros", **o} for i, (name, o) in enumerate(CASES)]
    mine = fitting(entries, *model)
    assert len(mine) > 20
    made = checked(f"schemes={json.dumps(mine)}", "seeds=12", *model, text=MLP)
    names = {str(entry["label"]) for entry in mine}
    for one in made.findings:
        assert set(one.labels) <= names and one.places and one.rule in LINTS
        assert len(one.reason) < 250 and len(one.cure) < 120 and "nan" not in one.reason


def test_a_users_own_model_and_rows_are_looked_at() -> None:
    write_files(Path())
    Path("plug.py").write_text(
        "import winit_cli as winit\nfrom winit_cli.theory.moments import Moments\n"
        "def half(tensor, generator):\n    tensor.normal_(0, 0.5, generator=generator)\n"
        "def moments(shape):\n    if shape[0] == 6:\n        raise KeyError('mine')\n    return Moments(std=0.5)\n"
        "SCHEMES = [winit.Scheme('half', half, moments=moments)]\n"
    )
    entries = ["as_built", *({"scheme": name, "others": "as_built"} for name in ("kaiming", "zeros", "half"))]
    write(Path("c.yaml"), model={"name": "net.py:Net"}, data={"name": "npz", "path": "d.npz"}, schemes=entries)
    result = winit("check", "c.yaml", "--model", "net.py:Net", "--plugin", "plug.py", "--parameters")
    assert result.exit_code == 0, result.stderr
    assert "few-seeds" in result.stdout


def test_a_fault_is_still_an_error_with_strict() -> None:
    write(Path("c.yaml"), schemes=["zeroes"])
    assert "did you mean 'zeros'?" in refused("check", "c.yaml", "--strict")


def broken(study: object) -> Iterator[Any]:
    yield from ()
    raise ValueError("a rule\nof two lines")


def test_a_rule_that_raises_an_error_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("c.yaml"), schemes=BAD, seeds=2)
    monkeypatch.setitem(RULES, "std-too-small", broken)
    said = "lint std-too-small failed: ValueError: a rule of two lines"
    run = winit("run", "c.yaml", "--quiet")
    assert run.exit_code == 0 and run.stderr.splitlines()[0] == said
    checked = winit("check", "c.yaml", "--json")
    assert checked.exit_code == 1 and checked.stderr.splitlines() == [said]
    document = json.loads(checked.stdout)
    assert document["failed"] == [said] and "identical-units" in {one["rule"] for one in document["findings"]}


def test_rules_are_listed_without_torch() -> None:
    """In a process of its own, as torch is here already."""
    code = "from winit_cli.cli import main; import sys; sys.argv = ['winit', 'list', 'lints']\n"
    code += "try: main()\nexcept SystemExit: pass\nsys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_width_that_is_written_is_not_called_a_default() -> None:
    write(Path("c.yaml"), schemes=[{"scheme": "normal", "std": 1, "label": "written"}, "normal"])
    said = winit("check", "c.yaml").stderr
    assert "normal: torch's N(0, 1)" in said and "written" not in said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("looks_linear", "looks_linear: it is for nets with activation: crelu, not 'relu'"),
        ({"scheme": "kaiming_normal", "gain": "auto"}, "no option 'gain'; did you mean 'nonlinearity'?"),
        ({"scheme": "xavier_normal", "nonlinearity": "relu"}, "no option 'nonlinearity'; did you mean 'gain'?"),
    ],
    ids=str,
)
def test_what_is_refused_names_the_option_that_is_meant(entry: Any, said: str) -> None:
    write(Path("c.yaml"), schemes=[entry])
    assert said in refused("check", "c.yaml")


def test_an_activation_is_named_that_the_scheme_takes() -> None:
    with pytest.raises(ConfigError, match=r"name it, e\.g\. activation: crelu"):
        winit_cli.init(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "looks_linear")
