"""The budget of memory: what is accepted, how it divides trials, and that a run keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import refused, winit, winit_json, write
from small import Heard, bytes_of, plan_of, run_of

from winit_cli import orders
from winit_cli.engine import stacks
from winit_cli.engine.division import bytes_by_stack, bytes_of_trial, division
from winit_cli.errors import UsageError
from winit_cli.runner import How, run_plan
from winit_cli.sizes import MEMORY, parse_size
from winit_cli.store.reading import FILE
from winit_cli.store.runs import run_facts
from winit_cli.store.store import Store

STACKED = ("engine=stacked", "schemes=[kaiming_normal, zeros, ones]", "seeds=4", "model.width=90")
SIZES = {
    "512MiB": 512 * 2**20,
    "8GiB": 8 * 2**30,
    "8 gib": 8 * 2**30,
    "8GB": 8 * 10**9,
    "1.5GiB": 3 * 2**29,
    "2TB": 2 * 10**12,
    "1048576": 2**20,
    "1048576kB": 2**20 * 1000,
}
NO_SIZES = ["0", "8", "-1", "-8GiB", "1e9", "lots", "", "nan", "inf", "GiB", "8G", "8XiB", "٨GiB", "1_000_000_000"]
NO_SIZES += ["0.5MiB", "2000TiB", "9" * 5000, "1,5GiB", "8GiB 8GiB", "0x1000000"]


class Stop(BaseException):
    """Something that ends the process, like Ctrl-C."""


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "--memory") == size


@pytest.mark.parametrize("text", NO_SIZES, ids=lambda text: text[:10])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match=r"--memory .*: expected a size like 512MiB, 8GiB, 8GB or a number") as found:
        parse_size(text, "--memory")
    assert len(str(found.value)) < 250


@pytest.mark.usefixtures("no_sets")
@pytest.mark.parametrize("command", ["run", "check", "compare"])
def test_a_fault_is_one_message(command: str) -> None:
    write(Path("c.yaml"))
    what = ["--schemes", "zeros", "--data", "gaussian"] if command == "compare" else ["c.yaml"]
    assert refused(command, *what, "--memory=-1").startswith("--memory -1: expected a size like 512MiB, 8GiB")


@pytest.mark.usefixtures("no_sets")
@pytest.mark.parametrize("command", ["run", "check", "compare"])
def test_the_help_states_the_default(command: str) -> None:
    text = " ".join(winit(command, "--help").stdout.replace("│", " ").split())
    assert "default: 8GiB" in text and parse_size("8GiB", "--memory") == MEMORY


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_what_trains_at_once_is_within_the_budget(threads: int) -> None:
    plan = plan_of(*STACKED)
    one = bytes_of_trial(plan.settings[0])
    for trials_that_fit in (1, 2, 3, 7, 20):
        made = division(plan, range(12), trials_that_fit * one, threads)
        assert made.at_once == min(threads, trials_that_fit)
        together = sorted(bytes_by_stack(plan, made.stacks))[-made.at_once :]
        assert sum(together) <= made.budget
        assert sorted(position for stack in made.stacks for position in stack) == list(range(12))


def test_nothing_trains_beside_a_trial_by_itself() -> None:
    """A user's code, say, which may draw from global generators."""
    stacked, serial = plan_of(*STACKED), plan_of(*STACKED, "engine=serial")
    mixed = replace(stacked, settings=stacked.settings + serial.settings)
    assert (mixed.engine, division(mixed, range(24), MEMORY, 4).at_once) == ("serial", 1)
    assert division(stacked, range(12), MEMORY, 4).at_once == 4


