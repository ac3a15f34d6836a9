"""``winit bench``: what is counted and reckoned, never how fast this machine is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from commands import refused, winit, winit_json
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from winit_cli.bench import drawing, machine, measure, pace
from winit_cli.bench.cases import CASES, Case, cases_named
from winit_cli.bench.document import Point, rows_of
from winit_cli.bench.engines import plan_of
from winit_cli.bench.loops import Script, Tuned, plain_model, train
from winit_cli.bench.pace import PACES, Pace, likely_steps, more_steps
from winit_cli.bench.timing import Timing, costs
from winit_cli.cli.bench import numbers_of
from winit_cli.data.vision import cure, installed
from winit_cli.errors import Terminated, UsageError
from winit_cli.plots import encode
from winit_cli.plots.trial_cost import figure

TINY = Case("tiny", "mlp", {"width": 4, "depth": 1}, batch_size=16)
PACE = Pace(short_steps=1, least=0.4, target=0.8, budget=4.0, train_size=64, most_serial=64)
METHODS = ["script", "tuned", "serial", "stacked", "serial", "stacked", "auto", "auto"]
every_case = pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, no_sets: Path) -> None:
    """One case of four units, a machine of small matrices, and no waiting for what stands out of the noise."""
    monkeypatch.setattr(pace, "MOST_STEPS", 10)
    monkeypatch.setitem(PACES, "cpu", PACE)
    monkeypatch.setitem(machine.SIZES, "cpu", (8, 64))
    monkeypatch.setattr(machine, "REPEATS", 2)
    monkeypatch.setattr(drawing, "REPEATS", 1)
    monkeypatch.setattr("winit_cli.bench.cases.CASES", {"tiny": TINY})


def timing(short: float, long: float, *, trials: int = 2, peak: int | None = None) -> Timing:
    return Timing(trials, 10, 60, short, long, first=0.5, peak_bytes=peak)


def test_operations_of_a_network_counted_by_hand() -> None:
    # 16 examples, two operations per product; the first layer has no gradient of its input
    assert TINY.flops == 2 * 16 * (2 * 784 * 4 + 3 * 4 * 10)
    lstm = Case("", "lstm", {"hidden": 8}, batch_size=2)
    assert lstm.flops == 2 * 2 * (2 * 28 * 28 * 32 + 3 * (28 * 8 * 32 + 8 * 10))


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.model in ("mlp", "cnn")], ids=lambda case: case.name)
def test_operations_are_those_that_torch_counts(case: Case) -> None:
    model = plain_model(case)
    with FlopCounterMode(display=False) as counter:
        loss = F.cross_entropy(model(torch.zeros(case.batch_size, 1, 28, 28)), torch.zeros(case.batch_size).long())
        loss.backward()
    assert counter.get_total_flops() == case.flops


@every_case
def test_the_loops_train_the_network_that_winit_trains(case: Case) -> None:
    setting = plan_of(case, 1, "auto", "cpu", 640).settings[0]
    shapes = [tuple(parameter.shape) for parameter in plain_model(case).parameters()]
    assert sorted(shapes) == sorted(slot.shape for slot in setting.rehearsal.slots)
    assert (setting.every, setting.train.batch_size) == (pace.EVERY, case.batch_size)


@pytest.mark.parametrize("kind", [Script, Tuned])
def test_loops_learn(kind: type[Script] | type[Tuned]) -> None:
    if kind is Script and not installed():
        pytest.skip("torchvision is not installed")
    torch.manual_seed(0)
    part = plan_of(TINY, 1, "auto", "cpu", 640).settings[0].dataset.train
    loop = kind(TINY, part, "cpu")
    losses = train(loop.model, loop.batches, 400, reads_loss=True)
    assert len(losses) == 400
    assert sum(losses[-50:]) < 0.8 * sum(losses[:50])
    assert len(train(loop.model, loop.batches, 25, reads_loss=False)) == 3
    assert loop.seconds(2) > 0


def test_images_of_the_script_are_those_of_the_data() -> None:
    if not installed():
        pytest.skip("torchvision is not installed")
    part = plan_of(TINY, 1, "auto", "cpu", 64).settings[0].dataset.train
    images = Script(TINY, part, "cpu")
    x, y = next(images.batches)
    assert (x.shape, y.shape) == ((16, 1, 28, 28), (16,))
    flat = part.x.flatten(1)
    for image, label in zip(x.flatten(1), y, strict=True):
        likeness = torch.tensor([torch.corrcoef(torch.stack([image, other]))[0, 1] for other in flat])
        assert likeness.max() > 0.9999
        assert part.y[likeness.argmax()] == label


def test_a_cost_is_the_added_time_over_the_added_trial_steps() -> None:
    one = timing(3.0, 4.0)
    assert one.cost == pytest.approx(1.0 / (2 * 50))
    assert one.startup == pytest.approx(3.0 - 2 * 10 * 0.01)
    assert timing(0.1, 9.0).startup == 0.0


def test_costs_are_medians_and_leave_out_what_noise_swallowed() -> None:
    found = costs([timing(1.0, 2.0, peak=5), timing(1.0, 4.0, peak=9), timing(1.0, 0.9, peak=7), timing(1.0, 6.0)])
    assert found.step == pytest.approx(0.03)
    assert found.peak_bytes == 9
    nothing = costs([timing(1.0, 1.0)])
    assert math.isnan(nothing.step) and math.isnan(nothing.startup) and nothing.peak_bytes is None


def test_what_does_not_stand_out_is_timed_with_more_steps() -> None:
    assert more_steps(10, timing(0.1, 0.6), PACE) is None
    assert more_steps(10, timing(0.1, 0.3), PACE) == 40, "0.2 s are to become 0.8"
    assert more_steps(10, timing(2.0, 2.5), PACE) == 20, "half a second stands out of less than two"
    assert more_steps(10, timing(1.0, 0.9), PACE) == 200, "noise says little: no more than twenty times as many"
    assert more_steps(pace.MOST_STEPS, timing(1.0, 0.9), PACE) is None
    assert [likely_steps(seconds, PACE) for seconds in (0.1, 0.011, 1e-9)] == [10, 70, pace.MOST_STEPS]


def test_each_round_times_everything_and_the_dear_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def point(method: str, seconds: float) -> Point:
        def once(steps: int) -> Timing:
            order.append(method)
            return Timing(1, 0, steps, 0.0, seconds, 0.5 / len(order))

        return Point(method, 1, once, 10)

    measure._measure(points := [point("tuned", 1.0), point("serial", 5.0)], PACE, None, lambda text: None)
    assert order == ["tuned", "serial", "tuned", "tuned"]
    assert [p.first for p in points] == [0.5, 0.25]
    order.clear()
    measure._measure([point("tuned", 1.0), point("serial", 5.0)], PACE, 2, lambda text: None)
    assert order == ["tuned", "serial", "tuned", "serial"]


def point_of(method: str, trials: int, cost: float) -> Point:
    made = Timing(trials, 0, 10, 0.0, cost * trials * 10, 0.5)
    return Point(method, trials, lambda steps: made, 10, [made], 0.5)


def rows() -> list[dict[str, Any]]:
    points = [point_of("script", 1, 8.0), point_of("tuned", 1, 2.0)]
    points += [point_of("serial", n, 2.0) for n in (1, 30)] + [point_of("stacked", n, 4.0 / n) for n in (1, 30)]
    return rows_of(TINY, points, {1: "serial", 30: "stacked"})


def test_rows_hold_ratios_of_medians_and_what_auto_chose() -> None:
    found = {(row["method"], row["trials"]): row for row in rows()}
    stacked, auto = found["stacked", 30], found["auto", 30]
    assert stacked["against_script"] == pytest.approx(60)
    assert stacked["against_tuned"] == pytest.approx(15)
    assert stacked["flops_per_second"] == pytest.approx(TINY.flops * 30 / 4)
    assert (auto["engine"], auto["seconds"]) == ("stacked", stacked["seconds"])
    assert found["auto", 1]["engine"] == "serial"


def test_without_the_script_there_is_no_ratio_against_it() -> None:
    made = rows_of(TINY, [point_of("tuned", 1, 2.0), point_of("serial", 1, 2.0)], {1: "serial"})
    assert {row["against_script"] for row in made} == {None}


@pytest.mark.parametrize("count", [1, 5])
def test_the_plot_has_a_panel_per_case_with_logarithmic_axes(count: int) -> None:
    frame = pd.DataFrame([{**row, "case": f"case {index}"} for index in range(count) for row in rows()])
    drawn = figure(frame, "a machine")
    assert [ax.get_title(loc="left") for ax in drawn.axes] == [f"case {index}" for index in range(count)]
    assert {ax.get_xscale() for ax in drawn.axes} == {ax.get_yscale() for ax in drawn.axes} == {"log"}
    (serial,) = [line for line in drawn.axes[0].lines if line.get_marker() == "o" and line.get_linestyle() == "-"]
    assert list(serial.get_ydata()) == [2000.0, 2000.0]
    assert [text.get_text() for text in drawn.axes[0].get_xticklabels()] == ["1", "30"]
    assert len(drawn.legends[0].get_texts()) == 5
    assert encode(drawn, "png") == encode(figure(frame, "a machine"), "png")


def test_the_plot_bears_costs_that_noise_swallowed() -> None:
    frame = pd.DataFrame(rows()).assign(seconds=math.nan)
    figure(frame).draw_without_rendering()


@pytest.mark.usefixtures("tiny")
def test_a_bench_as_a_document() -> None:
    found = winit_json("bench", "--device", "cpu", "--trials", "2,1,2", "--repeats", "1", "--quiet")
    assert found["environment"]["device"] == "cpu"
    assert found["workload"]["measure_every"] == 10
    assert found["machine"]["matmul_flops_per_second"] > 0
    assert len(found["machine"]["repeats"]["matmul_flops_per_second"]) == 4
    (case,) = found["cases"]
    assert (case["case"], case["flops"], case["width"]) == ("tiny", TINY.flops, 4)
    assert case["draw"] > 0 and case["copy"] is None
    wanted = METHODS if installed() else METHODS[1:]
    assert [row["method"] for row in found["rows"]] == wanted
    serial = next(row for row in found["rows"] if (row["method"], row["trials"]) == ("serial", 2))
    (repeat,) = serial["repeats"]
    assert repeat["long_steps"] - repeat["short_steps"] == 10
    assert 0 < repeat["first"] < repeat["short"]
    assert sorted(Path.cwd().iterdir()) == [Path.cwd() / "cache"]


@pytest.mark.usefixtures("tiny")
def test_a_bench_as_tables_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = winit("bench", "--device", "cpu", "--trials", "1,2", "--repeats", "1", "--output", "out/bench")
    assert result.exit_code == 0, result.output
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 100
    lines = [line.split() for line in result.stdout.splitlines()]
    tiny = [words for words in lines if words[:1] == ["tiny"]]
    assert [words[1] for words in tiny[:4]] == ["1", "2", "1", "2"]
    assert {words[6] for words in tiny[:2]} <= {"serial", "stacked"}
    assert "[1/1] tiny: round 1" in result.stderr
    assert "[1/1]" not in result.stdout
    assert json.loads(Path("out/bench/cpu.json").read_text())["rows"]
    assert Path("out/bench/cpu.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("tiny")
def test_without_torchvision_one_line_says_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise UsageError(f"torchvision is not installed; {cure()}")

    monkeypatch.setattr(measure, "import_torchvision", missing)
    result = winit("bench", "--device", "cpu", "--trials", "1", "--repeats", "1")
    assert result.exit_code == 0, result.output
    assert "the loop over DataLoader is left out: torchvision is not installed" in result.stderr


BAD = {
    "case": (["--cases", "mlp-medum"], "unknown case 'mlp-medum'; did you mean 'mlp-medium'? (known: mlp-small"),
    "no case": (["--cases", ""], "unknown case ''; known: mlp-small"),
    "no trials": (["--trials", "0"], "--trials 0: expected numbers from 1 to 4096, e.g. --trials 1,8,30"),
    "negative": (["--trials", "-1"], "--trials -1: expected numbers"),
    "text": (["--trials", "1,x"], "--trials 1,x: expected numbers"),
    "hole": (["--trials", "1,,2"], "--trials 1,,2: expected numbers"),
    "huge": (["--trials", "9" * 5000], "--trials 999"),
    "superscript": (["--trials", "²"], "--trials ²: expected numbers"),
    "repeats": (["--repeats", "0"], "--repeats 0: expected a number from 1 to 1000"),
    "device": (["--device", "gpu"], "unknown device 'gpu'; use auto, cpu, cuda or cuda:N"),
}


@pytest.mark.usefixtures("no_sets")
@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_usage_is_refused_before_anything_is_timed(arguments: list[str], message: str) -> None:
    said = refused("bench", *arguments)
    assert said.startswith(message)
    assert len(said) < 300


def test_a_directory_that_cannot_be_written_is_found_out_at_once(no_sets: Path) -> None:
    Path("taken").write_text("a file")
    result = winit("bench", "--output", "taken/bench")
    assert result.exit_code == 1
    assert result.stderr == "winit: cannot write to taken/bench: Not a directory; choose another with --output\n"


@pytest.mark.parametrize(
    ("end", "code", "word"), [(KeyboardInterrupt(), 130, "interrupted"), (Terminated(143), 143, "terminated")]
)
def test_an_interrupted_bench_says_so(
    end: BaseException, code: int, word: str, monkeypatch: pytest.MonkeyPatch, no_sets: Path
) -> None:
    def interrupted(*arguments: object) -> None:
        raise end

    monkeypatch.setattr(measure, "bench", interrupted)
    result = winit("bench", "--device", "cpu")
    assert result.exit_code == code
    assert result.stderr == f"winit: {word}; no case was measured, and the same command begins anew\n"


def test_an_interrupted_bench_keeps_the_cases_that_it_measured(
    monkeypatch: pytest.MonkeyPatch, tiny: None, tmp_path: Path
) -> None:
    whole = measure.bench

    def interrupted(cases: Sequence[Case], *more: Any) -> Iterator[dict[str, Any]]:
        yield from whole(cases, *more)
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "bench", interrupted)
    command = ("bench", "--device", "cpu", "--trials", "1", "--repeats", "1", "--output", str(tmp_path))
    result = winit(*command)
    assert result.exit_code == 130
    assert "winit: interrupted; only tiny measured\n" in result.stderr
    assert [case["case"] for case in json.loads((tmp_path / "cpu.json").read_text())["cases"]] == ["tiny"]


def test_names_and_numbers_come_in_order_and_once() -> None:
    assert [case.name for case in cases_named("rnn-medium, mlp-small,mlp-small")] == ["mlp-small", "rnn-medium"]
    assert numbers_of("30, 1,8,30") == [1, 8, 30]


def test_the_goals_have_their_cases() -> None:
    wanted = {
        "mlp-medium": ({"width": 100, "depth": 3}, 64),
        "mlp-deep": ({"width": 64, "depth": 10}, 32),
        "cnn-medium": ({"channels": [16, 32, 32]}, 64),
        "lstm-medium": ({"hidden": 64}, 64),
    }
    assert {name: (CASES[name].options, CASES[name].batch_size) for name in wanted} == wanted


def test_memory_that_is_taken_is_seen() -> None:
    memory = machine.PeakMemory("cpu")
    memory.start()
    kept = torch.ones(2**24)
    grown = memory.read()
    del kept
    assert grown is None or grown > 2**25
