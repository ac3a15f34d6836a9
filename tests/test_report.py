"""The report: self-contained, escaped, deterministic, and no claim beyond the numbers."""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import TWELVE, make_run
from signal_frames import make_signals

from winit_cli import report
from winit_cli.claims.decide import COLUMNS as DECIDED
from winit_cli.errors import StorageError
from winit_cli.findings import Findings
from winit_cli.findings.notices import notices
from winit_cli.plots import PLOTS
from winit_cli.plots.logscale import LogScale
from winit_cli.plots.style import looks
from winit_cli.report import curves, render, write
from winit_cli.report.charts import keys, path
from winit_cli.report.matrix import matrices
from winit_cli.report.page import page
from winit_cli.report.pictures import SHOWN, of_chart
from winit_cli.report.scales import linear, with_zeros
from winit_cli.report.standings import rankings
from winit_cli.report.tables import audit, claims, pairs, trials
from winit_cli.stats import split_label
from winit_cli.store.frames import RunFrames
from winit_cli.visible import visible


def text_of(run: RunFrames) -> str:
    """The page without its figures, which take most of the time."""
    return page(Findings(run), {})


def test_page_loads_nothing(tmp_path: Path):
    html = render(make_run(tmp_path))
    sources = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')>\s]{0,22})", html)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:" in html


def test_every_picture_has_a_text(tmp_path: Path):
    run = make_run(tmp_path)
    html = page(Findings(run), {plot.name: bytes(24) for plot in PLOTS})
    assert len(re.findall(r'<img alt="[^"]{40,}"', html)) == len(SHOWN)
    assert {plot.name for plot in PLOTS} >= set(SHOWN)
    drawings = re.findall(r"<svg [^>]*>", html)
    assert drawings
    assert all("aria-label=" in drawing or "aria-hidden=" in drawing for drawing in drawings)


def test_page_is_well_formed(tmp_path: Path):
    class Balance(HTMLParser):
        def __init__(self):
            super().__init__()
            self.stack = []

        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "img", "input"}:
                self.stack.append(tag)

        def handle_startendtag(self, tag, attrs):
            assert tag in {"path", "rect"}

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

    html = text_of(make_run(tmp_path, TWELVE))
    parser = Balance()
    parser.feed(html)
    assert html.startswith("<!DOCTYPE html>")
    assert parser.stack == []


def test_the_same_run_gives_the_same_page_in_any_process(tmp_path: Path):
    code = (
        "import sys, hashlib; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from frames import make_run; "
        "from winit_cli.report import render; run = make_run(Path('run'), ['a', 'b', 'zeros'], lrs=(0.05, 0.1)); "
        "print(hashlib.sha256(render(run).encode()).hexdigest())"
    )
    here = str(Path(__file__).parent)
    other = subprocess.run(
        [sys.executable, "-c", code, here],
        env=os.environ | {"PYTHONHASHSEED": "1"},  # not that of this process
        capture_output=True,
        text=True,
        check=True,
    )
    run = make_run(Path("run"), ["a", "b", "zeros"], lrs=(0.05, 0.1))
    assert other.stdout.strip() == hashlib.sha256(render(run).encode()).hexdigest()


def test_twelve_schemes_and_ten_seeds_fit_in_a_letter(tmp_path: Path):
    run, signals = make_run(tmp_path, TWELVE, seeds=10, layers=11), make_signals(TWELVE, layers=11, seeds=5)
    tables = {name: getattr(signals, name) for name in ("probe", "verdicts", "histograms")}
    html = render(dataclasses.replace(run, **tables))
    assert "Verdicts at initialization" in html and len(html.encode()) < 5e6


@pytest.mark.parametrize(
    "options",
    [
        {"seeds": 1},
        {"labels": ["kaiming_normal"], "seeds": 1},
        {"labels": ["ones"], "seeds": 2},
        {"task": "regression", "lrs": (0.05, 0.1)},
        {"labels": [f"{name}@depth={depth}" for depth in (2, 9) for name in ("kaiming_normal", "zeros")]},
        {"labels": TWELVE, "layers": 31},
    ],
    ids=["one seed", "one trial", "all diverged", "regression", "variants", "twelve"],
)
def test_every_section_but_empty_ones_is_there(tmp_path: Path, options):
    run = make_run(tmp_path, **options)
    run = dataclasses.replace(run, config=run.config | {"baseline": split_label(run.labels[0])[0]})
    html = text_of(run)
    found = re.findall(r'<section id="(\w+)"', html)
    several = len(options.get("lrs", ())) > 1
    expected = ["answer", "ranking", "curves", "gradients", "init", "signal", *(["rates"] if several else [])]
    expected += [*(["pairs"] if len(run.labels) > 1 else []), "trials", "method", "environment", "reproduce"]
    assert found == expected
    assert re.findall(r'<li><a href="#(\w+)">', html) == found
    assert "nan" not in re.sub(r"<[^>]+>", " ", html).lower().split()


