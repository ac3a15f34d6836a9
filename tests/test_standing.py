"""The answer on the terminal: complete, honest, and never wider than the terminal; its JSON says the same."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import winit, winit_json, write
from frames import TWELVE, make_run

from winit_cli.cli import standing
from winit_cli.cli.columns import AT_START, GIVEN_UP, RATIO, columns_of
from winit_cli.cli.fitted import Column, fitted
from winit_cli.cli.spark import ASCII, BLOCKS, sparks
from winit_cli.cli.terminal import Terminal, _Console
from winit_cli.findings import Findings
from winit_cli.findings.document import document
from winit_cli.findings.numbers import records
from winit_cli.jsonable import jsonable
from winit_cli.store.frames import RunFrames


def printed(
    run: RunFrames, monkeypatch: pytest.MonkeyPatch, width: int = 80, *, piped: bool = False, encoding: str = "utf-8"
) -> str:
    """What ``run`` prints of a run at its end."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = _Console(file=file, width=width, force_terminal=not piped, color_system=None, emoji=False)
    monkeypatch.setattr(Terminal, "out", console)
    standing.show(Terminal(), Findings(run))
    file.seek(0)
    return file.read()


def head_of(text: str) -> str:
    (head,) = (line for line in text.splitlines() if line.startswith("#"))
    return head


def test_the_answer_comes_first_then_the_ranked_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, ["xavier_normal", "kaiming_normal", "zeros"], seeds=8)
    text = printed(run, monkeypatch)
    assert text.startswith("kaiming_normal reaches a mean test accuracy of 0.90")
    assert head_of(text).split() == ["#", "label", "test", "accuracy", "verdict", "loss", "stuck", "1st/last"]
    rows = [line for line in text.splitlines() if line[:2] in ("1 ", "2 ", "3 ")]
    assert [row.split()[1] for row in rows] == ["kaiming_normal", "xavier_normal", "zeros"]
    assert "better" in rows[0] and "baseline" in rows[1] and "worse" in rows[2]
    assert rows[2].split()[-2:] == ["8", "0"], "stuck in all of 8, and no gradient at the first layer"
    assert str(Findings(run).reach) in " ".join(text.split())


