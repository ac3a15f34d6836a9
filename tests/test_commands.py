"""What the commands do: run, compare, check, list, explain, init."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from commands import refused, runs, tables, winit, winit_json, write

from winit_cli.schemes import FAMILIES, SCHEMES


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the small config."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "c.yaml")


def test_a_complete_run_says_so_and_shows_itself() -> None:
    first = winit("run", "c.yaml")
    (run,) = runs()
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.suffix == ".csv"}
    again = winit("run", "c.yaml")
    assert again.exit_code == 0
    assert "complete already; nothing to train (--fresh trains it again)" in again.stderr
    assert again.stdout == first.stdout
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.suffix == ".csv"} == before
    assert runs() == [run]


@pytest.mark.parametrize(
    ("setting", "copied", "to_train"),
    [("seeds=3", 4, 2), ("schemes=[zeros, ones, kaiming_normal]", 4, 2), ("train.lr=[0.1, 0.2]", 4, 4)],
)
def test_extending_never_repeats(setting: str, copied: int, to_train: int) -> None:
    winit("run", "c.yaml")
    (first,) = runs()
    result = winit("run", "c.yaml", "-s", setting)
    assert result.exit_code == 0
    assert f"{copied} copied from {first.name}" in result.stderr
    assert f"{to_train} to train" in result.stderr
    (second,) = set(runs()) - {first}
    cells = [line.rsplit(",", 1)[1] for line in (second / "trials.csv").read_text().splitlines()[1:]]
    assert sorted(cells) == [""] * to_train + [first.name] * copied


def test_fresh_trains_again_in_a_sibling() -> None:
    winit("run", "c.yaml")
    (first,) = runs()
    result = winit("run", "c.yaml", "--fresh")
    assert "copied" not in result.stderr
    assert [path.name for path in runs()] == [first.name, f"{first.name}-2"]
    assert tables(first) == tables(first.with_name(f"{first.name}-2"))


def test_two_configs_in_one_command() -> None:
    write(Path("d.yaml"), name="other", seeds=[7, 3])
    result = winit("run", "c.yaml", "d.yaml")
    assert result.exit_code == 0
    assert sorted(path.name.rpartition("-")[0] for path in runs()) == ["other", "small"]
    (other,) = Path("results").glob("other-*")
    assert yaml.safe_load((other / "config.yaml").read_text())["seeds"] == [7, 3]


def test_the_config_of_a_run_runs_it_again() -> None:
    winit("run", "c.yaml", "-s", "vary.model.depth=[1,2]")
    (run,) = runs()
    result = winit("run", run / "config.yaml")
    assert "complete already" in result.stderr
    assert runs() == [run]


@pytest.mark.parametrize("how", ["option", "environment"])
def test_results_directory(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "deep" / "elsewhere"
    if how == "environment":
        monkeypatch.setenv("WINIT_RESULTS", str(elsewhere))
    result = winit("run", "c.yaml", *(["--results", elsewhere] if how == "option" else []))
    assert result.exit_code == 0
    assert not Path("results").exists()
    assert len(list(elsewhere.glob("small-*"))) == 1


def test_a_packaged_config_is_found_by_name() -> None:
    result = winit(
        "run", "mnist", "-s", "data=digits", "-s", "train.steps=1", "-s", "seeds=1", "-s", "schemes=[pytorch_default]"
    )
    assert result.exit_code == 0, result.stderr
    assert runs()[0].name.startswith("mnist-")


def test_compare_names_schemes_with_options() -> None:
    found = winit_json(
        *("compare", "--schemes", "normal:std=0.001,normal:std=1,kaiming_normal", "-s", "model.depth=2"),
        *("--data", "digits", "--steps", "3", "--seeds", "2", "--lr", "1e-3,0.1"),
    )
    labels = {row["label"] for row in found["ranking"]}
    assert labels == {"normal std=0.001", "normal std=1", "kaiming_normal"}
    config = yaml.safe_load((Path(found["run"]) / "config.yaml").read_text())
    assert [scheme.get("std") for scheme in config["schemes"]] == [0.001, 1.0, None]
    assert (config["model"]["depth"], config["train"]["lr"], config["seeds"]) == (2, [0.001, 0.1], [0, 1])


def test_compare_s_config_runs_it_again() -> None:
    options = ["--schemes", "xavier,he:mode=fan_out", "--data", "digits", "--steps", "2", "--seeds", "3,5"]
    assert winit("compare", *options).exit_code == 0
    (run,) = runs()
    for again in (winit("compare", *options), winit("run", run / "config.yaml")):
        assert "complete already" in again.stderr
        assert runs() == [run]


def test_compare_takes_epochs_for_steps() -> None:
    small = ["-s", "data={name: gaussian, train_size: 64, test_size: 16}", "-s", "train.epochs=2"]
    found = winit_json("compare", "--schemes", "zeros", "--seeds", "1", "--data", "gaussian", *small)
    assert yaml.safe_load((Path(found["run"]) / "config.yaml").read_text())["train"]["steps"] == 2


def test_options_after_a_comma_belong_to_the_scheme_before() -> None:
    found = winit_json(
        "compare", "--schemes", "uniform:a=-1,b=1,zeros", "--data", "digits", "--steps", "1", "--seeds", "1"
    )
    assert {row["label"] for row in found["ranking"]} == {"uniform a=-1 b=1", "zeros"}


def test_bare_normal_and_uniform_are_said_aloud() -> None:
    result = winit("check", "c.yaml", "-s", "schemes=[normal, uniform, ones]")
    assert "normal: torch's N(0, 1); set its options for another width" in result.stderr
    assert "uniform: torch's U(0, 1); set its options for another width" in result.stderr


def test_check_writes_nothing_and_says_how_large_the_job_is() -> None:
    result = winit("check", "c.yaml", "-s", "seeds=5")
    assert "the config is valid" in result.stdout
    assert "trials     10 of 2 labels; trained already: 0" in result.stdout
    assert not Path("results").exists()
    winit("run", "c.yaml")
    assert winit_json("check", "c.yaml", "-s", "seeds=5")["already_trained"] == 4


def test_schemes_are_listed_family_by_family() -> None:
    said = winit("list", "schemes").stdout
    places = [said.index(f"\n{family}\n") for family in FAMILIES[1:]]
    assert said.startswith(f"{FAMILIES[0]}\n") and places == sorted(places)
    assert [line.split()[0] for line in said.splitlines() if line.split()[:1] and line.split()[0] in SCHEMES] == [
        *SCHEMES
    ]


@pytest.mark.parametrize(
    ("kind", "some", "others"),
    [
        (
            "conv",
            ["dirac", "delta_orthogonal", "xavier_uniform", "normal"],
            ["eye", "sparse", "chrono", "looks_linear"],
        ),
        ("recurrent", ["chrono", "forget_bias", "identity_recurrent", "orthogonal"], ["dirac", "bias_prior"]),
        ("linear", ["eye", "bias_prior", "looks_linear", "zero"], ["dirac", "chrono"]),
        ("embedding", ["normal", "sparse"], ["bias_prior", "forget_bias"]),
    ],
)
def test_schemes_are_listed_by_kind_of_layer(kind: str, some: list[str], others: list[str]) -> None:
    names = [row["name"] for row in winit_json("list", "schemes", "--layers", kind)]
    assert set(some) <= set(names) and not set(others) & set(names)


def test_what_cannot_be_listed_by_layers_is_refused() -> None:
    assert "no such kind of layer; did you mean 'conv'?" in refused("list", "schemes", "--layers", "convs")
    assert "--layers is for winit list schemes" in refused("list", "models", "--layers", "conv")


def test_list_runs_newest_first() -> None:
    for name in ("one", "two"):
        winit("run", "c.yaml", "-s", f"name={name}", "-s", "schemes=[zeros]", "-s", "seeds=1")
    found = winit_json("list", "runs")
    assert {row["run"].partition("-")[0] for row in found} == {"one", "two"}
    assert [row["state"] for row in found] == ["complete", "complete"]
    assert found[0]["trials"] == "1 ok"


def test_names_of_runs_are_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a-name-that-leaves-little-room-beside-it-and-goes-on"
    winit("run", "c.yaml", "-s", f"name={name}", "-s", "schemes=[zeros]", "-s", "seeds=1")
    (row,) = winit_json("list", "runs")
    for columns in (300, 80, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        said = winit("list", "runs").stdout
        assert row["run"] in said
        assert ("started" in said) == (columns == 300) == (row["started"][:10] in said)
    assert max(map(len, said.splitlines())) <= len(row["run"]) + 1, "nothing else has room"


def test_list_runs_without_any() -> None:
    result = winit("list", "runs")
    assert result.exit_code == 0
    assert "no runs under results; make one with: winit run mnist" in result.stderr


def test_explain_calls_torch_with_numbers() -> None:
    found = winit_json("explain", "xavier:gain=auto", "--layer", "linear:3x5", "--activation", "tanh")
    assert found["torch"] == f"nn.init.xavier_normal_(w, gain={5 / 3})"
    weight, bias = found["parameters"]
    assert weight["std"] == pytest.approx(5 / 3 * (2 / 8) ** 0.5)
    assert (bias["scheme"], bias["std"]) == ("zeros", 0.0)


@pytest.mark.parametrize(
    "layer", ["linear:784x100", "conv:16x32x3", "conv:16x32x3x5,groups=4", "lstm:28x64", "gru:2x3"]
)
def test_explain_knows_the_layers(layer: str) -> None:
    assert winit_json("explain", "orthogonal", "--layer", layer)["parameters"]


def test_init_writes_a_config_that_checks_and_overwrites_nothing() -> None:
    result = winit("init", "new.yaml")
    assert result.exit_code == 0
    assert "wrote new.yaml; next: winit run new.yaml" in result.stdout
    text = Path("new.yaml").read_text()
    assert "name: new\n" in text
    assert winit("check", "new.yaml").exit_code == 0
    again = winit("init", "new.yaml")
    assert again.exit_code == 2
    assert again.stderr == "winit: new.yaml exists and is left as it is; choose another name\n"
    assert Path("new.yaml").read_text() == text


def test_init_where_nothing_can_be_written() -> None:
    result = winit("init", "nowhere/new.yaml")
    assert result.exit_code == 1
    assert result.stderr == "winit: cannot write nowhere/new.yaml: No such file or directory\n"
