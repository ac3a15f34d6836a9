"""``winit export``: code and weights that repeat what winit did, and all tables."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
import yaml
from commands import SMALL, refused, run_named, tables, winit, winit_json, write
from safetensors.torch import load_file
from zoo import Attentive

from winit_cli.export import weights
from winit_cli.store.store import Store

NET = """
import torch
from torch import nn
from winit_cli import Scheme

class Net(nn.Module):
    def __init__(self, in_features, num_classes):
        super().__init__()
        self.body, self.head = nn.Linear(in_features, 5), nn.Linear(5, num_classes)

    def forward(self, x):
        return self.head(self.body(x).relu())

def squares(output, target):
    return (output - nn.functional.one_hot(target, 3)).square().mean()

def half(tensor, generator):
    tensor.normal_(generator=generator).abs_()

SCHEMES = [Scheme(name="half", fill=half)]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run of several labels, rates and seeds, and one of a single label."""
    home = tmp_path_factory.mktemp("home")
    schemes: list[Any] = ["kaiming_normal", "as_built", {"scheme": "orthogonal", "label": "gain, auto", "gain": "auto"}]
    vary = {"model.depth": [1, 2], "model.activation": ["relu", "tanh"]}
    for name, changes in (
        ("many", {"schemes": schemes, "vary": vary, "train": {**SMALL["train"], "lr": [0.1, 0.2]}}),
        ("one", {"schemes": ["xavier"], "seeds": [4], "model": {"name": "cnn", "norm": "batch"}, "data": "digits"}),
    ):
        assert winit("run", write(home / "c.yaml", name=name, **changes), "--results", home / "results").exit_code == 0
    return home


def recorded_hash(run: Path, trial: str) -> str:
    """The hash of the initial values that a run recorded."""
    with (run / "trials.csv").open(newline="") as file:
        return next(row["init_hash"] for row in csv.DictReader(file) if row["trial"] == trial)


def test_the_file_needs_torch_alone(there: Path, home: Path) -> None:
    label = "gain, auto@depth=2,activation=tanh"
    result = winit("export", "many", "--to", "python", "--label", label)
    assert (result.exit_code, result.stdout) == (0, "init_gain_auto_depth_2_activation_tanh.py\n")
    program = """
