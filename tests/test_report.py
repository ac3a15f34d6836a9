"""The report: self-contained, escaped, deterministic, and no claim beyond the numbers."""

import dataclasses
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from frames import TWELVE, make_run

from winit_cli.errors import StorageError
from winit_cli.findings import Findings
from winit_cli.findings.notices import notices
from winit_cli.findings.numbers import number, with_interval
from winit_cli.plots import PLOTS
from winit_cli.report import render, write
from winit_cli.report.page import page
from winit_cli.report.pictures import SHOWN
from winit_cli.report.standings import rankings
from winit_cli.report.tables import audit, pairs
from winit_cli.store.frames import RunFrames
from winit_cli.visible import visible


def text_of(run: RunFrames) -> str:
    """The page without its figures, which take most of the time."""
    return page(run, {})


def test_page_loads_nothing(tmp_path: Path):
    html = render(make_run(tmp_path))
    sources = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')>\s]{0,22})", html)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:" in html


def test_every_picture_has_a_text(tmp_path: Path):
    run = make_run(tmp_path)
    html = page(run, {plot.name: bytes(24) for plot in PLOTS})
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


def test_the_same_run_gives_the_same_page(tmp_path: Path):
    assert text_of(make_run(tmp_path)) == text_of(make_run(tmp_path))


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
    expected = {f"{plot.name}.{kind}" for plot in PLOTS for kind in ("png", "svg") if plot.draw(make_run(tmp_path))}
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


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ((0.91234, 0.90634, 0.91834), "0.9123 ± 0.0060"),
        ((0.1, 0.1, 0.1), "0.1 ± 0"),
        ((0.5, math.nan, math.nan), "0.5"),
        ((math.nan, math.nan, math.nan), ""),
        ((1234.0, 0.0, 2468.0), "1.23e+03 ± 1.2e+03"),
    ],
)
def test_means_are_rounded_to_their_interval(cells, text):
    assert with_interval(*cells) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (math.nan, ""), (100.0, "100"), (0.123456, "0.1235"), (3, "3"), ("x", "x")]
)
def test_numbers_read_well(value, text):
    assert number(value) == text


def test_this_branch_never_imports_torch():
    code = "import sys, winit_cli.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
