"""The report in other forms, and runs joined: the same numbers, and nothing in a name that means something else."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import webbrowser
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import refused, winit, winit_json, write
from frames import TWELVE, make_run

from winit_cli.errors import UsageError
from winit_cli.findings import Findings
from winit_cli.findings.numbers import ranked, with_interval
from winit_cli.report import FORMATS, joined_name, parse_formats, write_joined, write_run
from winit_cli.report.joined import document, join
from winit_cli.report.joined_page import joined_page
from winit_cli.report.latex import escaped as tex
from winit_cli.report.latex import latex
from winit_cli.report.markdown import escaped, joined_markdown, markdown
from winit_cli.store.frames import RunFrames

HOSTILE = ["a|b", "</td><script>x</script>", "*b* _c_ `d`", "e & f_g 50% #1 $x$ {y} ~ ^ \\z", "\x1b[31mred\nline"]


def named(run: RunFrames, name: str, **data: Any) -> RunFrames:
    return dataclasses.replace(run, config=run.config | {"name": name}, data=run.data | data)


def two(tmp_path: Path) -> list[Findings]:
    """A run in which kaiming_normal leads, and one on other data in which two cannot be told apart."""
    first = make_run(tmp_path / "a", ["xavier_normal", "kaiming_normal", "zeros"], seeds=8)
    second = make_run(tmp_path / "b", ["sparse", "orthogonal", "zeros", "normal"], seeds=8, lrs=(0.05, 0.1))
    runs = named(first, "mnist", fingerprint="aa"), named(second, "cnn_50%", fingerprint="bb")
    return [Findings(run) for run in runs]


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_formats_are_names_each_once() -> None:
    assert parse_formats(" html, MD,html") == ("html", "md")
    assert parse_formats(",".join(FORMATS)) == FORMATS


@pytest.mark.parametrize(("text", "said"), [("htm", "did you mean 'html'"), ("", "names no format"), ("html;md", "no")])
def test_unknown_formats_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape("--format")) as error:
        parse_formats(text)
    assert said in str(error.value).lower()


def test_only_what_is_asked_for_is_written(tmp_path: Path) -> None:
    run = Findings(make_run(tmp_path))
    assert write_run(run, ["md", "tex", "json"]) == [tmp_path / f"report.{kind}" for kind in ("md", "tex", "json")]
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.tex", "report.json"}
    assert write_run(run, ["svg"], tmp_path / "else") == [tmp_path / "else" / "figures"]
    assert {path.suffix for path in (tmp_path / "else" / "figures").iterdir()} == {".svg"}


def test_markdown_says_what_the_findings_say(tmp_path: Path) -> None:
    found = Findings(make_run(tmp_path, TWELVE, seeds=10, state="interrupted"))
    text = markdown(found)
    assert escaped(found.sentences[0]) in text and escaped(found.notices[0]) in text
    head, rule, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert cells_of(head)[:4] == ["rank", "label", "test accuracy", "test loss"]
    assert len(rows) == 12 and all(len(cells_of(line)) == len(cells_of(head)) for line in (rule, *rows))
    best = found.standings.iloc[0]
    assert cells_of(rows[0])[:3] == [
        "1",
        "kaiming_normal",
        with_interval(best["accuracy"], best["accuracy_low"], best["accuracy_high"]),
    ]
    assert sum("†" in row for row in rows) == 2, "ones and normal lost some"
    assert f"winit run {tmp_path}/config.yaml --results {tmp_path.parent}" in text


def test_markdown_holds_the_config(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    config = {**run.config, "name": "odd ```` fences"}
    text = markdown(Findings(dataclasses.replace(run, config=config)))
    (held,) = re.findall(r"`{5}yaml\n(.*?)\n`{5}", text, flags=re.DOTALL)
    assert yaml.safe_load(held) == config


def test_names_mean_nothing_in_markdown(tmp_path: Path) -> None:
    text = markdown(Findings(make_run(tmp_path, HOSTILE, seeds=3))).partition("```")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(cells_of(row)) for row in rows}) == 1 and len(rows) == 2 + len(HOSTILE)
    assert "<script" not in text.replace("\\<", "") and "\x1b" not in text
    assert r"\*b\* \_c\_ \`d\`" in text and "a\\|b" in text
    assert escaped("kaiming_normal") == "kaiming_normal"


def test_claims_stand_in_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c.yaml", claims=["zeros stuck", "zeros final_test_accuracy < 0.9"])
    winit("run", "c.yaml")
    (path,) = winit_json("report", "--format", "md")["reports"]
    text = Path(path).read_text(encoding="utf-8")
    head, _, *rows = text[text.index("| claim") :].splitlines()[:4]
    assert cells_of(head) == ["claim", "metric", "n", "effect", "ci_low", "ci_high", "p", "verdict"]
    assert [cells_of(row)[0] for row in rows] == ["zeros stuck", r"zeros final_test_accuracy \< 0.9"]


def test_runs_are_joined_by_label(tmp_path: Path) -> None:
    joined = join(two(tmp_path))
    assert joined.names == ["mnist", "cnn_50%"] and not joined.same_data
    assert joined.labels == ["kaiming_normal", "xavier_normal", "zeros", "orthogonal", "sparse", "normal"]
    first, second = (column.places for column in joined.columns)
    assert [label for label, place in first.items() if place.is_best] == ["kaiming_normal"]
    assert [label for label, place in first.items() if place.is_tied] == []
    marks = {label: (place.is_best, place.is_tied) for label, place in second.items()}
    assert sorted(marks[label] for label in ("orthogonal", "sparse")) == [(False, True), (True, False)]
    assert marks["zeros"] == marks["normal"] == (False, False)
    assert second["normal"].is_over_survivors and not second["zeros"].is_over_survivors


def test_a_tie_with_the_best_is_marked_though_ranks_differ(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["kaiming_normal", "xavier_normal", "zeros"], seeds=8)
    wide = dataclasses.replace(run, config=run.config | {"tie_margin": {"final_test_accuracy": 0.2}})
    (column,) = join([Findings(wide)]).columns
    place = column.places["xavier_normal"]
    assert place.row["rank_low"] == 2 and place.row["verdict"] == "tied" and place.is_tied


def test_what_learned_nothing_is_not_among_what_may_be_the_best(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["kaiming_normal", "xavier_normal", "zeros"], seeds=2)
    joined = join([Findings(run)])
    places = joined.columns[0].places
    assert places["zeros"].row["rank_low"] == 1, "two seeds leave every place open"
    assert [label for label, place in places.items() if place.is_tied] == ["xavier_normal"]
    assert [line.split(" & ")[0].strip() for line in latex(joined).splitlines() if r"\underline" in line] == [
        r"xavier\_normal"
    ]


def test_the_rank_is_spelled_alike_everywhere(tmp_path: Path) -> None:
    found = Findings(make_run(tmp_path, ["kaiming_normal", "xavier_normal", "zeros"], seeds=2))
    assert cells_of(markdown(found).split("| kaiming")[0].splitlines()[-1] + "|")[0] == "1 (1-3)"
    assert "rank 1 (1-3)" in joined_page(join([found]))
    assert ranked({"rank": 2, "rank_low": 1, "rank_high": 3}) == "2 (1-3)"
    assert ranked({"rank": 2, "rank_low": 2, "rank_high": 2}) == "2"


def test_variants_are_columns(tmp_path: Path) -> None:
    labels = [f"{scheme}@depth={depth}" for depth in (2, 9) for scheme in ("kaiming_normal", "zeros")]
    run = make_run(tmp_path, labels)
    joined = join([Findings(dataclasses.replace(run, config=run.config | {"baseline": "kaiming_normal"}))])
    assert [column.name for column in joined.columns] == ["synthetic, depth=2", "synthetic, depth=9"]
    assert joined.labels == ["kaiming_normal", "zeros"]


def test_differences_are_those_of_data_config_and_environment(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    changed = dataclasses.replace(one.run, env=one.run.env | {"torch": "2.12.0"})
    joined = join([Findings(changed), other])
    found = dict(joined.differences)
    assert found["data fingerprint"] == ["aa", "bb"] and found["train.lr"] == [[0.05], [0.05, 0.1]]
    assert found["torch"] == ["2.12.0", None] and "model.depth" not in found
    assert "scheme zeros" not in found and "scheme sparse" not in found and "labels" in found
    alike = join([one, Findings(dataclasses.replace(one.run, path=tmp_path / "c"))])
    assert alike.differences == [] and alike.same_data and alike.names == ["a", "c"]
    assert "The runs have different data" not in joined_markdown(alike)


def test_runs_of_two_kinds_are_not_joined(tmp_path: Path) -> None:
    runs = [named(make_run(tmp_path, task=task), task) for task in ("classification", "regression")]
    with pytest.raises(UsageError, match="not ranked by the same metric"):
        join([Findings(run) for run in runs])


def test_latex_is_one_table_ready_for_a_paper(tmp_path: Path) -> None:
    text = latex(join(two(tmp_path)))
    body = [line.strip() for line in text.splitlines() if line.strip().endswith(r"\\")]
    assert body[0] == r"Scheme & mnist & cnn\_50\% \\"
    assert all(len(re.findall(r"(?<!\\)&", row)) == 2 for row in body) and len(body) == 7
    assert text.count(r"\mathbf{") == 2 and text.count(r"\underline{") == 1 and r"^{\dagger}" in text
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"cnn\_50\%" in text and "underlined" in text and text.isascii()


def test_latex_of_one_run_and_of_small_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["kaiming_normal", "zeros", "ones"], seeds=3, task="regression")
    tiny = run.trials.assign(final_test_loss=[value and value * 1e-9 for value in run.trials["final_test_loss"]])
    text = latex(join([Findings(dataclasses.replace(run, trials=tiny))]))
    assert r"\times 10^{-" in text and r"ones & -- \\" in text and "e-" not in text.partition(r"\midrule")[2]


def test_names_mean_nothing_in_latex(tmp_path: Path) -> None:
    text = latex(join([Findings(make_run(tmp_path, HOSTILE))]))
    assert r"e \& f\_g 50\% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z" in text
    assert tex("π ≥ ü") == "π ? ü" and tex("a\nb") == "a b" and tex("\x1b") == r"\textbackslash{}x1b"


def test_the_joined_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.stack: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "meta":
                self.stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.stack.pop() == tag

    html = joined_page(join(two(tmp_path)))
    parser = Balance()
    parser.feed(html)
    assert parser.stack == []
    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')>\s]*)", html) == ["#main"]
    assert html.count('class="best"') == 2 and html.count('class="tied"') == 1
    assert "not in this run" in html and "over 8 seeds" in html and "data fingerprint" in html
    hostile = joined_page(join([Findings(make_run(tmp_path, HOSTILE)), *two(tmp_path)]))
    assert "<script" not in hostile and "\x1b" not in hostile


def test_joined_data_is_plain(tmp_path: Path) -> None:
    made = json.loads(json.dumps(document(join(two(tmp_path))), allow_nan=False))
    assert [row["label"] for row in made["rows"]][:2] == ["kaiming_normal", "xavier_normal"]
    assert made["rows"][0]["cells"][1] is None and made["rows"][0]["cells"][0]["best"] is True
    assert made["differences"]["train.lr"] == {"mnist": [0.05], "cnn_50%": [0.05, 0.1]}


def test_joined_files_and_their_place(tmp_path: Path) -> None:
    found = two(tmp_path)
    written = write_joined(join(found), FORMATS, tmp_path / "out")
    assert sorted(path.name for path in written) == ["report.html", "report.json", "report.md", "report.tex"]
    assert sorted((tmp_path / "out").iterdir()) == sorted(written)
    paths = [one.run.path for one in found]
    name = joined_name(paths)
    assert re.fullmatch(r"joined-[0-9a-f]{8}", name) and name != joined_name(paths[::-1])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "other"):
        write(tmp_path / f"{name}.yaml", name=name, seeds=2 + (name == "one"))
        assert winit("run", f"{name}.yaml", "--quiet").exit_code == 0
    return tmp_path


@pytest.mark.usefixtures("here")
def test_the_command_writes_each_run_and_the_joined_report() -> None:
    made = winit_json("report", "one", "other", "one", "--format", "md,tex")
    *own, md, tex = (Path(path) for path in made["reports"])
    assert [path.parent.name[:3] for path in own] == ["one", "one", "oth", "oth"]
    assert (md.parent, tex.name) == (tex.parent, "report.tex") and md.parent.name.startswith("joined-")
    assert [len(run["ranking"]) for run in made["runs"]] == [2, 2]
    assert made["joined"]["same_data"] is True and list(made["joined"]["differences"]) == ["seeds"]
    elsewhere = winit_json("report", "one", "other", "--format", "json", "--output", "out")
    assert elsewhere["reports"][-1] == "out/report.json"
    assert json.loads(Path("out/report.json").read_text()) == made["joined"]
    assert {row["run"] for row in winit_json("list", "runs")} == {run["run"].partition("/")[2] for run in made["runs"]}


@pytest.mark.usefixtures("here")
def test_the_command_gives_findings_to_scripts() -> None:
    made = winit_json("report", "one", "--format", "json")
    (path,) = made.pop("reports")
    assert made == winit_json("run", "one.yaml") == json.loads(Path(path).read_text())


def test_faults_of_the_command(here: Path) -> None:
    assert "did you mean 'html'" in refused("report", "one", "--format", "html5").lower()
    assert "--open shows the page" in refused("report", "one", "--format", "md", "--open")
    write(
        here / "loss.yaml",
        name="loss",
        data={"name": "adding", "length": 5, "train_size": 64, "test_size": 16},
        model={"name": "rnn", "hidden": 4},
    )
    winit("run", "loss.yaml")
    result = winit("report", "one", "loss", "--format", "md")
    assert result.exit_code == 2 and "not ranked by the same metric" in result.stderr
    assert not list(here.glob("results/*/report.md")), "nothing is written of runs that cannot be joined"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("is_there", [True, False])
def test_open_shows_the_page_or_says_where_it_is(is_there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def show(address: str) -> bool:
        shown.append(address)
        if not is_there:
            raise webbrowser.Error("no browser")
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    result = winit("report", "one", "--format", "html", "--open")
    assert result.exit_code == 0
    (address,) = shown
    assert address.startswith("file:///") and address.endswith("/report.html")
    assert ("no browser could be started here; the page is /" in result.stderr) is not is_there


def test_a_run_that_still_goes_on_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path / "c.yaml",
        seeds=3,
        train={"lr": [0.1, 0.2], "batch_size": 16, "steps": 200_000},
        engine="serial",
        checkpoint_seconds=0.05,
        measure={"every": 1000, "test_every": 100_000},
    )
    command = [sys.executable, "-m", "winit_cli", "run", "c.yaml", "--quiet"]
    going = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("results/*/status.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        made = winit_json("report", "--format", "md,tex,json")
        assert going.poll() is None, "it is still going on"
        assert made["state"] == "running" and made["trials"]["pending"] > 0
        assert "This run is not whole: its state is running" in made["notices"][0]
        assert "still going on" in Path(made["reports"][0]).read_text(encoding="utf-8")
    finally:
        going.send_signal(signal.SIGTERM)
        assert going.wait(timeout=60) == 143
    assert os.path.isfile(made["reports"][1])  # noqa: PTH113