import runpy, sys, torch
from torch import nn
names = runpy.run_path(sys.argv[1])
model = nn.Module()
model.layers, model.head = nn.ModuleList([nn.Linear(8, 6), nn.Linear(6, 6)]), nn.Linear(6, 3)
before = torch.get_rng_state()
names["init_weights"](model, 1)
assert torch.equal(before, torch.get_rng_state())
assert not [name for name in sys.modules if name.partition(".")[0] in ("winit_cli", "jinja2", "pydantic", "yaml")]
torch.save(model.state_dict(), sys.argv[2])
"""
    command = [sys.executable, "-I", "-c", program, result.stdout.strip(), "state.pt"]
    subprocess.run(command, check=True, cwd=there)
    assert (
        winit("export", "many", "weights.safetensors", "--to", "safetensors", "--label", label, "--seed", 1).exit_code
        == 0
    )
    wanted, state = load_file("weights.safetensors"), torch.load("state.pt")
    assert state.keys() == wanted.keys() and all(torch.equal(state[name], wanted[name]) for name in state)
    text = (there / result.stdout.strip()).read_text()
    assert run_named(home, "many").name in text and label in text and f"torch {torch.__version__}" in text
    assert "gain=1.6666666666666667" in text and str(home) not in text


def test_weights_come_back_strictly_and_with_their_hash(there: Path, home: Path) -> None:
    run = run_named(home, "one")
    assert winit_json("export", run, "--to", "safetensors") == {"written": "xavier-seed4.safetensors"}
    with safetensors.safe_open("xavier-seed4.safetensors", "pt") as file:
        facts = file.metadata()
    recorded = recorded_hash(run, "xavier/0.1/4")
    assert facts.pop("init_hash") == recorded
    assert facts == {"label": "xavier", "seed": "4", "scheme": "xavier_normal", "run": run.name}
    state = load_file("xavier-seed4.safetensors")
    stored = weights.read_stored(run)
    model, _, made = weights._rebuilt(stored, stored.trial("xavier", None, 0.1), stored.config())
    assert made == recorded
    model.load_state_dict(state, strict=True)
    assert {"norms.0.running_mean", "head.weight"} <= state.keys()


def test_as_built_weights_of_every_variant(there: Path) -> None:
    for depth in (1, 2):
        label = f"as_built@depth={depth},activation=relu"
        written = winit_json("export", "many", "--to", "safetensors", "--label", label, "--seed", 0, "--lr", 0.2)[
            "written"
        ]
        assert written == f"as-built-depth-{depth}-activation-relu-seed0.safetensors"
        assert f"layers.{depth - 1}.weight" in load_file(written)


def test_tied_weights_are_written_under_every_name() -> None:
    model = Attentive()
    tensors = weights._tensors(model)
    assert torch.equal(tensors["head.weight"], tensors["embedding.weight"])
    loaded = safetensors.torch.load(safetensors.torch.save(tensors))
    Attentive().load_state_dict(loaded, strict=True)


def test_other_values_than_those_of_the_run_are_not_written(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "init_hash", lambda records: "f" * 64)
    result = winit("export", "one", "--to", "safetensors")
    assert result.exit_code == 1 and result.stdout == ""
    assert f"init_hash {'f' * 64}, recorded " in result.stderr and "nothing is written" in result.stderr
    assert f"torch is {torch.__version__} as in the run" in result.stderr
    monkeypatch.setattr(torch, "__version__", "3.0")
    assert "here is torch 3.0: use that version" in winit("export", "one", "--to", "safetensors").stderr
    assert list(there.iterdir()) == []


def test_csv_holds_every_table(there: Path, home: Path) -> None:
    run = run_named(home, "many")
    assert winit_json("export", "many", "--to", "csv") == {"written": f"{run.name}-csv"}
    out = Path(f"{run.name}-csv")
    assert tables(out) == tables(run)
    assert (out / "timings.csv").read_bytes() == (run / "timings.csv").read_bytes()
    assert sorted(there.iterdir()) == [there / out]


def test_csv_holds_gradients_that_were_too_many_for_the_run(
    there: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winit_cli.store.store.GRADIENT_ROWS_EXPORTED", 10)
    assert winit("run", write(there / "c.yaml"), "--results", "results").exit_code == 0
    (run,) = (there / "results").iterdir()
    assert not (run / "gradients.csv").exists()
    assert winit("export", run, "all", "--to", "csv").exit_code == 0
    lines = Path("all", "gradients.csv").read_text().splitlines()
    assert lines[0] == "trial,label,lr,seed,step,param,grad_norm" and len(lines) == 1 + 4 * 5 * 4


def test_nothing_is_overwritten(there: Path) -> None:
    for to in ("python", "safetensors", "csv"):
        (there / to).write_text("mine")
        assert f"{to} exists and is left as it is" in refused("export", "one", to, "--to", to)
        assert (there / to).read_text() == "mine"
    (there / "init_xavier.py").symlink_to("nowhere")
    assert "init_xavier.py exists" in refused("export", "one", "--to", "python")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "has several labels; choose one with --label: kaiming_normal@depth=1"),
        (("--label", "kaiming_normal@depth=3"), "did you mean 'kaiming_normal@depth="),
        (("--label", "as_built@depth=1,activation=relu"), "there is nothing to write in Python; use --to safetensors"),
        (
            ("--seed", "1"),
            "--seed does not go with --to python, only with --to safetensors; leave it out (init_weights",
        ),
        (("--lr", "0.1"), "--lr does not go with --to python"),
        (("--to", "csv", "--label", "x"), "--label does not go with --to csv, only with --to python, --to safetensors"),
        (("--to", "safetensors", "--label", "as_built@depth=1,activation=relu"), "choose one with --seed: 0, 1"),
        (
            ("--to", "safetensors", "--label", "as_built@depth=1,activation=relu", "--seed", "2"),
            "no seed 2 of as_built@depth=1,activation=relu in many-",
        ),
        (
            ("--to", "safetensors", "--label", "as_built@depth=1,activation=relu", "--seed", "1", "--lr", "0.3"),
            "no learning rate 0.3 of",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_refused(there: Path, arguments: tuple[str, ...], message: str) -> None:
    to = () if "--to" in arguments else ("--to", "python")
    assert message in refused("export", "many", *to, *arguments)


def test_a_run_or_format_that_does_not_exist(there: Path) -> None:
    assert "no run 'two'" in refused("export", "two", "--to", "csv")
    assert winit("export", "one", "--to", "hdf5").exit_code == 2
    assert winit("export", "one").exit_code == 2


def test_a_trial_that_failed_has_no_weights(there: Path, home: Path) -> None:
    copied = there / "results" / "one-copy"
    copied.mkdir(parents=True)
    (copied / "run.sqlite").write_bytes((run_named(home, "one") / "run.sqlite").read_bytes())
    with Store(copied) as store:
        store.fail(0, "broken")
    message = refused("export", copied, "--to", "safetensors")
    assert message.startswith("xavier/0.1/4 has no initialization on record (it is failed); train it with: winit run ")


def test_a_store_that_is_damaged_and_a_disk_that_refuses(
    there: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = there / "broken"
    broken.mkdir()
    (broken / "run.sqlite").write_bytes(b"not a database" * 1000)
    (there / "file").write_text("in the way")
    for to in ("python", "safetensors", "csv"):
        result = winit("export", broken, "--to", to)
        assert result.exit_code == 1 and "file is not a database" in result.stderr
        result = winit("export", "one", there / "file" / "out", "--to", to)
        assert result.exit_code == 1 and f"cannot write {there / 'file' / 'out'}: " in result.stderr
        assert "name another place after the run" in result.stderr and "--results" not in result.stderr
    assert sorted(there.iterdir()) == [broken, there / "file"]


def test_the_file_of_a_label_needs_no_data(there: Path, home: Path) -> None:
    config = yaml.safe_load((run_named(home, "one") / "config.yaml").read_text())
    assert config["data"]["name"] == "digits"
    assert json.loads(winit("export", "one", "--to", "python", "--json").stdout) == {"written": "init_xavier.py"}
    text = Path("init_xavier.py").read_text()
    assert text.startswith('"""Initial weights of the label xavier of the winit run one-')
    assert "    from init_xavier import init_weights\n" in text and "nn.init.xavier_normal_(tensor, gain=1.0" in text


