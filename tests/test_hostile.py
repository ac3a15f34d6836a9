"""Names and configs made to break out, to run something, or to fill the memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from commands import refused, refused_text, refused_with, winit, winit_json, write

from winit_cli.config.plain_yaml import MAX_DEPTH
from winit_cli.config.vary import MAX_VARIANTS
from winit_cli.plots.style import literal, short

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory
of_the_run = pytest.mark.xdist_group("hostile names")  # where the run is made

PARTS = ["[red]x[/red]", "<script>alert(1)</script>", "=cmd()", "$x_{$", "\x1b[31mred", "@层\u202e:bomb:"]
NET = f"""
from torch import nn

class Net(nn.ModuleDict):
    def __init__(self, in_features, num_classes):
        super().__init__({{name: nn.Linear(in_features, in_features) for name in {PARTS!r}}})
        self.head = nn.Linear(in_features, num_classes)

    def forward(self, x):
        for part in self.values():
            x = part(x)
        return x
"""


def nested(depth: int) -> str:
    """Lists inside each other under one key, each a level deeper than the mapping around."""
    return "a: " + "[" * (depth - 1) + "]" * (depth - 1)


class TestYaml:
    def test_depth(self) -> None:
        assert "unknown key 'a'" in refused_text(nested(MAX_DEPTH))
        assert f"nested deeper than {MAX_DEPTH} levels; a config has far fewer" in refused_text(nested(MAX_DEPTH + 1))

    def test_depth_by_aliases(self) -> None:
        half = MAX_DEPTH // 2 + 1
        text = f"a: &a {nested(half)[3:]}\nb: {'[' * half} *a {']' * half}\n"
        assert f"nested deeper than {MAX_DEPTH} levels" in refused_text(text)

    def test_many_values_stop_early(self) -> None:
        assert "more than 20,000 values" in refused_text("- x\n" * 240_000)

    def test_depth_of_a_setting(self) -> None:
        write(Path("c.yaml"))
        assert "nested deeper than" in refused(
            "check", "c.yaml", "-s", nested(2000).replace(": ", "=").replace("a", "seeds")
        )

    def test_many_variants(self) -> None:
        vary = {"model.width": list(range(1, 41)), "data.seed": list(range(40))}
        assert f"vary: 1,600 combinations of values, expected at most {MAX_VARIANTS:,}" in refused_with(vary=vary)

    def test_many_seeds_are_no_work(self) -> None:
        assert "seeds: expected 1 to 100000 seeds" in refused_with(seeds=100_001)
        assert "baseline: no label x" in refused_with(seeds=100_000, baseline="x")

    @pytest.mark.parametrize("key", ["model", "train"])
    def test_code_is_never_loaded_by_a_yaml(self, key: str) -> None:
        Path("net.py").write_text("open('loaded', 'w')\n" + NET)
        if key == "model":
            said = refused_with(model={"name": "net.py:Net"})
        else:
            said = refused_with(train={"loss": "net.py:Net"})
        option = "--model" if key == "model" else "--loss"
        assert f"net.py:Net is code, which a YAML alone never loads; name it on the command line too: {option}" in said
        assert not Path("loaded").exists()


SIZES: list[tuple[dict[str, Any], str]] = [
    (
        {"name": "gaussian", "train_size": 2**31 - 1},
        "numbers, at most 268,435,456; lower features, classes, train_size",
    ),
    ({"name": "gaussian", "classes": 10**30}, "gaussian of these sizes has over 10^15 numbers"),
    ({"name": "adding", "length": 2**31 - 1}, "lower length, train_size, val_size, test_size"),
    ({"name": "copying", "lag": 2**31 - 1}, "lower lag, symbols, train_size"),
    ({"name": "recall", "symbols": 2**40}, "lower lag, symbols, train_size"),
]


@pytest.mark.parametrize(("data", "message"), SIZES, ids=[str(row[0]) for row in SIZES])
def test_data_that_would_fill_the_memory(data: dict[str, Any], message: str) -> None:
    assert message in refused_with(data=data)


LONG = "x" * 300
NAMES_REFUSED = [
    "../../x",
    "..",
    ".",
    "",
    "/tmp/x",
    "a/b",
    "a\\b",
    "C:x",
    "~",
    "-x",
    "a\nb",
    LONG,
    "con",
    "Aux.b",
    "lpt1",
]


class TestNames:
    @pytest.mark.parametrize("name", NAMES_REFUSED)
    def test_of_an_experiment(self, name: str) -> None:
        assert "name: expected " in refused_with(name=name)

    @pytest.mark.parametrize("label", NAMES_REFUSED)
    def test_of_a_label(self, label: str) -> None:
        said = refused_with(schemes=[{"scheme": "zeros", "label": label}])
        assert "schemes.0.label: a label must be text" in said or "that Windows reserves; choose another" in said
        assert len(said) < 400

    def test_with_a_null_character(self) -> None:
        assert "the character U+0000 is not allowed" in refused_text('name: "a\\0b"')
        assert "the character U+0000 is not allowed" in refused_text('schemes: [{scheme: zeros, label: "a\\0"}]')

    def test_of_a_scheme_as_a_label(self) -> None:
        assert "is over 64 characters or has others than" in refused_with(schemes=["zeros" + "_" * 300])
        assert len(refused_with(schemes=["zeros" + "_" * 3000])) < 300

    def test_of_a_file_that_gives_none(self) -> None:
        write(Path("nul.yaml"), name=None)
        assert winit_json("check", "nul.yaml")["run"].startswith("experiment-")

    def test_a_run_and_its_exports_stay_where_they_belong(self) -> None:
        write(Path("c.yaml"), schemes=[{"scheme": "zeros", "label": "a.. ,b=.."}, "kaiming_normal"], name="x..")
        assert winit("run", "c.yaml", "--quiet").exit_code == 0
        assert winit("report", "--format", "md").exit_code == 0
        for form in ("python", "safetensors"):
            extra = ["--seed", 0] if form == "safetensors" else []
            assert winit("export", "x", "--to", form, "--label", "a.. ,b=..", *extra).exit_code == 0
        names = {path.name for path in Path().iterdir()} - {"c.yaml", "cache"}
        assert names == {"results", "init_a_b_.py", "a..-b-..-seed0.safetensors"}
        assert [path.name.partition("-")[0] for path in Path("results").iterdir()] == ["x.."]


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of a model whose parameters have hostile names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("names"))
        Path("net.py").write_text(NET)
        write(Path("c.yaml"), model="mlp")
        result = winit("run", "c.yaml", "--model", "net.py:Net", "--quiet")
        assert result.exit_code == 0, result.stderr
        assert winit("report", "--quiet").exit_code == 0
        yield next(Path("results").resolve().iterdir())


SHOWN = [*PARTS[:4], "\\x1b[31mred", "@层\\u202e:bomb:"]


@of_the_run
class TestNamesOfParameters:
    def test_in_the_page(self, run: Path) -> None:
        text = (run / "report.html").read_text(encoding="utf-8")
        page = Tags()
        page.feed(text)
        assert text.count("<script") == text.count("</script>") == 3 + text.count('class="chart"')
        assert {"red", "x"}.isdisjoint(page.tags)
        for name in SHOWN:
            assert f"{name}.weight" in page.text
        assert all(letter.isprintable() or letter == "\n" for letter in text)

    def test_in_the_figures(self, run: Path) -> None:
        drawings = {path.stem: path.read_text(encoding="utf-8") for path in (run / "figures").glob("*.svg")}
        assert len(drawings) > 4
        for text in drawings.values():
            assert {node.tag.rpartition("}")[2] for node in ElementTree.fromstring(text).iter()} & {
                "script",
                "a",
            } == set()
        for name in (*SHOWN[2:], SHOWN[0]):
            assert f"<!-- {name} -->" in drawings["gradients_by_layer"], "matplotlib notes each text that it draws"

    def test_in_the_tables(self, run: Path) -> None:
        text = (run / "init.csv").read_text(encoding="utf-8")
        found = {row["param"] for row in csv.DictReader(io.StringIO(text))}
        assert {f"{name}.weight" for name in PARTS[:2]} <= found
        assert "'=cmd().weight" in found
        assert f"'{PARTS[-1]}.weight" in found

    def test_in_all_cells(self, run: Path) -> None:
        assert winit("export", run, "--to", "csv", run.parent / "tables").exit_code == 0
        for path in [*run.glob("*.csv"), *(run.parent / "tables").glob("*.csv")]:
            for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))):
                assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))]
                assert all(is_number(cell) for cell in row if cell.startswith("-"))

    def test_in_a_message(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(run.parent.parent)
        rules = {"label": "r", "rules": [{"params": "nothing", "scheme": "zeros"}]}
        write(Path("r.yaml"), model="mlp", schemes=[rules])
        result = winit("check", "r.yaml", "--model", "net.py:Net")
        assert result.exit_code == 2
        assert "\\x1b[31mred.weight" in result.stderr
        assert "[red]x[/red].weight" in result.stderr
        assert "\x1b" not in result.stderr


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_texts_of_figures() -> None:
    assert literal("a$b\x1b\n") == r"a\$b\x1b\n"
    assert short(["$a$", "b"]) == {"$a$": r"\$a\$", "b": "b"}


@of_the_run
class TestTerminal:
    """Names of directories can hold anything."""

    @pytest.fixture
    def renamed(self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        name = "[red]x[bold] :bomb: \x1b[31m\u202e\x9b"
        home = tmp_path / "other"
        home.mkdir()
        monkeypatch.setenv("WINIT_RESULTS", str(home))
        monkeypatch.setenv("COLUMNS", "300")
        (home / name).mkdir()
        (home / name / "run.sqlite").write_bytes((run / "run.sqlite").read_bytes())
        return name

    @pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
    @pytest.mark.parametrize("arguments", [["list", "runs"], ["report", "--format", "md"]], ids=" ".join)
    def test_control_characters_are_shown(self, renamed: str, arguments: list[str], form: list[str]) -> None:
        result = winit(*arguments, *form, "--results", Path.cwd() / "other")
        assert result.exit_code == 0, result.stderr
        assert all(letter.isprintable() or letter == "\n" for letter in result.stdout + result.stderr)
        said = json.dumps(json.loads(result.stdout), ensure_ascii=False) if form else result.stdout
        assert "[red]x[bold] :bomb: " in said
        escapes = json.dumps(renamed)[-20:-1] if form else "\\x1b[31m\\u202e\\x9b"
        assert escapes in result.stdout
