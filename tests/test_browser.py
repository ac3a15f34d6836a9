"""The report in a real browser: it works from a file, by mouse and by keys, in both themes, without scripts too."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRAST, OVERFLOW, UNNAMED, Opened, browser
from frames import make_run

from winit_cli.report import render

__all__ = ["browser"]

pytestmark = pytest.mark.xdist_group("browser")
LABELS = ["kaiming_normal", "zeros", "normal", "xavier_normal", '</script><i>odd</i> & "label" of sixty-four letters']
WIDTHS = (390, 1440)
THEMES = ("light", "dark")
Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every section: several rates, some diverged and stuck trials, and a label of odd letters."""
    folder = tmp_path_factory.mktemp("report")
    run = make_run(folder, LABELS, seeds=4, lrs=(0.05, 0.1), state="running")
    long = {**run.config, "name": "an-experiment-with-" + 6 * "quite-a-long-name"}
    path = folder / "report of a run.html"
    path.write_text(render(dataclasses.replace(run, config=long)), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Open]:
    """Opens the report; afterwards nothing may have been complained about or loaded."""
    pages: list[Opened] = []

    def open_with(**options: Any) -> Opened:
        pages.append(Opened(browser, report, **options))
        return pages[-1]

    yield open_with
    for one in pages:
        complaints, asked = one.complaints, one.asked_for()
        one.context.close()
        assert complaints == []
        assert set(asked) == {report.as_uri()}


def column(page: Any, anchor: str, place: int) -> list[str]:
    """The texts of a column of the first table of a section, of the rows that are shown."""
    cells = page.locator(f"#{anchor} table >> nth=0").locator(f"tbody tr:not([hidden]) > :nth-child({place})")
    return [text.strip() for text in cells.all_text_contents()]


CUT = """
() => [...document.querySelectorAll("#ranking .scroll")].map((box) => ({
  beyond: box.scrollWidth - box.clientWidth, hint: getComputedStyle(box).backgroundImage.includes("gradient"),
  focusable: box.tabIndex === 0 && box.getAttribute("role") === "group"}))
"""


@pytest.mark.parametrize("width", [390, 800, 1200, 1280, 1440])
def test_what_a_table_has_beyond_its_edge_is_hinted_at_and_reached_by_keys(opened: Open, width: int):
    page = opened(viewport={"width": width, "height": 900}).page
    (ranking,) = page.evaluate(CUT)
    assert ranking["hint"] and ranking["focusable"]
    assert (ranking["beyond"] > 0) == (width < 1200), "from 1200 pixels on nothing is cut off"
    box = page.locator("#ranking .scroll")
    box.focus()
    box.evaluate("(node) => (node.scrollLeft = node.scrollWidth)")
    why = page.locator("#ranking tbody tr >> nth=0").locator("td.why")
    assert why.bounding_box()["x"] + why.bounding_box()["width"] <= width
    page.emulate_media(media="print")
    assert not page.evaluate(CUT)[0]["hint"]


def test_tables_sort_by_mouse_and_by_keys(opened: Open):
    page = opened().page
    head = page.locator("#trials thead th").nth(2)
    before = column(page, "trials", 3)
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, "trials", 3) == sorted(before, key=int)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, "trials", 3) == sorted(before, key=int, reverse=True)
    head.locator("button").press("Space")
    assert head.get_attribute("aria-sort") == "none"
    assert column(page, "trials", 3) == before


def test_numbers_sort_as_numbers_and_blanks_stay_last(opened: Open):
    page = opened().page
    names = page.locator("#trials thead th").all_text_contents()
    place = names.index("final_test_loss") + 1
    for _ in range(2):
        page.locator("#trials thead th").nth(place - 1).locator("button").click()
        texts = column(page, "trials", place)
        numbers = [float(text) for text in texts if text]
        assert numbers in (sorted(numbers), sorted(numbers, reverse=True))
        assert texts[: len(numbers)] == [text for text in texts if text]
        assert len(numbers) < len(texts)


def test_tables_filter_by_all_words(opened: Open):
    page = opened().page
    page.locator("#trials input").fill("Normal diverged")
    assert set(column(page, "trials", 1)) == {"normal"}
    assert page.locator("#trials .count").text_content() == "4 of 40 rows"
    page.locator("#trials input").fill("")
    assert len(column(page, "trials", 1)) == 40


