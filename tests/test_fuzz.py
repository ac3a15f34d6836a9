"""Whatever a config holds, `winit check` answers with exit code 0 or 2 and a message, and writes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import SMALL, winit
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from winit_cli.data import DATASETS
from winit_cli.tables import options_of

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
TEXTS = [yaml.safe_dump(SMALL, sort_keys=False), *(path.read_text(encoding="utf-8") for path in CONFIGS)]
LINES = [line for text in TEXTS for line in text.splitlines()]
HUGE = [2**31 - 1, 2**31, 2**63, 10**30, 10**400]
NUMBERS = [0, 1, 2, -1, 3.5, 1e-3, -0.0, 1e-320, 1e308, 2**53 + 1, *HUGE, float("nan"), float("inf"), -float("inf")]
NESTED = [[], {}, [[]], [[1, [2]]], {"a": {"b": []}}, [None], {"": None}, {"name": "mlp"}, {"scheme": "zeros"}]
WORDS = ["", " ", "auto", "mlp", "zeros", "ZEROS__", "none", "relu", "../../x", "/", "python:x", "net.py:Net", "é層💥"]
SCALARS = (
    *("", "~", "null", "NaN", ".nan", ".inf", "-.inf", "-0", "-0.0", "0x1F", "0o17", "1_000", "1:30:00", "1e400"),
    *("1e-3", "9" * 50, "9" * 5000, "2026-01-01", "2026-01-01T00:00:00Z", "yes", "no", "=", "<<", "!!int x", "!x y"),
    *("!!python/object:os.system {}", "!!python/name:os.system", "!!binary aGk=", "!!set {a}", "!!omap [a: 1]"),
    *("&a [*a]", "*a", "&a 1", "<<: {a: 1}", "{<<: *a}", "[[[[]]]]", "[1, [2, {3: 4}]]", "{a: {b: {c: d}}}", "[,]"),
    *("[" * 60 + "]" * 60, "'", '"', "|", ">", "%", "@", "`", "? a", "- -", "---", "...", "#", "\t", "\x00", "{,}"),
    *('"\\e[31m"', '"\\0"', '"\\uD800"', "\x85", "\ufeff", "\u202e", "\ud7ff", "💥", "a: b: c", "[red]x[/red]"),
    *("$x_{", "\x1b[31m", "!!null x", *map(str, NUMBERS)),
)
BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(f"b{i}: &a [*a, *a, *a, *a, *a, *a, *a]\n" for i in range(12))
# names that a config may have, some of them where they do not belong
WRITTEN = {word for line in LINES for word in re.findall(r"(\w+):", line)}
KEYS = sorted(WRITTEN | {"vary", "fallback", "clip_norm", "path"})
OPTIONS = {
    name: sorted(options_of(DATASETS[name].load).model_fields) for name in ("gaussian", "adding", "copying", "npz")
}
# deep models are built layer by layer, even without memory, and many seeds are many trials: slow, not wrong
SLOW = re.compile(r"(depth|layers|channels|seeds)[^a-z\n]*[0-9_]{4}")


def edits(draw: Callable[[st.SearchStrategy[Any]], Any], lines: list[str]) -> list[str]:
    """The lines with one of them deleted, doubled, replaced, moved, or with another value or indentation."""
    at = draw(st.integers(0, max(0, len(lines) - 1)))
    before, line, after = lines[:at], "".join(lines[at : at + 1]), lines[at + 1 :]
    how = draw(st.sampled_from(["delete", "double", "replace", "value", "value", "value", "indent", "insert", "cut"]))
    if how == "value":  # a word or number after a colon, comma or bracket
        places = list(re.finditer(r"(?<=[:,\[{] )[^,:\]}#]+|(?<=[\[{])[^,:\]}#]+", line))
        scalar = draw(st.sampled_from(SCALARS))
        place = draw(st.sampled_from(places)) if places else None
        return [*before, line if place is None else line[: place.start()] + scalar + line[place.end() :], *after]
    changed = {
        "delete": [],
        "double": [line, line],
        "replace": [draw(st.sampled_from(LINES))],
        "indent": [" " * draw(st.integers(0, 5)) + line.lstrip()],
        "insert": [line, draw(st.sampled_from([*LINES, *SCALARS, *BOMB.splitlines()]))],
        "cut": [line[: draw(st.integers(0, len(line)))]],
    }
    return [*before, *changed[how], *after]


@st.composite
def mutated(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """A valid config after a few edits."""
    lines = draw(st.sampled_from(TEXTS)).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        lines = edits(draw, lines)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


VALUES = st.recursive(
    st.sampled_from([None, True, False, *NUMBERS, *WORDS]) | st.text(max_size=8) | st.integers(-3, 40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def structured(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """The small config with some keys, of the top level and of sections, taken away or given any value."""
    config: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in SMALL.items()}
    sections = [config, *(value for value in config.values() if isinstance(value, dict))]
    for _ in range(draw(st.integers(1, 4))):
        section = draw(st.sampled_from(sections))
        key = draw(st.sampled_from([*section, *KEYS]))
        section.pop(key, None)
        if draw(st.booleans()):
            section[key] = draw(st.sampled_from(NESTED) | VALUES)
    return dumped(config)


def dumped(config: dict[str, Any]) -> bytes:
    """As a file."""
    text: bytes = yaml.dump(config, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return text


@st.composite
def other_data(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """The small config with other data, of any size."""
    name = draw(st.sampled_from(sorted(OPTIONS)))
    options = st.dictionaries(
        st.sampled_from(OPTIONS[name]), st.sampled_from([*NUMBERS, *HUGE, *WORDS, "~x/y", "a" * 5000])
    )
    return dumped({**SMALL, "data": {**draw(options), "name": name}})


GARBAGE = st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
KINDS = {"mutated": mutated(), "structured": structured(), "data": other_data(), "garbage": GARBAGE}


def outside_the_cache(folder: Path) -> list[Path]:
    """What lies in a folder beside the cache of data."""
    return sorted(path for path in folder.rglob("*") if folder / "cache" not in (path, *path.parents))


def answer(content: bytes, json: bool) -> None:
    """Check the file; ``winit`` refuses tracebacks and internal errors."""
    if SLOW.search(content.decode("utf-8", "replace")):
        return
    Path("c.yaml").write_bytes(content)
    before = outside_the_cache(Path.cwd())
    result = winit("check", "c.yaml", *(["--json"] if json else []))
    assert result.exit_code in (0, 2), result.output
    assert outside_the_cache(Path.cwd()) == before
    if result.exit_code == 2:
        assert result.stdout == ""
        assert result.stderr.startswith("winit: ")
        assert len(result.stderr) < 20_000
        assert all(letter.isprintable() or letter == "\n" for letter in result.stderr)


def fuzzing(examples: int) -> settings:
    """The same examples each time, without a database of failures."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One working directory for all examples, with the cache inside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fuzz"))
        patch.setenv("WINIT_CACHE", "cache")
        yield


@fuzzing(100)
@given(st.one_of(*KINDS.values()), st.booleans())
@example(BOMB.encode(), False)
@example(b"", True)
def test_check_answers_whatever_a_config_holds(content: bytes, json: bool) -> None:
    answer(content, json)


@pytest.mark.slow
@pytest.mark.parametrize("contents", KINDS.values(), ids=KINDS)
def test_check_answers_many_configs(contents: st.SearchStrategy[bytes]) -> None:
    fuzzing(500)(given(contents, st.booleans())(answer))()
