"""`winit export RUN --to tensorboard`, read back by TensorBoard's own readers."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commands import refused, winit, winit_json, write
from safetensors.torch import load_file

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from winit_cli.export import starts
from winit_cli.store.digest import sign

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, in_features, num_classes):
        super().__init__()
        self.head = nn.Linear(in_features, num_classes)

    def forward(self, x):
        return self.head(x)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two depths, rates and seeds, in which one label diverges."""
    home = tmp_path_factory.mktemp("home")
    schemes = ["kaiming_normal", "zeros", {"scheme": "normal", "label": "too large", "std": 1e30}]
    train = {"lr": [0.1, 0.2], "batch_size": 16, "steps": 4}
    config = write(
        home / "c.yaml", name="many", schemes=schemes, train=train, vary={"model.depth": [1, 2]}, measure={"probe": 0}
    )
    assert winit("run", config, "--results", home / "results").exit_code == 0
    return home


@pytest.fixture(scope="module")
def events(home: Path) -> Path:
    """What is exported of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert winit_json("export", "many", "events", "--to", "tensorboard") == {"written": "events"}
    return home / "events"


def run_of(home: Path) -> Path:
    (found,) = (home / "results").iterdir()
    return found


def read(folder: Path) -> EventAccumulator:
    """All events of one trial."""
    found = EventAccumulator(str(folder), size_guidance=dict.fromkeys(("scalars", "histograms"), 0))
    return found.Reload()


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = read(folder)
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def groups(folder: Path) -> tuple[Any, Any]:
    """The experiment and the session groups, as the HParams view asks for them."""
    there = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    provider = MultiplexerDataProvider(there, str(folder))
    asked = backend_context.Context(TBContext(data_provider=provider, multiplexer=there, logdir=str(folder)))
    request = context.RequestContext()
    experiment = get_experiment.Handler(request, asked, "", api_pb2.GetExperimentRequest()).run()
    wanted = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=[api_pb2.STATUS_SUCCESS])
    for info in experiment.metric_infos:
        wanted.col_params.add().metric.CopyFrom(info.name)
    return experiment, list_session_groups.Handler(request, asked, "", wanted).run()


def test_every_trial_has_a_directory_of_its_name(home: Path, events: Path) -> None:
    trials = pd.read_csv(run_of(home) / "trials.csv")["trial"]
    written = [path.parent.relative_to(events).as_posix() for path in events.rglob("*") if path.is_file()]
    assert sorted(written) == sorted(trials)
    assert len(trials) == 3 * 2 * 2 * 2


def test_curves_and_finals_are_those_of_the_run(home: Path, events: Path) -> None:
    run = run_of(home)
    curves, gradients = (pd.read_csv(run / f"{name}.csv") for name in ("curves", "gradients"))
    for trial in pd.read_csv(run / "trials.csv").itertuples():
        wanted: dict[str, list[tuple[int, float]]] = {}
        for row in curves[curves["trial"] == trial.trial].itertuples():
            wanted.setdefault(f"loss/{row.split}", []).append((row.step, row.loss))
            wanted.setdefault(f"accuracy/{row.split}", []).append((row.step, row.accuracy))
        for row in gradients[gradients["trial"] == trial.trial].itertuples():
            wanted.setdefault(f"grad_norm/{row.param}", []).append((row.step, row.grad_norm))
        for name in ("final_train_loss", "final_test_loss", "final_test_accuracy"):
            if not np.isnan(getattr(trial, name)):
                wanted[name] = [(4, getattr(trial, name))]
        found = scalars(events / trial.trial)
        assert found.keys() == wanted.keys()
        for tag, points in found.items():
            np.testing.assert_allclose(points, wanted[tag], rtol=1e-6, err_msg=f"{trial.trial} {tag}")


def test_histograms_are_of_the_weights_at_the_start(home: Path, events: Path, there: Path) -> None:
    options = ("--label", "kaiming_normal@depth=2", "--seed", 1, "--lr", 0.1)
    assert winit("export", "many", "weights", "--to", "safetensors", *options).exit_code == 0
    weights = load_file("weights")
    for lr in (0.1, 0.2):
        found = read(events / f"kaiming_normal@depth=2/{lr}/1")
        assert set(found.Tags()["histograms"]) == {f"start/{name}" for name in weights}
        for name, tensor in weights.items():
            (event,) = found.Histograms(f"start/{name}")
            value, numbers = event.histogram_value, tensor.double()
            assert event.step == 0
            assert (value.min, value.max, value.num) == (numbers.min(), numbers.max(), numbers.numel())
            assert (value.sum, value.sum_squares) == pytest.approx(
                (numbers.sum().item(), numbers.square().sum().item())
            )
            assert value.bucket_limit[-1] == value.max and sum(value.bucket) == value.num
            below = [(numbers <= limit * (1 + 1e-12)).sum().item() for limit in value.bucket_limit]
            assert np.abs(np.cumsum(value.bucket) - below).max() <= 1, "values on an edge belong to either side"


def test_histograms_of_equal_and_of_infinite_values() -> None:
    equal = starts.histogram(torch.full((2, 3), 0.5))
    assert equal == starts.Histogram(6, 0.5, 0.5, 3.0, 1.5, [0.5], [6.0])
    some = starts.histogram(torch.tensor([1.0, torch.inf, 3.0, torch.nan]))
    assert some is not None and (some.size, some.low, some.high, sum(some.counts)) == (2, 1.0, 3.0, 2)
    assert starts.histogram(torch.tensor([torch.nan])) is None


def test_the_hparams_view_has_every_trial(home: Path, events: Path) -> None:
    experiment, found = groups(events)
    assert {info.name for info in experiment.hparam_infos} == {"label", "scheme", "lr", "seed", "model.depth"}
    assert [info.name.tag for info in experiment.metric_infos] == [
        *("final_train_loss", "final_test_loss", "final_test_accuracy")
    ]
    (rates,) = (info for info in experiment.hparam_infos if info.name == "lr")
    assert [value.number_value for value in rates.domain_discrete.values] == [0.1, 0.2]
    trials = pd.read_csv(run_of(home) / "trials.csv").set_index("trial")
    assert {group.name for group in found.session_groups} == set(trials.index)
    for group in found.session_groups:
        trial = trials.loc[group.name]
        assert group.hparams["label"].string_value == trial["label"]
        assert group.hparams["scheme"].string_value == trial["scheme"]
        assert (group.hparams["lr"].number_value, group.hparams["seed"].number_value) == (trial["lr"], trial["seed"])
        assert group.hparams["model.depth"].number_value == int(trial["label"][-1])
        metrics = {metric.name.tag: metric.value for metric in group.metric_values}
        assert metrics == pytest.approx(trial[list(metrics)].to_dict(), rel=1e-6)
        assert len(metrics) == (0 if trial["status"] == "diverged" else 3)


def test_two_exports_are_identical(events: Path, there: Path) -> None:
    assert winit("export", "many", "again", "--to", "tensorboard").exit_code == 0
    for path in (path for path in events.rglob("*") if path.is_file()):
        assert Path("again", path.relative_to(events)).read_bytes() == path.read_bytes()


def copy_of(home: Path, folder: Path, sql: str, *, signed: bool) -> Path:
    folder.mkdir()
    (folder / "run.sqlite").write_bytes((run_of(home) / "run.sqlite").read_bytes())
    connection = sqlite3.connect(folder / "run.sqlite")
    with connection:
        connection.execute(sql)
        if signed:
            sign(connection, [0])
    connection.close()
    return folder


def test_weights_that_come_out_otherwise_have_no_histograms(home: Path, there: Path) -> None:
    changed = copy_of(home, there / "changed", "UPDATE trials SET init_hash = 'x' WHERE id = 0", signed=True)
    found = winit_json("export", changed, "some", "--to", "tensorboard")
    assert found["notes"] == [
        "without histograms of the weights at the start, which come out otherwise here: kaiming_normal@depth=1/0.1/0"
    ]
    assert read(Path("some/kaiming_normal@depth=1/0.1/0")).Tags()["histograms"] == []
    assert len(read(Path("some/kaiming_normal@depth=1/0.1/1")).Tags()["histograms"]) == 4


def test_a_damaged_trial_is_left_out_and_said(home: Path, there: Path) -> None:
    damaged = copy_of(home, there / "damaged", "UPDATE curves SET loss = 9 WHERE trial_id = 0", signed=False)
    result = winit("export", damaged, "some", "--to", "tensorboard")
    assert result.exit_code == 1
    assert "left out as damaged: trial kaiming_normal@depth=1/0.1/0" in result.stderr
    assert not Path("some/kaiming_normal@depth=1/0.1/0").exists()
    assert len([path for path in Path("some").rglob("*") if path.is_file()]) == 23


def test_without_the_users_code_there_are_curves(there: Path) -> None:
    Path("net.py").write_text(NET)
    config = write(Path("c.yaml"), schemes=["zeros"], seeds=1, measure={"probe": 0})
    own = ("--model", "net.py:Net")
    assert winit("run", config, *own, "--results", "results").exit_code == 0
    (run,) = Path("results").iterdir()
    result = winit("export", run, "plain", "--to", "tensorboard")
    assert result.exit_code == 0
    assert "without histograms of the weights at the start: " in result.stderr
    assert "name it on the command line too: --model net.py:Net" in " ".join(result.stderr.split())
    assert read(Path("plain/zeros/0.1/0")).Tags()["histograms"] == []
    assert winit_json("export", run, "whole", "--to", "tensorboard", *own) == {"written": "whole"}
    found = read(Path("whole/zeros/0.1/0")).Tags()
    assert found["histograms"] == ["start/head.weight", "start/head.bias"]
    assert found["scalars"] == read(Path("plain/zeros/0.1/0")).Tags()["scalars"]


def test_mistakes_are_refused(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there / "mine").write_text("mine")
    assert "mine exists and is left as it is" in refused("export", "many", "mine", "--to", "tensorboard")
    assert "--label does not go with --to tensorboard" in refused(
        "export", "many", "--to", "tensorboard", "--label", "x"
    )
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    message = refused("export", "many", "--to", "tensorboard")
    assert message == (
        "--to tensorboard needs tensorboard, which is not installed here; get it with: pip install 'winit[tensorboard]'"
    )
