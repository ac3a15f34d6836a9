"""A stack that runs out of memory is halved until it fits, and everybody who reads the results is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import winit, write
from small import Heard, run_of
from test_memory import STACKED

from winit_cli import orders
from winit_cli.engine import stacks
from winit_cli.engine.stacked import train_stack
from winit_cli.findings import Findings
from winit_cli.findings.notices import notices
from winit_cli.plan import Trial
from winit_cli.report.page import page
from winit_cli.store.frames import read_run
from winit_cli.store.runs import run_facts

FITS = 3
SAID = "a stack of 12 trials ran out of memory and is trained as two"


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for stacks of up to three trials, where twelve are tried."""

    def limited(trials: Sequence[Trial], *more: Any, **named: Any) -> Iterator[Any]:
        for index, records in enumerate(train_stack(trials, *more, **named)):
            if len(trials) > FITS and index == 2:  # after the beginning and a chunk
                raise MemoryError
            yield records

    monkeypatch.setattr(orders, "train_stack", limited)
    monkeypatch.setattr(stacks, "ON_CPU", 12)


@pytest.mark.usefixtures("small_memory", "one_thread")
def test_a_stack_is_halved_until_it_fits(tmp_path: Path) -> None:
    heard = Heard()
    result = run_of(tmp_path, *STACKED, heard=heard)
    assert result.counts["ok"] == 12
    facts = run_facts(result.directory)
    assert sorted(map(len, facts["stacks"])) == [3, 3, 3, 3]
    assert facts["halved"] == [note for note in heard.notes if "ran out of memory" in note]
    assert facts["halved"][0] == SAID and len(facts["halved"]) == 3


@pytest.mark.usefixtures("small_memory", "one_thread")
def test_the_report_says_so(tmp_path: Path) -> None:
    frames = read_run(run_of(tmp_path, *STACKED).directory)
    assert any(text.startswith(f"On the way {SAID}, then a stack of 6") for text in notices(frames))
    assert SAID in page(Findings(frames), {})


@pytest.mark.usefixtures("no_sets", "small_memory", "one_thread")
def test_the_command_says_so_once_with_the_table() -> None:
    write(Path("c.yaml"), seeds=6, engine="stacked")
    said = f"On the way {SAID}"
    for result in (winit("run", "c.yaml"), winit("run", "c.yaml")):
        assert result.stdout.count(said) == 1 and said not in result.stderr


@pytest.mark.usefixtures("one_thread")
def test_a_run_with_enough_memory_says_nothing(tmp_path: Path) -> None:
    result = run_of(tmp_path, *STACKED)
    assert run_facts(result.directory)["halved"] == [] and notices(read_run(result.directory)) == []