def test_a_label_has_the_colour_of_its_figures_and_one_place_in_all_legends(tmp_path: Path):
    labels = [f"label{index}" for index in range(14)]
    shown, legend = looks(labels), keys(labels)
    css = (Path(report.__file__).parent / "assets" / "base.css").read_text()
    for label in labels:
        assert f"--c{legend[label].color}: {shown[label].color.lower()};" in css
        assert bool(legend[label].dashes) is (shown[label].line != "-")
    html = text_of(make_run(tmp_path, labels, seeds=1))
    series = re.findall(r'<g class="series k(\d+)" data-key="(\d+)">', html)
    assert {(int(color), int(place)) for color, place in series} == {(k.color, k.place) for k in legend.values()}


def test_charts_draw_labels_and_not_trials(tmp_path: Path):
    few, many = (text_of(make_run(tmp_path, ["kaiming_normal", "ones"], seeds=seeds)) for seeds in (4, 30))
    assert few.count('class="series') == many.count('class="series')
    assert many.count("<path") < few.count("<path") + 10


def test_every_chart_has_its_numbers(tmp_path: Path):
    run = make_run(tmp_path)
    [chart, _] = curves.charts(run, "loss")
    table = of_chart(chart)
    assert [column.name for column in table.columns][:3] == ["label", "step 0", "step 20"]
    alive = run.curves[(run.curves["label"] == "kaiming_normal") & (run.curves["split"] == "train")]
    middle = alive[alive["step"] == 100]["loss"].median()
    assert table.rows[0][-1].value == pytest.approx(middle)
    html = text_of(run)
    assert html.count('<details class="numbers">') >= 3