@pytest.mark.parametrize("width", [60, 72, 80, 100, 140])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_no_line_is_wider_than_the_terminal(
    width: int, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [*TWELVE, "a label that is long enough to be folded over several lines"]
    text = printed(make_run(tmp_path, labels, seeds=4, lrs=(0.05, 0.001), task=task), monkeypatch, width)
    assert max(map(len, text.splitlines())) <= width
    shown = "accuracy" if task == "classification" else "loss"
    for name in ("label", "lr", f"test {shown}", "verdict"):
        assert name in head_of(text)
    assert all(label[:8] in text for label in TWELVE)


def test_columns_are_given_up_in_their_order(tmp_path: Path) -> None:
    found = Findings(make_run(tmp_path, TWELVE, seeds=8))
    columns = columns_of(found, records(found.standings), whole=True, ascii_only=False)
    shown = {width: [column.name for column in fitted(columns, GIVEN_UP, width)] for width in range(40, 240)}
    given_up_here = [name for name in GIVEN_UP if name not in (RATIO, AT_START)]
    lost = [max(width for width, names in shown.items() if name not in names) for name in given_up_here]
    assert lost == sorted(lost, reverse=True) and len(set(lost)) > 6
    assert shown[239] == [column.name for column in columns] and RATIO not in shown[239]
    assert "why" not in shown[90] and RATIO in shown[90]


def test_the_verdict_at_the_start_stands_for_why(tmp_path: Path) -> None:
    run = make_run(tmp_path, TWELVE, seeds=8)
    verdicts = [(label, "healthy", "", "", None, "") for label in TWELVE]
    found = Findings(dataclasses.replace(run, verdicts=pd.DataFrame(verdicts, columns=run.verdicts.columns)))
    columns = columns_of(found, records(found.standings), whole=True, ascii_only=False)
    narrow, wide = ({column.name for column in fitted(columns, GIVEN_UP, width)} for width in (90, 239))
    assert AT_START in narrow and not narrow & {"why", RATIO} and "why" in wide


def test_a_column_may_leave_another_in_its_place() -> None:
    short = Column("s", ["x"])
    columns = [Column("label", ["a" * 30], folds=10), Column("why", ["b" * 40], instead=short)]
    assert fitted(columns, ["why", "s"], 52) == columns
    assert [column.name for column in fitted(columns, ["why", "s"], 51)] == ["label", "s"]
    assert [column.name for column in fitted(columns, ["why", "s"], 8)] == ["label", "s"], "the last stays if it can"
    assert [column.name for column in fitted(columns, ["why", "s"], 7)] == ["label"]


def test_means_over_survivors_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(make_run(tmp_path, ["kaiming_normal", "normal"], seeds=8), monkeypatch)
    row = next(line for line in text.splitlines() if line.startswith("2"))
    assert " † " in row and row.split()[-2] == "2", "two diverged"
    assert "†: mean of the trials that did not diverge" in text
    assert "†" not in printed(make_run(tmp_path, ["kaiming_normal", "zeros"]), monkeypatch)


def test_counts_stand_only_where_they_occur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = head_of(printed(make_run(tmp_path, ["kaiming_normal", "xavier_normal"]), monkeypatch, 200))
    assert "stuck" not in head and "diverged" not in head


def test_variants_stand_apart_on_a_terminal_and_whole_in_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [f"{scheme}@depth={depth}" for depth in (2, 9) for scheme in ("kaiming_normal", "zeros")]
    run = make_run(tmp_path, labels)
    run = dataclasses.replace(run, config=run.config | {"baseline": "kaiming_normal"})
    shown = printed(run, monkeypatch)
    assert [line.strip() for line in shown.splitlines() if line.strip().startswith("at ")] == [
        "at depth=2",
        "at depth=9",
    ]
    assert "@" not in shown
    piped = printed(run, monkeypatch, 1000, piped=True)
    assert ["@depth=" in line for line in piped.splitlines()].count(True) == 4
    assert "─" not in piped


def test_several_rates_have_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ["kaiming_normal", "zeros"]
    assert " lr " in head_of(printed(make_run(tmp_path, labels, lrs=(0.1, 0.01)), monkeypatch))
    assert " lr " not in head_of(printed(make_run(tmp_path, labels), monkeypatch))


def test_notices_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(make_run(tmp_path, state="interrupted", copied="mnist-1a2b3c4d"), monkeypatch, 200)
    assert text.startswith("note: This run is not whole: its state is interrupted")
    assert "note: 3 of 9 trials were not trained here but copied" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_with_few_letters_gets_others(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(make_run(tmp_path, TWELVE, seeds=8), monkeypatch, encoding=encoding)
    assert set(text) & set(ASCII) >= set("_#") and not set(text) & set(BLOCKS)
    assert ("+- 0.0" if encoding == "ascii" else "± 0.0") in text


def test_names_steer_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(make_run(tmp_path, ["[red]a", "\x1b[31mb"]), monkeypatch)
    assert "[red]a" in text and "\x1b" not in text and "\\x1b[31mb" in text


def test_a_run_of_which_nothing_is_finished_has_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, state="running")
    pending = run.trials.assign(status="pending", outcome=None, final_test_loss=None, final_test_accuracy=None)
    tables = {name: getattr(run, name).iloc[:0] for name in ("curves", "gradients", "init", "units")}
    text = printed(dataclasses.replace(run, trials=pending, **tables), monkeypatch)
    assert "No trial has finished with a result" in text and "kaiming_normal" in text


def test_curves_share_one_scale() -> None:
    high, low = sparks([[2.0, 1.5, 1.0], [1.0, 0.5, 0.0]], math.inf)
    assert (high[0], high[-1], low[0], low[-1]) == ("█", "▅", "▅", "▁") and len(high) == len(low) == 8
    assert sparks([[900.0, 2.0, 1.0]], 2.0)[0].startswith("██")
    assert sparks([[1.0] * 10, []], math.inf) == ["▁" * 8, ""]


def test_far_values_are_drawn_by_logarithms() -> None:
    assert sparks([[10.0**-at for at in range(8)]], math.inf) == ["█▇▆▅▄▃▂▁"]
    assert sparks([[8.0 - at for at in range(8)]], math.inf) == ["█▇▆▅▄▃▂▁"]
    assert sparks([[0.0, 100.0]], math.inf) == ["▁▁▁▁████"], "0 has no logarithm"


def test_a_curve_that_ends_early_says_so() -> None:
    whole, ended = sparks([[1.0] * 8, [2.0, 3.0, 4.0]], math.inf)
    assert whole == "▁" * 8 and ended == "▃▆█×"


def test_json_holds_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c.yaml", claims=["zeros[lr=0.1] stuck"], train={"lr": [0.1, 1e20], "batch_size": 16, "steps": 4})
    found = winit_json("run", "c.yaml")
    assert found.keys() >= {"run", "state", "task", "ranking", "metric", "baseline", "sentences", "notices", "method"}
    assert [claim["claim"] for claim in found["claims"]] == ["zeros[lr=0.1] stuck"]
    assert {row["metric"] for row in found["comparisons"]} == {"final_test_accuracy"}
    assert found["reach"]["possible"] is False and found["reach"]["seeds_needed"] == 7
    assert found["sentences"][0] in " ".join(winit("run", "c.yaml").stdout.split())
    assert {"verdict", "why", "rank_low", "rank_high", "seeds_needed"} <= found["ranking"][0].keys()


def test_what_is_not_known_is_null_and_what_is_infinite_a_text(tmp_path: Path) -> None:
    made: Any = json.loads(json.dumps((document(Findings(make_run(tmp_path, TWELVE)))), allow_nan=False))
    (baseline,) = (row for row in made["ranking"] if row["verdict"] == "baseline")
    assert baseline["p_holm"] is None and baseline["seeds_needed"] is None
    (zeros,) = (row for row in made["ranking"] if row["label"] == "zeros")
    assert zeros["steps_to_target"] == "inf", "as in learning.csv: half of the trials miss it"


def test_json_knows_what_csv_files_know() -> None:
    values = [1.5, math.inf, -math.inf, math.nan, None, np.float64("inf"), {"a": (math.inf, 2)}, "inf", True]
    assert jsonable(values) == [1.5, "inf", "-inf", None, None, "inf", {"a": ["inf", 2]}, "inf", True]


@pytest.mark.parametrize("command", ["run", "check"])
def test_what_can_be_decided_is_said_before(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c.yaml")
    result = winit(command, "c.yaml")
    said = "1 comparison with kaiming_normal: no better or worse is possible with 2 seeds"
    assert said in " ".join((result.stderr if command == "run" else result.stdout).split())
    assert result.stderr.find(said) < result.stderr.find("4 trials to train") or command == "check"
    if command == "check":
        assert f"verdicts {said}" in " ".join(result.stdout.split())
        assert winit_json("check", "c.yaml")["verdicts"] == {
            "statement": f"{said} (the smallest p after Holm's correction is 0.5); at least 6 are needed",
            "comparisons": 1,
            "seeds": 2,
            "smallest_p": 0.5,
            "seeds_needed": 6,
            "possible": False,
        }
