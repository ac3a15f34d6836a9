"""The leaderboard while a run goes on: the same order as the ranking, and a terminal left as it was found."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from commands import write
from rich.console import Console
from small import Heard, plan_of, rows, run_of

from winit_cli.api.progress import Notebook
from winit_cli.cli.board import MOST, Board, Line
from winit_cli.cli.progress import PER_SECOND, Reporter, Shown
from winit_cli.cli.terminal import Terminal
from winit_cli.plan import Trial
from winit_cli.stats import mean_interval

FOUR = "schemes=[kaiming_normal, zeros, ones, orthogonal]"


def trials_of(*settings: str) -> dict[str, list[Trial]]:
    """The trials of a small plan by label."""
    found: dict[str, list[Trial]] = {}
    for trial in plan_of(*settings).trials:
        found.setdefault(trial.label, []).append(trial)
    return found


def filled(board: Board, trials: dict[str, list[Trial]], **finals: list[float | None]) -> Board:
    """The board after these trials ended; without a final they diverged."""
    for label, values in finals.items():
        for trial, final in zip(trials[label], values, strict=False):
            board.add(trial, "ok" if final is not None else "diverged", final)
    return board


def test_means_have_intervals_and_the_best_is_first() -> None:
    trials = trials_of(FOUR, "seeds=3")
    board = filled(Board(), trials, zeros=[0.1, 0.1], kaiming_normal=[0.8, 0.9, 0.85], orthogonal=[0.7])
    low, high = mean_interval([0.8, 0.9, 0.85])
    assert board.headings == ("so far", "trials", "test accuracy", "")
    assert board.lines() == [
        Line("kaiming_normal", "3/3", f"0.85 ± {(high - low) / 2:.2f}", ""),
        Line("orthogonal", "1/3", "0.7", ""),
        Line("zeros", "2/3", "0.1 ± 0", ""),
    ]


def test_a_diverged_trial_counts_as_the_worst() -> None:
    trials = trials_of(FOUR, "seeds=3")
    board = filled(Board(), trials, kaiming_normal=[0.9, None, None], orthogonal=[0.6, 0.7], zeros=[0.1], ones=[None])
    assert [(line.label, line.ended, line.lost) for line in board.lines()] == [
        ("orthogonal", "2/3", ""),
        ("kaiming_normal", "3/3", "2 diverged"),
        ("zeros", "1/3", ""),
        ("ones", "1/3", "1 diverged"),
    ]


def test_a_failed_trial_has_not_ended() -> None:
    trials, board = trials_of("seeds=2"), Board()
    board.add(trials["kaiming_normal"][0], "failed", None)
    assert board.lines() == [Line("kaiming_normal", "0/2", "-", "1 failed")]


def test_for_regression_the_smallest_loss_is_first() -> None:
    settings = ("data={name: adding, length: 5, train_size: 50, test_size: 20}", "model={name: rnn, hidden: 4}", FOUR)
    board = filled(Board(), trials_of(*settings), zeros=[0.2, 0.2], kaiming_normal=[0.1, 0.1])
    assert board.headings[2] == "test loss" and [line.label for line in board.lines()] == ["kaiming_normal", "zeros"]


def test_rates_are_told_apart_and_long_labels_cut() -> None:
    label = "a label of more than twenty-eight letters"
    trials = trials_of(f"schemes=[{{scheme: zeros, label: {label}}}]", "train.lr=[0.1, 0.01]", "seeds=1")
    board = filled(Board(), trials, **{label: [0.1, 0.2]})
    assert [line.label for line in board.lines()] == [f"{label[:27]}…, lr 0.01", f"{label[:27]}…, lr 0.1"]


def test_seeds_that_select_a_rate_have_no_say() -> None:
    trials = trials_of("train.lr=[0.1, 0.01]", "select={seeds: [100], metric: final_train_loss}", "seeds=1")
    board = Board()
    for trial in trials["kaiming_normal"]:
        board.add(trial, "ok", 0.5)
    assert [line.ended for line in board.lines()] == ["1/1", "1/1"]


@pytest.mark.parametrize(("labels", "shown"), [(MOST, MOST), (MOST + 1, MOST), (30, MOST)])
def test_there_are_few_rows(labels: int, shown: int) -> None:
    entries = ", ".join(f"{{scheme: zeros, label: z{number}}}" for number in range(labels))
    trials = trials_of(f"schemes=[{entries}]", "seeds=1")
    lines = filled(Board(), trials, **{label: [0.1] for label in trials}).lines()
    assert len(lines) == shown
    assert (lines[-1].label == f"and {labels - MOST + 1} more") is (labels > MOST)


def shown(board: Board, width: int = 80) -> str:
    """What the terminal shows."""
    console = Console(file=io.StringIO(), width=width)
    terminal = Terminal()
    bar = Shown(terminal, board)
    Reporter(terminal, bar, board).begin(4, 0, 100)
    for part in bar.get_renderables():
        console.print(part)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_board_appears_with_the_first_trial_and_fits() -> None:
    assert "so far" not in shown(Board())
    label = "[red]a label of more than 28 letters"
    trials = trials_of(f"schemes=[{{scheme: zeros, label: '{label[5:]}'}}, zeros]", "seeds=10", "train.lr=[0.1, 0.01]")
    board = filled(Board(), trials, zeros=[0.101, None], **{label[5:]: [0.12, None, 0.2]})
    text = shown(board)
    assert "so far" in text and "1 diverged" in text and "0/4 trials" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) < 80


def test_the_terminal_is_drawn_about_twice_a_second() -> None:
    assert Shown(Terminal(), Board()).live.refresh_per_second == PER_SECOND == 2


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_finals_are_told_as_they_are_stored(engine: str, tmp_path: Path) -> None:
    heard = Heard()
    result = run_of(tmp_path, FOUR, f"engine={engine}", heard=heard)
    stored = {row["trial"]: float(row["final_test_accuracy"]) for row in rows(result, "trials")}
    assert dict(zip((key for key, _ in heard.done), heard.finals, strict=True)) == stored
    assert heard.before == []


def test_trials_that_ended_before_are_known(tmp_path: Path) -> None:
    run_of(tmp_path, FOUR)
    heard = Heard()
    result = run_of(tmp_path, FOUR, "seeds=3", heard=heard)
    stored = {row["trial"]: float(row["final_test_accuracy"]) for row in rows(result, "trials")}
    assert len(heard.before) == 8 and len(heard.done) == 4
    assert {key: final for key, _, final in heard.before} == {key: stored[key] for key, _, _ in heard.before}


def test_a_diverged_trial_has_no_final(tmp_path: Path) -> None:
    heard = Heard()
    run_of(tmp_path, "train.lr=1e20", "train.steps=8", heard=heard)
    assert set(heard.finals) == {None} and {status for _, status in heard.done} == {"diverged"}


def test_a_notebook_shows_bar_and_board() -> None:
    class Handle:
        last = ""

        def update(self, made: str) -> None:
            self.last = made

    handle = Handle()
    notebook = Notebook(lambda *_, **__: handle, str)
    trials = trials_of("schemes=[{scheme: zeros, label: a+b}]", "seeds=2")["a+b"]
    notebook.begin(2, 0, 10)
    assert "<progress" in handle.last and "<table" not in handle.last
    for trial in trials:
        notebook.trial_done(trial, "ok", 0.25)
    assert "2/2 trials" in handle.last
    assert "<td>a+b</td><td>2/2</td><td>0.25 ± 0</td>" in handle.last


PRESSING = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "winit_cli", *sys.argv[1:]])
"""