def test_scales_place_zeros_and_extremes_where_figures_do():
    axis = with_zeros(LogScale.over([0.0, 1e-20, 1.0], within=(1e-12, 1e6)), 100.0, 0.0)
    zero, smallest, one = axis.place([0.0, 1e-20, 1.0])
    assert 100 > zero > smallest > one > 0
    assert [tick.text for tick in axis.ticks][:2] == ["0", "< 10⁻¹²"]
    assert axis.place([1e-12])[0] == smallest
    assert [tick.text for tick in linear(0.0, 1.0, 0.0, 10.0).ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert path(np.array([0.0, 1, 2, 3]), np.array([1.0, np.nan, 2, 3])) == "M0.0 1.0M2.0 2.0L3.0 3.0"


def test_more_trials_than_a_browser_likes_are_cut_and_said(tmp_path: Path):
    run = make_run(tmp_path, ["a"], seeds=1)
    many = pd.concat([run.trials] * 2100, ignore_index=True)
    table = trials(dataclasses.replace(run, trials=many))
    assert len(table.rows) == 2000
    assert table.cut == "The first 2,000 of 2,100 rows; trials.csv has them all."


def test_a_running_run_says_so(tmp_path: Path):
    run = make_run(tmp_path, seeds=4, state="running")
    waiting = run.trials["seed"] == 3
    names = ["outcome", "final_train_loss", "final_test_loss", "final_test_accuracy", "diverged_step", "init_hash"]
    pending = run.trials.assign(
        status=run.trials["status"].mask(waiting, "pending"),
        **{name: run.trials[name].astype(object).mask(waiting, None) for name in names},
    )
    html = text_of(dataclasses.replace(run, trials=pending))
    assert "its state is running" in html
    assert "<dd>running</dd>" in html
    assert "9 of 12 finished" in html


def test_all_pairs_are_a_matrix_read_from_both_sides(tmp_path: Path):
    run = make_run(tmp_path, ["kaiming_normal", "xavier_normal", "zeros"], seeds=9)
    run = dataclasses.replace(run, config=run.config | {"family": "all"})
    [found] = matrices(Findings(run), run.labels)
    texts = {
        (row[0].text, column.name): row[place].text
        for row in found.table.rows
        for place, column in enumerate(found.table.columns)
        if place
    }
    assert texts["kaiming_normal", "zeros"] == "1.00 better"
    assert texts["zeros", "kaiming_normal"] == "0.00 worse"
    assert texts["zeros", "zeros"] == ""
    assert "label against label" in text_of(run)
    assert matrices(Findings(make_run(tmp_path, ["a", "b", "c"])), ["a", "b", "c"]) == []


def test_claims_have_effects_with_intervals():
    row = ["a < b", "final_train_loss", 9, -0.2, -0.3, -0.1, 0.004, "supported"]
    table = claims(pd.DataFrame([row], columns=list(DECIDED)))
    assert [(cell.text, cell.note) for cell in table.rows[0]][:3] == [
        ("a < b", ""),
        ("supported", ""),
        ("-0.2", "-0.3 to -0.1"),
    ]


def test_names_are_escaped(tmp_path: Path):
    odd = ["</script><b>bold</b>", "a & b", 'it\'s "quoted"', "\x1b[31m\u2028red", "{{ 7 * 7 }}"]
    run = make_run(tmp_path, odd)
    config = {**run.config, "name": "<script>alert(1)</script>"}
    html = text_of(dataclasses.replace(run, config=config, env={"cpu": "<img src=x>"}))
    assert "<script>alert" not in html
    assert "<b>bold" not in html
    assert "<img" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "a &amp; b" in html
    assert "\x1b" not in html
    assert "{{ 7 * 7 }}" in html
    documents = re.findall(r'<script type="application/json"(?: id="labels")?>(.*?)</script>', html, re.S)
    assert json.loads(documents[-1]) == [visible(label) for label in odd]
    assert not any(letter in document for document in documents for letter in "<>&'\u2028")
    assert all(json.loads(document) for document in documents)


def test_write_puts_every_figure_beside_the_page(tmp_path: Path):
    path = write(make_run(tmp_path))
    assert path == tmp_path / "report.html"
    expected = {f"{plot.name}.{kind}" for plot in PLOTS if plot.draw(make_run(tmp_path)) for kind in ("png", "svg")}
    assert {figure.name for figure in (tmp_path / "figures").iterdir()} == expected
    assert {entry.name for entry in tmp_path.iterdir()} == {"report.html", "figures"}


def test_write_says_what_the_disk_refused(tmp_path: Path):
    (tmp_path / "figures").write_text("a file where the directory should be")
    with pytest.raises(StorageError, match=r"cannot use .*figures"):
        write(make_run(tmp_path))


def test_regression_has_no_accuracy(tmp_path: Path):
    run = make_run(tmp_path, task="regression")
    html = text_of(run)
    assert "mean test loss" in html
    assert ">test accuracy</th>" not in html
    assert "<dt>test accuracy</dt>" not in html


def test_learning_rates_are_shown_where_there_are_several(tmp_path: Path):
    for lrs, shown in (((0.1,), False), ((0.1, 0.2), True)):
        run = make_run(tmp_path, lrs=lrs)
        [ranking] = rankings(run, Findings(run))
        assert ("lr" in [column.name for column in ranking.table.columns]) is shown
        assert ('<section id="rates"' in text_of(run)) is shown


def test_partial_run_has_a_banner(tmp_path: Path):
    assert notices(make_run(tmp_path)) == []
    assert "its state is interrupted (7 ok, 2 diverged)" in notices(make_run(tmp_path, state="interrupted"))[0]


def test_copies_and_seeds_added_after_a_look_are_said(tmp_path: Path):
    texts = notices(make_run(tmp_path, copied="mnist-1a2b3c4d"))
    assert texts[0] == "3 of 9 trials were not trained here but copied: 3 from mnist-1a2b3c4d."
    assert "Seeds were added to an earlier run" in texts[1]


def test_copying_a_whole_label_is_no_second_look(tmp_path: Path):
    run = make_run(tmp_path)
    whole = run.trials.assign(copied_from=run.trials["label"].map({"zeros": "mnist-1a2b3c4d"}))
    assert len(notices(dataclasses.replace(run, trials=whole))) == 1


def test_details_hold_audit_environment_config_and_replay(tmp_path: Path):
    html = text_of(make_run(tmp_path / "a run"))
    for piece in ("layers.0.weight", "expected_std", "some cpu", "batch_size: 64", "5,000 real images"):
        assert piece in html
    assert f"winit run &#39;{tmp_path}/a run/config.yaml&#39;" in html
    assert "—" not in html.partition("<body>")[0]


def test_audit_shows_the_first_seed_once(tmp_path: Path):
    run = make_run(tmp_path, lrs=(0.1, 0.2))
    assert len(audit(run).rows) == len(run.labels) * 8


def test_a_run_without_measurements_still_has_a_page(tmp_path: Path):
    run = make_run(tmp_path, state="running")
    pending = run.trials.assign(status="pending", outcome=None, final_test_loss=None, final_test_accuracy=None)
    tables = {name: getattr(run, name).iloc[:0] for name in ("curves", "gradients", "init", "units")}
    html = render(dataclasses.replace(run, trials=pending, **tables))
    assert "No trial has finished with a result" in html


def test_nested_values_have_dotted_names():
    table = pairs({"a": {"b": 1}, "c": None}, "example")
    assert [[cell.text for cell in row] for row in table.rows] == [["a.b", "1"], ["c", "none"]]


def test_this_branch_never_imports_torch():
    code = "import sys, winit_cli.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