def test_labels_toggle_in_all_charts(opened: Open):
    page = opened().page
    mine = page.locator('.series[data-key="1"]')
    assert mine.count() >= 8
    page.locator("#curves .legend input").nth(1).uncheck()
    assert not any(mine.nth(place).is_visible() for place in range(mine.count()))
    assert page.locator('.series[data-key="0"]').first.is_visible()
    assert not page.locator("#gradients .legend input").nth(1).is_checked()
    page.locator("#rates .legend [data-all='1']").click()
    assert mine.first.is_visible()
    page.locator("#rates .legend [data-all='']").click()
    assert page.locator(".series:not(.off)").count() == 0


def test_pointing_at_a_chart_reads_its_values(opened: Open):
    page = opened().page
    chart = page.locator("#curves .plot").first
    cursor, readout = chart.locator(".cursor"), chart.locator(".readout")
    cursor.scroll_into_view_if_needed()
    box = cursor.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 10)
    assert readout.locator("b").text_content() == "step 50"
    names = readout.locator("span").all_text_contents()
    assert sorted(names) == sorted(LABELS)
    shown, plot = readout.bounding_box(), chart.bounding_box()
    assert shown["height"] < plot["height"]
    assert plot["x"] <= shown["x"] and shown["x"] + shown["width"] <= plot["x"] + plot["width"]
    page.locator("#curves .legend input").first.uncheck()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 10)
    assert readout.locator("b").text_content() == "step 30"
    assert "kaiming_normal" not in readout.locator("span").all_text_contents()
    page.mouse.move(5, 5)
    assert not readout.is_visible()


def test_arrow_keys_read_a_chart(opened: Open):
    page = opened().page
    chart = page.locator("#curves .plot").first
    cursor = chart.locator(".cursor")
    for key, step in (("Home", 0), ("ArrowRight", 10), ("PageUp", 20), ("ArrowLeft", 10), ("End", 100)):
        cursor.press(key)
        assert cursor.get_attribute("aria-valuetext").startswith(f"step {step}, ")
        assert chart.locator(".readout b").text_content() == f"step {step}"
    assert "kaiming_normal 0." in cursor.get_attribute("aria-valuetext")
    cursor.press("Escape")
    assert not chart.locator(".readout").is_visible()


def test_readouts_name_layers_and_rates(opened: Open):
    page = opened().page
    for section, text in (("gradients", "weight tensor layers.0.weight"), ("rates", "learning rate 0.05")):
        chart = page.locator(f"#{section} .plot").first
        chart.locator(".cursor").press("Home")
        assert chart.locator(".readout b").text_content() == text


@pytest.mark.parametrize("theme", THEMES)
def test_the_theme_follows_the_system_until_it_is_chosen(opened: Open, theme: str):
    page = opened(color_scheme=theme).page
    other = THEMES[1 - THEMES.index(theme)]
    back = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(back)
    page.locator("#theme").click()
    assert page.locator("html").get_attribute("data-theme") == other
    assert page.evaluate(back) != first
    page.reload()
    assert page.evaluate(back) != first
    page.locator("#theme").press("Enter")
    assert page.evaluate(back) == first


def test_keys_reach_everything_and_the_first_skips_to_the_answer(opened: Open):
    page = opened().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineWidth"
    assert page.evaluate("document.activeElement !== document.body")
    assert page.evaluate(outline) == "3px"


def test_the_page_says_everything_without_scripts(opened: Open):
    page = opened(java_script_enabled=False).page
    assert page.locator("#ranking tbody tr").first.is_visible()
    assert page.locator("#curves .plot svg").first.is_visible()
    for useless in ("#theme", ".tools", ".legend input", ".every", ".cursor", ".sort"):
        assert not any(each.is_visible() for each in page.locator(useless).all())
    page.locator("#curves details summary").first.click()
    assert page.locator("#curves details table").first.is_visible()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_and_texts_stand_out(opened: Open, width: int, theme: str):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=theme).page
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert page.evaluate(OVERFLOW) == {"page": 0, "out": []}
    contrast = page.evaluate(CONTRAST)
    assert contrast["seen"] > 500
    assert contrast["found"] == []


def test_pictures_drawings_and_controls_have_names(opened: Open):
    assert opened().page.evaluate(UNNAMED) == []


def test_headings_landmarks_and_ids_are_in_order(opened: Open):
    page = opened().page
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((node) => Number(node.tagName[1]))")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("main", "nav", "header"):
        assert page.locator(landmark).count() == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(set(ids)) == len(ids)
    targets = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((n) => n.hash.slice(1))")
    assert all(page.locator(f"[id='{target}']").count() == 1 for target in targets)


def test_a_printed_page_has_no_controls(opened: Open):
    page = opened(color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for useless in ("nav", "#theme", ".tools", ".cursor"):
        assert not page.locator(useless).first.is_visible()
