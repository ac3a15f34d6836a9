"""What ``winit check`` tells of a job is what a run of it then does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import runs, winit, winit_json, write
from small import plan_of
from test_memory import STACKED, interrupt

from winit_cli.cli.job import division_of, missing_trials, size_of
from winit_cli.engine.division import bytes_of_trial, unfinished
from winit_cli.runner import How
from winit_cli.store.runs import run_facts

SCHEMES = {"schemes": ["kaiming_normal", "zeros", "ones"], "seeds": 5, "engine": "stacked"}
BUDGETS: list[Sequence[object]] = [(), ("--memory", "1MiB"), ("--memory", "2MiB"), ("-s", "engine=serial")]


@pytest.mark.usefixtures("no_sets")
@pytest.mark.parametrize("options", BUDGETS, ids=lambda options: " ".join(options) or "default")
def test_check_tells_the_stacks_that_the_run_trains(options: Sequence[str]) -> None:
    write(Path("c.yaml"), **SCHEMES, model={"name": "mlp", "width": 120, "depth": 2})
    told = winit_json("check", "c.yaml", *options)
    winit_json("run", "c.yaml", *options)
    (run,) = runs()
    facts = run_facts(run)
    assert told["stacks"] == len(facts["stacks"])
    assert told["largest_stack"] == max(map(len, facts["stacks"]))
    assert told["stacks_at_once"] == min(facts["stacks_at_once"], len(facts["stacks"]))
    assert told["memory_budget_bytes"] == facts["memory"]
    assert told["engine"] == ("serial" if "engine=serial" in options else "stacked")
    left = winit_json("check", "c.yaml", *options)
    assert (left["stacks"], left["largest_stack"], left["stacks_at_once"]) == (0, 0, 0)


@pytest.mark.usefixtures("no_sets")
def test_check_counts_what_is_left_only() -> None:
    write(Path("c.yaml"), **SCHEMES)
    winit_json("run", "c.yaml", "-s", "seeds=3")
    (before,) = runs()
    told = winit_json("check", "c.yaml", "--memory", "1MiB")
    winit_json("run", "c.yaml", "--memory", "1MiB")
    (run,) = set(runs()) - {before}
    stacks = run_facts(run)["stacks"]
    assert told["already_trained"] == 9 and sum(map(len, stacks)) == 6
    assert (told["stacks"], told["largest_stack"]) == (len(stacks), max(map(len, stacks)))


@pytest.mark.usefixtures("one_thread")
def test_check_of_a_begun_run_tells_what_it_goes_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(*STACKED)
    directory = interrupt(monkeypatch, tmp_path, How(memory=5 * bytes_of_trial(plan.settings[0])))
    kept = run_facts(directory)
    missing = missing_trials(plan, tmp_path)
    made, said = division_of(plan, missing, tmp_path, 2**30)
    assert (made.stacks, made.at_once, made.budget) == (kept["stacks"], 1, kept["memory"])
    assert len(said) == 1 and said[0].startswith("--memory 1 GiB is left aside")
    facts = size_of(plan, missing, made)
    assert (facts["stacks"], facts["largest_stack"], facts["stacks_at_once"]) == (2, 4, 1)
    assert unfinished(made.stacks, missing) == kept["stacks"][1:]


@pytest.mark.usefixtures("no_sets")
def test_check_prints_the_stacks_and_what_they_take() -> None:
    write(Path("c.yaml"), **SCHEMES)
    result = winit("check", "c.yaml", "--memory", "1GiB")
    assert "\nstacks     " in result.stdout and " at a time (engine: stacked)\n" in result.stdout
    assert "beside what Python and torch take; stacks may take 1 GiB\n" in result.stdout
    small = winit_json("check", "c.yaml", "-s", "model.width=1000", "-s", "seeds=1", "-s", "schemes=[zeros]")
    many = winit_json("check", "c.yaml", "-s", "model.width=1000", "-s", "seeds=4", "-s", "schemes=[zeros]")
    assert many["memory_bytes"] > small["memory_bytes"] > 4 * 1000 * 8
