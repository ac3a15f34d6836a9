"""Random and mutated configs: never a traceback, exit code 0 or 2 only, nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import SMALL, winit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CONFIGS = Path(__file__).parents[1] / "configs"
SHIPPED = [path.read_text(encoding="utf-8") for path in sorted(CONFIGS.glob("*.yaml"))]
TEXTS = [yaml.safe_dump(SMALL, sort_keys=False), *SHIPPED]

HOSTILE = [
    *("", "null", "~", "true", "no", "0", "-1", "-0.0", "1e400", ".nan", ".inf", "-.inf", "1e-400", "0x10", "1_000"),
    *("99999999999999999999999999", "[]", "{}", "[[[]]]", "[1, [2, {a: 3}]]", "{a: {b: {c: d}}}", "2026-11-24", "1:30"),
    *(
        "!!python/object/apply:os.system [ls]",
        "!!binary aGk=",
        "!!set {a}",
        "&a [*a]",
        "*b",
        "<<: *c",
        "|",
        ">-",
        "? x",
    ),
    *("'", '"', "\\x00", "\t", "\u202e", "\ufeff", "\U0001f600", "é" * 300, "../../x", "/etc/passwd", "a/b", "=cmd()"),
    *("[red]x[/red]", "<script>", "\x1b[31m", "{{ 7 * 7 }}", "%s%n", "net.py:Net", "__import__('os')", "mlp", "zeros"),
]
KEYS = [
    *("name", "model", "data", "schemes", "train", "seeds", "vary", "measure", "baseline", "engine", "precision"),
    *("checkpoint_seconds", "claims", "width", "depth", "activation", "lr", "steps", "epochs", "optimizer", "momentum"),
    *("scheme", "label", "rules", "params", "layers", "others", "bias", "fallback", "model.depth", "train.lr", "nmae"),
]

small_numbers = st.integers(-3, 40)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    small_numbers,
    st.floats(width=16),
    st.sampled_from([10**30, -(10**30), float("nan"), float("inf"), 1e-320]),
    st.sampled_from(["mlp", "cnn", "lstm", "digits", "gaussian", "adam", "relu", "kaiming_normal", "xavier", "auto"]),
    st.text(max_size=12),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A config that was right, with lines taken out, doubled, swapped, or with another value."""
    lines = draw(st.sampled_from(TEXTS)).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["drop", "double", "value", "insert", "swap", "cut", "indent"]))
        line = lines[at]
        if how == "drop" and len(lines) > 1:
            del lines[at]
        elif how == "double":
            lines.insert(at, line)
        elif how == "value":
            lines[at] = line.partition(":")[0] + ": " + draw(st.sampled_from(HOSTILE))
        elif how == "insert":
            lines.insert(at, draw(st.sampled_from(KEYS)) + ": " + draw(st.sampled_from(HOSTILE)))
        elif how == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], line
        elif how == "cut":
            lines[at] = line[: draw(st.integers(0, len(line)))]
        else:
            lines[at] = " " * draw(st.integers(0, 5)) + line
    return "\n".join(lines).encode(errors="surrogatepass")


@st.composite
def made(draw: st.DrawFn) -> bytes:
    """The small config with values of any kind at some of its places."""
    config: dict[str, Any] = {**SMALL}
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(KEYS[:13]))
        if isinstance(config.get(key), dict) and draw(st.booleans()):
            inner = draw(st.sampled_from([*config[key], *KEYS]))
            config[key] = {**config[key], inner: draw(values)}
        else:
            config[key] = draw(values)
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode(errors="replace")


texts = mutated() | made() | st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode())
quietly = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": False,
}


def check(text: bytes) -> None:
    """What must hold for any file."""
    Path("c.yaml").write_bytes(text)
    before = sorted(Path.cwd().rglob("*"))
    result = winit("check", "c.yaml")
    assert result.exit_code in (0, 2), result.output
    assert result.exit_code == 0 or (result.stdout == "" and result.stderr.startswith("winit: "))
    assert not any(ord(letter) < 32 and letter != "\n" for letter in result.stderr)
    assert sorted(Path.cwd().rglob("*")) == before


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@settings(max_examples=100, **quietly)
@given(text=texts)
def test_any_config_is_checked_or_refused_in_words(text: bytes) -> None:
    check(text)


@pytest.mark.slow
@settings(max_examples=1500, **quietly)
@given(text=texts)
def test_many_configs_are_checked_or_refused_in_words(text: bytes) -> None:
    check(text)
