"""The Python interface: winit.init, winit.compare, winit.schemes."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from zoo import Zoo, fill

import winit_cli as winit
from winit_cli.api import progress
from winit_cli.errors import ConfigError, DataError, UsageError
from winit_cli.plots import PLOTS
from winit_cli.schemes import SCHEMES
from winit_cli.sizes import MEMORY

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(120, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)


class Net(nn.Module):
    """A net with dropout, which draws from the global generator."""

    def __init__(self, in_features: int, num_classes: int, hidden: int = 6) -> None:
        super().__init__()
        self.first = nn.Linear(in_features, hidden)
        self.last = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(nn.functional.dropout(torch.relu(self.first(x)), training=self.training))
        return out


def small(model: Any = Net, data: Any = (X, Y), schemes: Any = ("as_built", "zeros"), **more: Any) -> winit.Comparison:
    settings = {"seeds": 2, "steps": 4, "train": {"batch_size": 16}, "progress": False, "results": "results"} | more
    return winit.compare(model, data, schemes, **settings)


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_names_are_sorted_and_all_there() -> None:
    assert winit.__all__ == sorted(winit.__all__)
    assert all(getattr(winit, name) is not None and name in dir(winit) for name in winit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'compar'"):
        _ = winit.compar  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, winit_cli; print([m for m in ('torch', 'pandas', 'numpy', 'typer') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_schemes_is_a_table_of_all_of_them_before_and_after_its_package_is_imported() -> None:
    code = "import winit_cli as w; a = w.schemes(); import winit_cli.schemes; print(len(a), len(w.schemes()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(SCHEMES)} {len(SCHEMES)}\n"
    assert list(winit.schemes()["name"]) == list(SCHEMES)


@pytest.mark.parametrize("name", ["kaiming_normal", "orthogonal", "pytorch_default", "zeros"])
def test_init_fills_as_a_run_does(name: str) -> None:
    mine, theirs = Zoo(), Zoo()
    table = winit.init(mine, name, seed=3, fallback={"scheme": "constant", "val": 0.25})
    fill(theirs, name, seed=3)
    for key, value in theirs.state_dict().items():
        assert torch.equal(mine.state_dict()[key], value), key
    assert list(table["param"]) == [key for key, _ in mine.named_parameters()]
    assert list(table.columns[:4]) == ["param", "shape", "scheme", "rule"] and table["sha256"].str.len().eq(64).all()


def test_init_takes_entries_and_aliases_and_the_meaning_of_auto() -> None:
    net = Net(5, 3)
    table = winit.init(net, {"rules": [{"params": "last.*", "scheme": "zeros"}], "others": "kaiming"})
    assert list(table["scheme"]) == ["kaiming_normal", "zeros", "zeros", "zeros"]
    table = winit.init(net, "xavier", gain="auto", activation="relu", bias="default")
    assert table["gain"][0] == pytest.approx(2**0.5) and table["scheme"][1] == "pytorch_default"
    with pytest.raises(ConfigError, match=r"gain: auto means the model's activation.*name it, e\.g\. gain: relu"):
        winit.init(net, "xavier", gain="auto")
    with pytest.raises(ConfigError, match="did you mean 'kaiming_normal'"):
        winit.init(net, "kaimin_normal")
    with pytest.raises(ConfigError, match="has no option 'gian'"):
        winit.init(net, "xavier", gian=1)


def test_init_leaves_all_global_generators_alone() -> None:
    net = Net(5, 3)
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()
    lazy = nn.Sequential(nn.LazyLinear(4), nn.Dropout(), nn.LazyBatchNorm1d())
    winit.init(lazy, "kaiming_normal", batch=torch.zeros(3, 7))
    winit.init(net, "pytorch_default")
    assert torch.equal(before[0], torch.get_rng_state()) and random.getstate() == before[2]
    assert np.random.get_state()[1].tobytes() == before[1]


def test_init_gives_lazy_modules_their_shapes_from_a_batch() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
    with pytest.raises(UsageError, match=r"0\.weight has no shape before a first forward pass; give a batch"):
        winit.init(lazy, "kaiming_normal")
    table = winit.init(lazy, "kaiming_normal", batch=torch.zeros(2, 3, 8, 8))
    assert list(table["shape"]) == ["4x3x3x3", "4", "2x144", "2"]
    assert lazy.training


def test_compare_gives_tables_and_figures() -> None:
    found = small(schemes=["as_built", {"scheme": "normal", "std": 0.1, "label": "n"}, "zeros"])
    assert list(found.trials["label"]) == ["as_built"] * 2 + ["n"] * 2 + ["zeros"] * 2
    assert set(found.table["label"]) == {"as_built", "n", "zeros"}
    assert set(found.comparisons["label_a"]) == {"n", "zeros"}
    assert set(found.gradients["param"]) == {"first.weight", "first.bias", "last.weight", "last.bias"}
    for name in ("curves", "init", "summary", "probe", "verdicts"):
        assert len(getattr(found, name)) == len((found.directory / f"{name}.csv").read_text().splitlines()) - 1
    assert found.plot("loss")._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="did you mean 'loss'"):
        found.plot("los")
    assert "<table" in found._repr_html_() and "as_built" in repr(found) and str(found.directory) in repr(found)
    assert found.report().is_file()
    drawn = {path.stem for path in (found.directory / "figures").glob("*.png")}
    assert {"loss", "final_metric", "probe_signal"} <= drawn <= {plot.name for plot in PLOTS}
    assert all(found.plot(name) is not None for name in drawn)


def test_compare_replays_though_the_model_draws_from_global_generators() -> None:
    torch.manual_seed(1)
    first = small(schemes=["as_built", "kaiming_normal"])
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = small(schemes=["kaiming_normal", "as_built"])
    assert torch.equal(state, torch.get_rng_state())
    for label in ("as_built", "kaiming_normal"):
        one, two = (f.curves[f.curves["label"] == label].reset_index(drop=True) for f in (first, second))
        assert one.equals(two)


def test_objects_in_memory_are_trained_again_and_names_are_not() -> None:
    assert small().directory != small().directory
    by_name = [small(model="mlp", data="digits") for _ in range(2)]
    assert by_name[0].directory == by_name[1].directory


@pytest.mark.parametrize(
    "model",
    [
        lambda input_shape, outputs: nn.Linear(input_shape[0], outputs),
        nn.Linear(5, 3),
        {"name": Net, "hidden": 3},
        {"name": "mlp", "width": 4},
    ],
    ids=["function", "module", "mapping", "ours"],
)
def test_kinds_of_models(model: Any) -> None:
    assert len(small(model).table) == 2


def test_a_module_given_as_it_is_starts_from_its_own_weights_in_every_trial() -> None:
    net = nn.Linear(5, 3)
    weights = net.weight.detach().clone()
    found = small(net, schemes=["as_built"])
    assert torch.equal(net.weight, weights)
    assert found.trials["init_hash"].nunique() == 1


def test_kinds_of_data(tmp_path: Path) -> None:
    np.savez("d.npz", x_train=X[:80], y_train=Y[:80], x_test=X[80:], y_test=Y[80:])
    parts = (X[:80], Y[:80], X[80:], Y[80:])
    by_file = [small("mlp", data).trials["final_test_loss"].tolist() for data in ("d.npz", Path("d.npz"))]
    assert by_file[0] == by_file[1]
    assert len(small("mlp", parts).table) == len(small("mlp", tuple(map(torch.tensor, parts))).table) == 2
    found = small("mlp", winit.dataset(X, X[:, :2], normalize=False), schemes=["lecun_normal"])
    assert found.run.data["task"] == "regression" and "accuracy" not in repr(found)
    with pytest.raises(DataError, match=r"data is int, expected a name, a path, \(x, y\)"):
        small("mlp", 3)


def test_a_loss_of_ones_own() -> None:
    def doubled(out: Tensor, y: Tensor) -> Tensor:
        return 2 * nn.functional.cross_entropy(out, y)

    plain, own = small("mlp"), small("mlp", loss=doubled)
    first = [f.curves.query("step == 0 and split == 'test'")["loss"] for f in (plain, own)]
    assert first[1].tolist() == pytest.approx((2 * first[0]).tolist())
    assert own.run.data["constant_loss"] == pytest.approx(2 * plain.run.data["constant_loss"], rel=1e-3)
    assert small("mlp", (X, X[:, 0]), loss=nn.HuberLoss).run.config["train"]["loss"] == "python:HuberLoss"


def test_all_faults_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        small(schemes=["as_bilt"], trian={}, lr=-1)
    text = str(caught.value)
    assert "unknown key 'trian'" in text and "unknown scheme 'as_bilt'" in text and "train.lr" in text


@pytest.mark.parametrize("memory", ["1GiB", 2**30, np.int64(2**30)])
def test_a_budget_of_memory(memory: Any) -> None:
    assert small("mlp", memory=memory).run.env["memory_budget_bytes"] == 2**30
    assert small("mlp", seeds=1).run.env["memory_budget_bytes"] == MEMORY


@pytest.mark.parametrize("memory", ["lots", "", 0, -1, 2.5, True, ["8GiB"]])
def test_what_is_no_budget_of_memory(memory: Any) -> None:
    with pytest.raises(UsageError, match=r"^memory .*: expected a size like 512MiB, 8GiB, 8GB or a number of bytes"):
        small("mlp", memory=memory)
    assert not Path("results").exists()


def test_a_failed_trial_is_warned_of() -> None:
    def fails_later(in_features: int, outputs: int) -> nn.Module:
        class Counting(nn.Linear):
            calls = 0

            def forward(self, x: Tensor) -> Tensor:
                self.calls += 1
                if self.calls > 5:
                    raise RuntimeError("worn out")
                return super().forward(x)

        return Counting(in_features, outputs)

    with pytest.warns(UserWarning, match=r"2 trials failed, the first: zeros/0.05/0 failed: .*RuntimeError: worn out"):
        small(fails_later, schemes=["zeros"])


def test_progress_in_a_notebook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    handle = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(HTML=str, display=lambda first, display_id: handle)
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0)
    small(progress=True)
    assert "4/4 trials, 100 %" in shown[-1] and "<progress" in shown[-1]
    assert capsys.readouterr() == ("", "")
