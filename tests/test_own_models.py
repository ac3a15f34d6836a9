"""A user's own network, data and loss on the command line."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands import refused, runs, tables, winit, winit_json
from own import SCHEMES, SMALL, net, write_files
from pandas import DataFrame, read_csv

BASE = ("compare", "--data", "d.npz", *SMALL)


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)


def compare(model: str = "net.py:Net", *more: object, schemes: str = SCHEMES) -> Path:
    """The directory of the run of a comparison that must succeed."""
    found = winit_json(*BASE, "--model", model, "--schemes", schemes, *more)
    assert found["state"] == "complete", found
    return Path(found["run"])


def said(model: str = "net.py:Net", *more: object, schemes: str = SCHEMES) -> str:
    return refused(*BASE, "--model", model, "--schemes", schemes, *more)


def table(run: Path, name: str) -> DataFrame:
    return read_csv(run / f"{name}.csv", keep_default_na=False)


@pytest.mark.parametrize("model", ["net.py:Net", "net.py:plain", "net.py:made"])
def test_a_class_a_function_and_a_module(model: str) -> None:
    run = compare(model)
    assert set(table(run, "trials")["status"]) == {"ok"}
    assert "hello" not in (run / "trials.csv").read_text()


def test_options_reach_the_constructor_and_are_checked() -> None:
    run = compare("net.py:Net", "-s", "model.hidden=3")
    assert set(table(run, "init").query("param == 'head.weight'")["shape"]) == {"3x3"}
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["hidden"] == 3
    assert "gives (16, 7) for a batch of 16, expected (16, 3)" in said("net.py:Net", "-s", "model.num_classes=7")
    assert "unknown key 'hiden'; did you mean 'hidden'?" in said("net.py:Net", "-s", "model.hiden=3")
    assert "model.hidden: must be a whole number" in said("net.py:Net", "-s", "model.hidden=big")
    assert "unknown key 'act'" in said("net.py:Net", "-s", "model.act=relu")
    Path("net.py").write_text(net("return self.layer(x)", "def __init__(self, in_features, num_classes, depth):"))
    assert "needs the option 'depth', which has no default" in said()
    assert len(table(compare("net.py:Net", "-s", "model.depth=1"), "trials")) == 4


def test_keyword_arguments_are_handed_on() -> None:
    Path("net.py").write_text(
        "from torch import nn\ndef f(in_features, **kw):\n    return nn.Linear(in_features, **kw)\n"
    )
    run = compare("net.py:f", "-s", "model.out_features=3", "-s", "model.bias=false")
    assert set(table(run, "init")["param"]) == {"weight"}


def test_as_built_is_the_constructor_seeded_by_the_trial() -> None:
    alone = table(compare(schemes="as_built"), "trials").set_index("seed")["init_hash"]
    other = table(compare(schemes=f"zeros:others=as_built,{SCHEMES}"), "init")
    beside = table(compare(schemes=f"zeros:others=as_built,{SCHEMES}"), "trials")
    assert alone[0] != alone[1]
    assert list(beside.query("label == 'as_built'")["init_hash"]) == list(alone)
    kept = other.query("param == 'shift'")
    assert set(kept["scheme"]) == {"as_built"} and (kept.groupby("seed")["sha256"].nunique() == 1).all()
    assert kept["sha256"].nunique() == 2


def test_a_run_replays_though_the_net_draws_from_every_global_generator() -> None:
    first = compare()
    kept = tables(first)
    torch.manual_seed(5)
    np.random.seed(6)
    random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    again = compare("net.py:Net", "--fresh")
    assert again != first and tables(again) == kept
    assert torch.equal(before[0], torch.get_rng_state()) and random.getstate() == before[2]
    assert np.random.get_state()[1].tobytes() == before[1]


def test_results_do_not_depend_on_which_other_trials_there_are() -> None:
    first = table(compare(schemes="kaiming:others=as_built"), "curves")
    other = table(compare("net.py:Net", "--fresh", schemes=f"ones:others=as_built,{SCHEMES}"), "curves")
    mine = other[other["label"] == "kaiming others=as_built"].reset_index(drop=True)
    assert mine.equals(first)


def test_a_constructor_that_sets_the_global_seed_is_seeded_by_the_trial_all_the_same() -> None:
    Path("net.py").write_text(
        "import torch\nfrom torch import nn\ndef f(in_features, num_classes):\n    torch.manual_seed(0)\n"
        "    return nn.Linear(in_features, num_classes)\n"
    )
    state = torch.get_rng_state()
    assert table(compare("net.py:f", schemes="as_built"), "trials")["init_hash"].nunique() == 2
    assert torch.equal(state, torch.get_rng_state())


def test_rules_to_paste_work_when_they_are_pasted() -> None:
    text = said(schemes="as_built,kaiming,orthogonal")
    assert text.startswith("--schemes kaiming: label kaiming, orthogonal: no rule covers shift (5,); keep what")
    block: dict[str, Any] = yaml.safe_load(text.partition("\n")[2])
    config = {
        "model": "net.py:Net",
        "data": {"name": "npz", "path": "d.npz"},
        "schemes": [{"label": "mine", **block}, {"scheme": "orthogonal", "others": "as_built"}],
        "train": {"steps": 2, "batch_size": 16},
        "seeds": 1,
    }
    Path("c.yaml").write_text(yaml.safe_dump(config))
    found = table(Path(winit_json("run", "c.yaml", "--model", "net.py:Net")["run"]), "init")
    assert list(found.query("param == 'shift'")["rule"]) == ["rules.0", "others"]
    assert set(found.query("param == 'head.weight' and label == 'mine'")["scheme"]) == {"kaiming_normal"}


def test_frozen_parameters_have_no_gradient_and_tied_ones_stay_tied() -> None:
    Path("net.py").write_text(
        net("return self.layer(self.tied(self.first(x)) + self.fixed(x))").replace(
            "        self.layer =",
            "        self.fixed = nn.Linear(in_features, in_features).requires_grad_(False)\n"
            "        self.first = nn.Linear(in_features, in_features)\n"
            "        self.tied = nn.Linear(in_features, in_features)\n"
            "        self.tied.weight = self.first.weight\n"
            "        self.layer =",
        )
    )
    run = compare(schemes="kaiming,as_built")
    init, gradients = table(run, "init"), table(run, "gradients")
    assert set(gradients["param"]) == {"first.weight", "first.bias", "tied.bias", "layer.weight", "layer.bias"}
    assert set(init.query("param.str.startswith('fixed')")["rule"]) == {"frozen"}
    assert set(init.query("param == 'tied.weight'")["rule"]) == {"tied to first.weight"}
    assert len(init) == 4 * 8 and (gradients["grad_norm"].astype(float) > 0).all()


def test_gradients_stand_beside_the_right_parameters() -> None:
    """A layer that the output does not depend on has gradient 0, whatever stands around it."""
    Path("net.py").write_text(
        net("return self.layer(x + self.twin(self.one(x))) + 0 * self.unused(x)[:, :1]").replace(
            "        self.layer =",
            "        self.one = nn.Linear(in_features, in_features, bias=False)\n"
            "        self.twin = nn.Linear(in_features, in_features, bias=False)\n"
            "        self.twin.weight = nn.Parameter(self.one.weight.data)  # other parameter, same memory\n"
            "        self.frozen = nn.Linear(2, 2).requires_grad_(False)\n"
            "        self.unused = nn.utils.parametrizations.weight_norm(nn.Linear(in_features, 4))\n"
            "        self.layer =",
        )
    )
    found = table(compare(schemes="kaiming"), "gradients").groupby("param")["grad_norm"].max().to_dict()
    zero = {"unused.bias", *(f"unused.parametrizations.weight.original{i}" for i in range(2))}
    assert {name for name, norm in found.items() if norm == 0} == zero
    assert set(found) == {"one.weight", "twin.weight", "layer.weight", "layer.bias", *zero}


def test_an_edited_file_never_serves_old_results_and_an_unedited_one_does() -> None:
    first = compare()
    assert (
        compare() == first
        and "complete already" in winit(*BASE[:-1], "--model", "net.py:Net", "--schemes", SCHEMES).stderr
    )
    parts = Path("parts.py").read_text()
    Path("parts.py").write_text(parts.replace("x * 2.0", "x * 3.0"))  # of the same size, within the same second
    second = compare()
    assert second != first
    assert set(table(second, "trials")["copied_from"]) == {""}
    assert not table(second, "curves").equals(table(first, "curves"))
    Path("parts.py").write_text(parts)
    assert compare() == first
    Path("net.py").write_text(Path("net.py").read_text().replace("0.01", "0.02"))
    assert compare() not in (first, second)


def test_modules_imported_inside_functions_and_from_packages_count() -> None:
    Path("pack").mkdir()
    Path("pack/__init__.py").write_text("")
    Path("pack/inner.py").write_text("WIDTH = 4\n")
    Path("pack/outer.py").write_text("from .inner import WIDTH\n")
    Path("net.py").write_text(
        "def f(in_features, num_classes):\n    from torch import nn\n    from pack.outer import WIDTH\n"
        "    return nn.Sequential(nn.Linear(in_features, WIDTH), nn.Linear(WIDTH, num_classes))\n"
    )
    first = compare("net.py:f")
    Path("pack/inner.py").write_text("WIDTH = 5\n")
    second = compare("net.py:f")
    assert first != second
    assert set(table(second, "init").query("param == '0.weight'")["shape"]) == {"5x5"}


def test_a_yaml_never_loads_code() -> None:
    run = compare()
    text = refused("run", run / "config.yaml")
    assert text.endswith(
        "model.name: net.py:Net is code, which a YAML alone never loads; "
        "name it on the command line too: --model net.py:Net"
    )
    assert Path(winit_json("run", run / "config.yaml", "--model", "net.py:Net")["run"]) == run
    assert winit("check", run / "config.yaml", "--model", "net.py:Net").exit_code == 0


def test_model_on_the_command_line_replaces_that_of_a_config() -> None:
    Path("c.yaml").write_text(
        "model: {name: mlp, width: 3}\ndata: {name: npz, path: d.npz}\nschemes: [zeros]\n"
        "train: {steps: 2, batch_size: 8}\nseeds: 1\n"
    )
    run = Path(winit_json("run", "c.yaml", "--model", "net.py:plain", "-s", "model.bias=false")["run"])
    assert set(table(run, "init")["param"]) == {"1.weight"}


def test_what_a_users_code_prints_does_not_spoil_the_document() -> None:
    found = winit(*BASE, "--model", "net.py:plain", "--schemes", "zeros", "--json")
    assert json.loads(found.stdout)["state"] == "complete"
    assert "hello from the user" in found.stderr


def test_a_loss_of_ones_own() -> None:
    plain = table(compare("net.py:plain", schemes="zeros"), "curves")
    run = compare("net.py:plain", "--loss", "net.py:my_loss", schemes="zeros")
    own = table(run, "curves")
    assert own["loss"][0] == pytest.approx(3 * plain["loss"][0]) and own["accuracy"][0] == plain["accuracy"][0]
    assert "is code, which a YAML alone never loads" in refused("run", run / "config.yaml", "--model", "net.py:plain")
    again = winit_json("run", run / "config.yaml", "--model", "net.py:plain", "--loss", "net.py:my_loss")
    assert Path(again["run"]) == run


def test_a_loss_that_takes_other_outputs_and_goes_negative() -> None:
    Path("g.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def net(in_features): return nn.Linear(in_features, 2)\n"
        "def nll(out, y): return (out[:, 1] + (y - out[:, 0]) ** 2 / (2 * out[:, 1].exp() ** 2)).mean() - 5\n"
    )
    run = compare("g.py:net", "--loss", "g.py:nll", "--lr", "0.001", schemes="zeros,kaiming")
    trials = table(run, "trials")
    assert set(trials["final_test_accuracy"]) == {""} and (trials["final_test_loss"] < 0).all()
    assert set(trials["outcome"]) <= {"learned", "stuck"}
    assert "accuracy" not in winit(*BASE[:-1], "--model", "g.py:net", "--loss", "g.py:nll", "--schemes", "zeros").stdout


def test_a_loss_by_name_must_fit_the_data() -> None:
    assert "train.loss mse fits regression, but the data is for classification" in said("mlp", "--loss", "mse")
    assert "unknown loss 'mce'; did you mean 'mse'?" in said("mlp", "--loss", "mce")
    named, unnamed = compare("mlp", "--loss", "cross_entropy", schemes="zeros"), compare("mlp", schemes="zeros")
    assert named == unnamed


def test_gain_auto_needs_a_named_activation() -> None:
    assert "gain: auto means the model's activation, which this model does not name" in said(schemes="xavier:gain=auto")
    Path("net.py").write_text(
        net("return self.layer(x)", "def __init__(self, in_features, num_classes, activation='tanh'):")
    )
    found = table(compare(schemes="xavier:gain=auto"), "init").query("param == 'layer.weight'")
    assert list(found["gain"].astype(float)) == pytest.approx([5 / 3] * 2)


def test_a_constructor_that_cannot_be_seeded_is_told_of() -> None:
    Path("net.py").write_text(
        net("return self.layer(x) * self.scale").replace(
            "        self.layer =",
            "        import numpy as np\n"
            "        self.scale = nn.Parameter(torch.tensor(np.random.default_rng().normal()).float())\n"
            "        self.layer =",
        )
    )
    noted = winit(*BASE[:-1], "--model", "net.py:Net", "--schemes", "as_built").stderr
    assert "does not make the same scale from one seed: as_built will not replay" in noted


def test_trials_that_fail_later_are_told_with_their_line() -> None:
    Path("net.py").write_text(
        net("self.n += 1\n        if self.n > 4: raise RuntimeError('worn')\n        return self.layer(x)").replace(
            "        self.layer =", "        self.n = 0\n        self.layer ="
        )
    )
    found = winit(*BASE, "--model", "net.py:Net", "--schemes", "zeros")
    assert found.exit_code == 1 and "zeros/0.05/0 failed: net.py:13: RuntimeError: worn" in found.stderr
    assert len(runs()) == 1