def on_a_terminal(folder: Path, key: bytes = b"", *, once: bytes = b"so far", **config: Any) -> tuple[int, str]:
    """A run on a terminal of its own where a key is pressed once a text has come: its exit code and what it wrote."""
    path = write(folder / "c.yaml", **config)
    leader, follower = pty.openpty()
    before = termios.tcgetattr(leader)
    command = [sys.executable, "-c", PRESSING, "run", str(path), "--results", str(folder / "r")]
    environment = os.environ | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    text = b""
    with contextlib.suppress(OSError):  # what Linux says of a terminal that nobody has open any more
        while more := os.read(leader, 65536):
            text += more
            if key and once in text:
                os.write(leader, key)
                key = b""
    assert termios.tcgetattr(leader) == before
    os.close(leader)
    return process.wait(), text.decode()


@pytest.mark.slow
def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    train = {"lr": [0.1], "batch_size": 16, "steps": 100_000}
    labels = [{"scheme": "normal", "label": "diverges", "std": 1e30}, "kaiming_normal"]
    code, text = on_a_terminal(tmp_path, b"\x03", schemes=labels, engine="serial", train=train, seeds=1)
    assert code == 130 and "interrupted; what was recorded is kept" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is shown again"
    assert "so far" not in text[text.rfind("\x1b[?25h") :], "the board is gone"


def test_a_stack_that_ends_all_trials_at_once_shows_bar_and_result(tmp_path: Path) -> None:
    code, text = on_a_terminal(tmp_path, engine="stacked", seeds=3)
    assert code == 0
    assert "6/6 trials, 100 %" in text or "0/6 trials" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text[text.rfind("\x1b[?25h") :])
    assert plain.split("label")[1].split()[:3] == ["test", "accuracy", "verdict"]
    assert "trial-steps/s" not in plain and "so far" not in plain
    assert max(map(len, plain.replace("\r", "").split("\n")[:-2])) <= 80, "all but the line with the path"
