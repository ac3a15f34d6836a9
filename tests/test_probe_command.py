"""``winit probe``: tables, files, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import refused, runs, tables, winit, winit_json, write
from own import SCHEMES, write_files

from winit_cli.probe.trials import SEEDS


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the small config."""
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "c.yaml", seeds=7)


def read(name: str) -> list[dict[str, str]]:
    (run,) = runs()
    with (run / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_writes_three_tables_and_no_run() -> None:
    result = winit("probe", "c.yaml")
    assert result.exit_code == 0, result.output
    (run,) = runs()
    assert sorted(path.name for path in run.iterdir()) == ["histograms.csv", "probe.csv", "verdicts.csv"]
    assert (
        (run / "probe.csv").read_text().startswith("label,seed,layer,depth,metric,value\nkaiming_normal,0,layers.0,1,")
    )
    assert (
        (run / "verdicts.csv")
        .read_text()
        .startswith("label,verdict,layer,metric,value,advice\nkaiming_normal,healthy,,,,")
    )
    assert {(row["label"], row["seed"]) for row in read("probe.csv")} == {
        (label, str(seed)) for label in ("kaiming_normal", "zeros") for seed in range(SEEDS)
    }
    assert "zeros" in result.stdout and "symmetric" in result.stdout and "distinct_units 1" in result.stdout
    assert "5 of 7 seeds (--seeds 7 probes all)" in result.stdout
    assert "no runs under results" in winit("list", "runs").stderr


def test_it_is_the_same_to_the_byte_and_in_the_run_s_directory() -> None:
    def files() -> dict[str, bytes]:
        (run,) = runs()
        return {name: (run / name).read_bytes() for name in ("probe.csv", "verdicts.csv", "histograms.csv")}

    winit("probe", "c.yaml")
    before = files()
    assert winit("run", "c.yaml").exit_code == 0
    assert files() == before
    (run,) = runs()
    trained = tables(run)
    state = torch.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    winit("probe", "c.yaml")
    torch.set_num_threads(threads)
    assert torch.equal(state, torch.get_rng_state())
    assert files() == before
    assert tables(run) == trained
    assert "complete already" in winit("run", "c.yaml").stderr
    assert winit("verify", run).exit_code == 0


def test_other_seeds_than_the_run_s_leave_its_files_alone() -> None:
    winit("run", "c.yaml")
    (run,) = runs()
    before = (run / "probe.csv").read_bytes()
    apart = winit_json("probe", "c.yaml", "--seeds", "7")
    assert (run / "probe.csv").read_bytes() == before and winit("verify", run).exit_code == 0
    assert Path(apart["run"]) == Path("results") / run.name / "probe" and apart["seeds"] == list(range(7))
    assert (Path(apart["run"]) / "probe.csv").read_bytes().startswith(before.partition(b"kaiming_normal,1,")[0])


def test_the_weights_are_those_that_training_starts_from() -> None:
    write(Path("c.yaml"), schemes=["kaiming_normal"], data={**data(), "train_size": 16})
    winit("probe", "c.yaml")
    winit("run", "c.yaml")
    norms = {
        row["param"]: row["grad_norm"] for row in read("gradients.csv") if (row["seed"], row["step"]) == ("1", "0")
    }
    found = {
        row["layer"]: row["value"] for row in read("probe.csv") if (row["seed"], row["metric"]) == ("1", "grad_norm")
    }
    for name, norm in norms.items():
        assert float(found[name]) == pytest.approx(float(norm), rel=1e-5)


def data() -> dict[str, Any]:
    return {"name": "gaussian", "features": 8, "classes": 3, "train_size": 64, "test_size": 16}


def test_json_gives_the_same() -> None:
    found = winit_json("probe", "c.yaml", "--seeds", "3,1")
    assert found["seeds"] == [3, 1]
    assert found["run"] == str(runs()[0])
    assert [row["verdict"] for row in found["verdicts"]] == [row["verdict"] for row in read("verdicts.csv")]
    rows = read("probe.csv")
    assert [(row["layer"], row["metric"]) for row in found["probe"]] == [(row["layer"], row["metric"]) for row in rows]
    assert found["probe"][0]["value"] == float(rows[0]["value"])


def test_without_a_file_it_is_where_compare_puts_its_run() -> None:
    options = ("--schemes", "kaiming,normal:std=0.001", "--data", "digits", "-s", "model.depth=4", "--seeds", "2")
    result = winit("probe", *options)
    assert result.exit_code == 0, result.output
    assert [row["verdict"] for row in read("verdicts.csv")] == ["healthy", "vanishing"]
    assert winit("compare", *options).exit_code == 0
    assert len(runs()) == 1


def test_the_table_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = winit("probe", "pitfalls", "-s", "seeds=1")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert max(len(line) for line in lines if "results/" not in line) <= 80
    assert "use gain sqrt(2)" in " ".join(lines)


def test_varied_values_are_labels_of_their_own() -> None:
    winit("probe", "c.yaml", "-s", "vary.model.depth=[1, 3]", "-s", "train.lr=[0.1, 0.2]")
    labels = list(dict.fromkeys(row["label"] for row in read("probe.csv")))
    assert labels == [row["label"] for row in read("verdicts.csv")]
    assert labels == ["kaiming_normal@depth=1", "zeros@depth=1", "kaiming_normal@depth=3", "zeros@depth=3"]


def test_a_network_of_one_s_own(tmp_path: Path) -> None:
    write_files(tmp_path)
    options = (
        "--model",
        "net.py:Net",
        "--data",
        "d.npz",
        "--schemes",
        SCHEMES,
        "--seeds",
        "2",
        "-s",
        "train.batch_size=16",
    )
    state = torch.get_rng_state()
    result = winit("probe", *options, "--loss", "net.py:my_loss", "--plot", "figures")
    assert result.exit_code == 0, result.output
    assert Path("figures/probe_signal.svg").exists()
    assert torch.equal(state, torch.get_rng_state())
    rows = read("probe.csv")
    assert {row["layer"] for row in rows if row["metric"] == "pre_mean"} == {"body.0", "body.3", "head"}
    assert {row["depth"] for row in rows if row["layer"] == "shift"} == {"1"}
    assert any(row["metric"] == "dead_fraction" for row in rows)


def test_what_it_refuses(tmp_path: Path) -> None:
    write_files(tmp_path)
    assert refused("probe") == ("give a CONFIG, or schemes: winit probe mnist, or winit probe --schemes kaiming,zeros")
    assert "--data is for a probe without a CONFIG" in refused("probe", "c.yaml", "--data", "digits")
    assert "--schemes is for a probe without a CONFIG" in refused("probe", "c.yaml", "--schemes", "zeros")
    assert "did you mean 'kaiming_normal'" in refused("probe", "--schemes", "kaiming_normall")
    assert "no file 'mnisst'" in refused("probe", "mnisst")
    assert "seeds" in refused("probe", "c.yaml", "--seeds", "many")
    Path("bad.py").write_text(
        "from torch import nn\n\nclass Net(nn.Linear):\n    def forward(self, x):\n        return 1 / 0\n"
    )
    options = ("--model", "bad.py:Net", "--data", "d.npz", "--schemes", "as_built")
    assert "bad.py:5" in refused("probe", *options)


def test_a_disk_that_refuses() -> None:
    Path("results").write_text("")
    result = winit("probe", "c.yaml")
    assert result.exit_code == 1
    assert result.stderr.startswith("winit: cannot use results/small-")
