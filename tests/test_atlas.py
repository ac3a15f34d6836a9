"""The atlas: configs of published findings, and the table of what came of their claims."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandas import DataFrame
from small import Heard, run_of

from winit_cli.atlas import COLUMNS, MARKS, between_marks, finding_of, findings, rows_of, table
from winit_cli.cli.sources import Changes, load
from winit_cli.findings import Findings
from winit_cli.findings.tables import steps_of
from winit_cli.plan import make_plan
from winit_cli.runner import run_plan
from winit_cli.store.frames import read_run

ROOT = Path(__file__).parent.parent
RECORDED = pd.read_csv(ROOT / "results" / "atlas" / "atlas.csv")
OF_THE_MACHINE = {"papers/constants"}  # where rounding splits equal units depends on the processor's vectors
HEADER = """# yaml-language-server: $schema=x.json
#
# Someone 2015: what was found
#
# Source: Someone 2015, A paper (arXiv:1),
# section 2.
#
# What one learns.
name: x
"""


def test_every_config_says_what_was_found_and_by_whom() -> None:
    found = findings()
    assert len(found) >= 7
    for finding in found:
        assert ": " in finding.title and len(finding.title) < 120 and len(finding.source) > 20, finding.config
        config = load(finding.config, Changes([]))
        assert config.claims and len(config.base.general.seeds) >= 6
        assert config.base.general.name == finding.config.removeprefix("papers/")


def test_a_header_is_read_in_paragraphs() -> None:
    found = finding_of("papers/x", HEADER)
    assert (found.title, found.source) == (
        "Someone 2015: what was found",
        "Someone 2015, A paper (arXiv:1), section 2",
    )


def test_a_header_may_ask_for_a_picture() -> None:
    header = HEADER.replace("name: x", "#\n# Picture: winit probe papers/x --sigma-w 1:2:1\n# --depths 2,3\nname: x")
    found = finding_of("papers/x", header)
    assert (found.picture, found.file) == ("papers/x --sigma-w 1:2:1 --depths 2,3", "x.png")
    rows = DataFrame([(found.title, found.source, "a < b", "1", "0.1", "supported", "3")], columns=list(COLUMNS))
    assert table(rows, [found], "f/").endswith("\n\n![winit probe papers/x --sigma-w 1:2:1 --depths 2,3](f/x.png)\n")
    assert "![" not in table(rows)


def test_a_row_for_each_claim(tmp_path: Path) -> None:
    claims = "claims=[kaiming_normal final_train_loss < 100, kaiming_normal stuck]"
    run = read_run(run_of(tmp_path, claims, "seeds=6").directory)
    first, second = rows_of(finding_of("papers/x", HEADER), run)
    assert len(first) == len(COLUMNS)
    assert first[2] == "kaiming_normal final_train_loss < 100" and first[5] == "supported"
    assert run.probe_seconds > 0
    assert first[6] == f"{run.probe_seconds + run.timings['seconds'].sum():.0f}"
    assert first[3].count(" to ") == 1 and second[2] == "kaiming_normal stuck"
    text = table(DataFrame([first, second], columns=list(COLUMNS)))
    assert text.startswith("**Someone 2015: what was found** (Someone 2015, A paper (arXiv:1), section 2; ")
    assert text.count("| `kaiming_normal ") == 2


def _fast_half() -> list[str]:
    """The configs of the findings that took the fewest seconds when the table was made, half of all."""
    recorded = RECORDED.drop_duplicates("finding").sort_values("seconds", kind="stable")
    titles = list(recorded["finding"].head((len(recorded) + 1) // 2))
    return [found.config for found in findings() if found.title in titles and found.config not in OF_THE_MACHINE]


@pytest.mark.slow
@pytest.mark.parametrize("config", _fast_half())
def test_the_fast_half_comes_out_as_recorded(config: str, tmp_path: Path) -> None:
    plan = make_plan(load(config, Changes([])), "cpu")
    run = read_run(run_plan(plan, tmp_path, Heard()).directory, steps_of(plan.config.claims))
    (title,) = (found.title for found in findings() if found.config == config)
    recorded = RECORDED[RECORDED["finding"] == title]
    claims = Findings(run).claims
    assert dict(zip(claims["claim"], claims["verdict"], strict=True)) == dict(
        zip(recorded["claim"], recorded["verdict"], strict=True)
    )


def test_the_table_goes_between_its_marks() -> None:
    page = f"a\n{MARKS[0]}old\n{MARKS[1]}b\n"
    assert between_marks(page, "new") == f"a\n{MARKS[0]}\nnew\n{MARKS[1]}b\n"
    assert between_marks(between_marks(page, "new"), "new") == between_marks(page, "new")
    with pytest.raises(AssertionError, match="both marks"):
        between_marks("a", "new")


def test_the_readme_has_the_table_of_the_last_run() -> None:
    page, made = (ROOT / "README.md").read_text(), (ROOT / "results" / "atlas" / "README.md").read_text()
    assert made.removeprefix("# Atlas\n\n").replace("](", "](results/atlas/") in page
    assert [finding.title for finding in findings() if finding.title not in made] == []