def test_own_models_losses_and_schemes_go_home_too(there: Path) -> None:
    Path("net.py").write_text(NET)
    plugin, config = ("--plugin", "net.py"), write(Path("c.yaml"), schemes=["half", "orthogonal"])
    own = ("--model", "net.py:Net", "--loss", "net.py:squares")
    assert winit("run", config, *own, *plugin, "--results", "results").exit_code == 0
    (run,) = Path("results").iterdir()
    weights_of = ("export", run, "--to", "safetensors", "--seed", 1, "--label")
    assert "name it on the command line too: --model net.py:Net" in refused(*weights_of, "half", *plugin)
    assert "unknown scheme 'half'" in refused(*weights_of, "half", *own)
    assert "schemes from elsewhere cannot be written as Python" in refused(
        "export", run, "--to", "python", "--label", "half"
    )
    for label in ("half", "orthogonal"):
        assert winit(*weights_of, label, *own, *plugin).exit_code == 0
    assert winit("export", run, "--to", "python", "--label", "orthogonal").exit_code == 0
    names: dict[str, Any] = {"__name__": "init_orthogonal"}
    exec(compile(Path("init_orthogonal.py").read_text(), "init_orthogonal.py", "exec"), names)
    exec(compile(NET, "net.py", "exec"), names)
    model = names["Net"](8, 3)
    names["init_weights"](model, 1)
    assert all(torch.equal(model.state_dict()[n], v) for n, v in load_file("orthogonal-seed1.safetensors").items())
    assert load_file("half-seed1.safetensors")["body.weight"].min() >= 0


def test_a_refused_table_is_told_by_the_place_of_all(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = winit("export", "one", "tables", "--to", "csv")
    assert result.exit_code == 1 and "cannot write tables: No space left on device." in result.stderr
    assert not Path("tables").exists()


def test_an_unknown_format_is_refused_with_those_that_there_are(there: Path) -> None:
    formats = "python, safetensors, csv, parquet, tensorboard"
    assert refused("export", "one", "--to", "parquett") == (
        f"--to: no format 'parquett'; did you mean 'parquet'? (known: {formats})"
    )
    assert refused("export", "one", "--to", "excel") == f"--to: no format 'excel'; known: {formats}"