@pytest.mark.parametrize(
    "settings",
    [
        ("model={name: mlp, width: 9, depth: 2, norm: batch}",),
        ("model={name: cnn, channels: [4, 6], norm: batch}", "data={name: digits, train_size: 50, test_size: 20}"),
        ("model={name: lstm, hidden: 7}", "data={name: adding, length: 6, train_size: 50, test_size: 20}"),
    ],
)
def test_large_models_are_estimated_alike(settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    setting = plan_of(*settings).settings[0]
    wanted = bytes_of_trial(setting)
    monkeypatch.setattr(stacks, "QUICK", 0)
    assert bytes_of_trial(setting) == wanted


@pytest.mark.usefixtures("no_sets")
def test_a_model_larger_than_any_memory_is_checked() -> None:
    write(Path("c.yaml"))
    told = winit_json("check", "c.yaml", "-s", "model={name: mlp, width: 3000000, depth: 3}")
    (parameters,) = told["parameters"]
    assert parameters > 18e12 and told["memory_bytes"] > 4 * parameters


def test_a_trial_larger_than_the_budget_trains_alone_and_it_is_said_once(tmp_path: Path) -> None:
    heard = Heard()
    result = run_plan(plan_of(*STACKED, "seeds=2"), tmp_path, heard, How(memory=2**10))
    assert result.counts["ok"] == 6
    assert [len(stack) for stack in run_facts(result.directory)["stacks"]] == [1] * 6
    said = [note for note in heard.notes if "more than the budget" in note]
    assert said == ["one trial takes about 1 MiB, more than the budget of 1 MiB: it trains alone"]


def test_the_budget_is_recorded(tmp_path: Path) -> None:
    result = run_plan(plan_of(*STACKED), tmp_path, Heard(), How(memory=10**9))
    facts = run_facts(result.directory)
    assert (facts["memory"], facts["env"]["memory_budget_bytes"]) == (10**9, 10**9)
    assert json.loads((result.directory / "env.json").read_text())["memory_budget_bytes"] == 10**9
    assert run_facts(run_of(tmp_path, "seeds=1").directory)["memory"] == MEMORY


def interrupt(monkeypatch: pytest.MonkeyPatch, results: Path, how: How) -> Path:
    """Run until the first stack is done, and stop in the second."""
    stacks = 0

    def stopping(*arguments: Any, **named: Any) -> Iterator[Any]:
        nonlocal stacks
        stacks += 1
        if stacks > 1:
            raise Stop
        yield from training_stack(*arguments, **named)

    training_stack = orders.train_stack
    with monkeypatch.context() as patch:
        patch.setattr(orders, "train_stack", stopping)
        with pytest.raises(Stop):
            run_plan(plan_of(*STACKED), results, Heard(), how)
    return next(results.iterdir())


@pytest.mark.usefixtures("one_thread")
def test_a_resumed_run_keeps_its_stacks_and_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = How(memory=5 * bytes_of_trial(plan_of(*STACKED).settings[0]))
    wanted = bytes_of(run_plan(plan_of(*STACKED), tmp_path / "whole", Heard(), small))
    directory = interrupt(monkeypatch, tmp_path / "broken", small)
    before = run_facts(directory)
    assert [len(stack) for stack in before["stacks"]] == [4, 4, 4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)  # another machine
    heard = Heard()
    result = run_plan(plan_of(*STACKED), tmp_path / "broken", heard, How(memory=2**30))
    after = run_facts(directory)
    assert [after[key] for key in ("stacks", "stacks_at_once", "memory")] == [before["stacks"], 1, small.memory]
    said = "--memory 1 GiB is left aside: this run was started with 1 MiB and keeps its stacks (--fresh starts another)"
    assert said in heard.notes
    assert bytes_of(result) == wanted


def test_another_budget_is_taken_while_nothing_was_trained(tmp_path: Path) -> None:
    result = run_plan(plan_of(*STACKED), tmp_path, Heard(), How(memory=10**9))
    with Store(result.directory) as store:
        store.connection.execute("UPDATE trials SET status = 'pending'")
    heard = Heard()
    run_plan(plan_of(*STACKED), tmp_path, heard, How(memory=10**10))
    assert run_facts(result.directory)["memory"] == 10**10
    assert not any("left aside" in note for note in heard.notes)


def test_trials_without_a_stack_get_one(tmp_path: Path) -> None:
    """Those that were copied when the run was started, and were damaged since."""
    source = run_of(tmp_path, *STACKED, "seeds=1")
    grown = run_of(tmp_path, *STACKED)
    assert sum(map(len, run_facts(grown.directory)["stacks"])) == 9
    (source.directory / FILE).unlink()
    with Store(grown.directory) as store:
        store.connection.execute("UPDATE trials SET status = 'pending' WHERE id = 0")
    heard = Heard()
    assert run_of(tmp_path, *STACKED, heard=heard).counts["ok"] == 12
    assert heard.done == [("kaiming_normal/0.1/0", "ok")]
