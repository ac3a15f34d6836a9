"""A headless browser for the tests of the report, and what they measure in its pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# every text that can be seen whose contrast with what lies behind it is too small
CONTRAST = """
() => {
  const numbers = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (a === 1 && r !== undefined) return [r, g, b];
    }
    throw new Error("nothing opaque lies behind " + node.outerHTML.slice(0, 80));
  };
  const found = [];
  let seen = 0;
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || ["SCRIPT", "STYLE"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const color = numbers(node instanceof SVGElement ? style.fill : style.color);
    const back = behind(node);
    const [high, low] = [light(color), light(back)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    seen += 1;
    const said = node.textContent.trim().slice(0, 40);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${said} (${color} on ${back})`);
  }
  return { seen, found: [...new Set(found)] };
}
"""

# elements that reach out of the page at the right and lie in no box of their own that scrolls
OVERFLOW = """
() => {
  const width = document.documentElement.clientWidth;
  const inBox = (node) => {
    for (let at = node.parentElement; at; at = at.parentElement)
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(at).overflowX)) return true;
    return false;
  };
  const out = [...document.querySelectorAll("body *")].filter(
    (node) => node.checkVisibility() && node.getBoundingClientRect().right > width + 1 && !inBox(node));
  return { page: document.documentElement.scrollWidth - width, out: out.map((node) => node.outerHTML.slice(0, 80)) };
}
"""

# images and drawings without a text, and controls without a name
UNNAMED = """
() => {
  const named = (node) => node.getAttribute("aria-label")?.trim() || node.getAttribute("aria-hidden") === "true";
  const pictures = [...document.querySelectorAll("img")].filter((node) => !node.alt.trim());
  const drawings = [...document.querySelectorAll("svg")].filter((node) => !named(node));
  const controls = [...document.querySelectorAll("button, input, [tabindex='0']")].filter(
    (node) => !named(node) && !node.textContent.trim() && !node.closest("label")?.textContent.trim());
  return [...pictures, ...drawings, ...controls].map((node) => node.outerHTML.slice(0, 80));
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a module."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install winit[dev]"
    )
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"there is no browser: none of {', '.join(NAMES)} is on the path")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


class Opened:
    """A page, and all that its browser complained about or asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def asked_for(self) -> list[str]:
        """What was loaded but for pictures inside of the page."""
        return [url for url in self.requests if not url.startswith("data:image/png")]
