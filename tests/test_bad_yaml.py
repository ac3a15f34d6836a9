"""Files that are no config: not there, not text, not YAML, not plain data."""

from __future__ import annotations

import pytest
from commands import refused, refused_text

from winit_cli.config.document import MAX_BYTES

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{there}: &{there} [{', '.join([f'*{here}'] * 10)}]\n" for here, there in zip("abcdefgh", "bcdefghi", strict=True)
)

TEXTS: list[tuple[str, str | bytes, str]] = [
    ("not UTF-8", b"name: x\nmodel: caf\xe9\n", "c.yaml:2: not UTF-8 text (byte 18); save the file as UTF-8"),
    ("UTF-16", "name: x".encode("utf-16"), "c.yaml:1: not UTF-8 text (byte 0); save the file as UTF-8"),
    ("empty", "", "c.yaml: 'model' is required, e.g. model: mlp; known: mlp, cnn, lstm, gru, rnn"),
    ("a list", "[1, 2]", "c.yaml: expected a mapping like 'name: mnist', got [1, 2]"),
    ("unclosed", "a: [1, 2\n", "c.yaml:2:1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ("colons", "a: b: c", "c.yaml:1:5: not valid YAML: mapping values are not allowed here; put text that contains"),
    ("tabs", "model:\n\tname: x", "c.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token; ind"),
    ("two documents", "a: 1\n---\nb: 2\n", "expected a single document in the stream, but found another document; a"),
    ("control character", "a: 1\nb: x\x07\n", "c.yaml:2:5: not valid YAML: the character U+0007 is not allowed"),
    ("null character", 'a: "x\\0"', "c.yaml:1:4: the character U+0000 is not allowed; remove it"),
    (
        "Python tag",
        "name: !!python/object/apply:os.system ['touch pwned']",
        "c.yaml:1:7: the tag !!python/object/apply:os.system is not allowed; a config holds plain data only, remove it",
    ),
    ("own tag", "a: 1\nname: !custom x", "c.yaml:2:7: the tag !custom is not allowed; a config holds plain data only"),
    ("alias bomb", BOMB, "not valid YAML: more than 20,000 values after aliases are expanded"),
    ("alias of itself", "a: &a [*a]", "c.yaml:1:4: not valid YAML: an alias contains itself; write the values out"),
    ("no such alias", "a: *b", "c.yaml:1:4: not valid YAML: found undefined alias 'b'; put text that begins with *"),
    ("deep nesting", "a: " + "[" * 3000 + "]" * 3000, "c.yaml:1:53: not valid YAML: nested deeper than 50 levels"),
    ("deep blocks", "- " * 3000 + "x", "c.yaml:1:101: not valid YAML: nested deeper than 50 levels; a config has far"),
    ("duplicate key", "name: a\nname: b\n", "c.yaml:2:1: the key 'name' is given twice; remove one"),
    ("key of a list", "? [a, b]\n: 1\n", "c.yaml:1:3: a key must be plain text, not a list or mapping"),
    ("unreadable number", "seeds: !!int abc", "c.yaml:1:8: cannot read the value 'abc' as int"),
    ("unreadable truth", "seeds: !!bool 7", "c.yaml:1:8: cannot read the value '7' as bool"),
    ("empty number", "seeds: !!float ''", "c.yaml:1:8: cannot read the value '' as float"),
    ("endless number", "seeds: " + "9" * 5000, f"c.yaml:1:8: cannot read the value '{'9' * 80}…' as int"),
    ("too long", "#" * (MAX_BYTES + 1), "c.yaml is longer than 1,000,000 bytes, which no config is"),
]


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_fault_of_a_text(text: str | bytes, message: str) -> None:
    said = refused_text(text)
    assert message in said
    assert len(said) < 3000


def test_values_in_messages_are_kept_short_and_cannot_steer_the_terminal() -> None:
    said = refused_text('name: "' + "y" * 3000 + '"\n"\\e[31mred": 1\n')
    assert f"got {'y' * 80}…" in said
    assert "\x1b" not in said
    assert "unknown key '\\x1b[31mred'" in said


FILES = {
    "missing": ("nope.yaml", "nope.yaml does not exist; winit init nope.yaml writes a starter"),
    "a directory": (".", ". is a directory; give a YAML file (winit init NEW.yaml writes a starter)"),
    "no packaged one": ("mnits", "no file 'mnits' and no packaged config of that name; did you mean 'mnist'?"),
    "endless": ("/dev/zero", "/dev/zero is longer than 1,000,000 bytes, which no config is; give a YAML file"),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(("name", "message"), FILES.values(), ids=FILES)
def test_file_that_is_no_config(command: str, name: str, message: str) -> None:
    assert message in refused(command, name)
