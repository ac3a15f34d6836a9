"""The README: every command in it runs, every file it names exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from winit_cli.cli import app
from winit_cli.config import parse, resolve
from winit_cli.plan import make_plan

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
LINES = [shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines() if line.strip()]
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, flags=re.DOTALL))
SCRIPTS = re.findall(r"```python\n(import torch.*?)```", TEXT, flags=re.DOTALL)
SMALLER = ("train.steps=2", "data.train_size=128", "data.test_size=50", "train.batch_size=32", "seeds=2")
NAMES = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}


def cut(words: list[str]) -> list[str]:
    """The command at a size that a test can afford; sizes that the README itself sets stay."""
    if words[0] == "bench":  # of an option that is given twice, the last one counts
        return [*words, "--cases", "mlp-small", "--trials", "1", "--repeats", "1"]
    if words[0] == "report":  # one page with pictures is enough
        return [word.replace("html,", "") for word in words] if "--format" in words else [*words, "--format", "html"]
    if words[0] == "probe" and not {"--depths", "--sigma-w", "--coordinate-check"} & {*words}:
        return [*words, "-s", "seeds=2"]
    if words[0] not in ("run", "compare"):
        return words
    given = {word.partition("=")[0] for word in words} | _sized(words)
    return words + [part for text in SMALLER if text.partition("=")[0] not in given for part in ("-s", text)]


def _sized(words: list[str]) -> set[str]:
    """Sizes that the README's own data set has no option for."""
    return {"data.train_size", "data.test_size"} if "waves" in words else set()


@pytest.mark.slow
def test_every_command_of_the_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("winit_cli.bench.pace.MOST_STEPS", 10)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for words in (words for words in LINES if words[0] in ("winit", "python")):
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], check=True)
            continue
        result = CliRunner().invoke(app, cut(words[1:]))
        assert result.exit_code == 0, f"{shlex.join(words)}: {result.output}"
        assert result.stdout
    assert (tmp_path / "first.yaml").is_file()


def test_the_examples_in_python_run(tmp_path: Path):
    (script,) = SCRIPTS
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "kaiming_normal" in done.stdout and "body.0.weight" in done.stdout
    assert (tmp_path / "gradients.png").is_file()


def test_a_scheme_a_model_and_a_data_set_take_ten_lines():
    lines = {name: [line for line in text.splitlines() if line.strip()] for name, text in FILES.items()}
    assert {name for name in lines if len(lines[name]) <= 10} >= {"net.py", "half_normal.py", "waves.py"}


def test_every_target_of_make_is_known():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {words[1] for words in LINES if words[0] == "make"}
    assert targets == {"run", "test"}
    assert targets <= {line.split()[1] for line in listed.splitlines()}


def test_every_command_in_the_text_exists():
    named = set(re.findall(r"`winit ([a-z]+)", TEXT))
    assert named <= NAMES | {"data"}
    assert named | {words[1] for words in LINES if words[0] == "winit"} >= NAMES


def test_every_file_it_names_exists():
    named = set(re.findall(r"`((?:tests|configs|winit_cli)/[\w./]*)`", TEXT)) | set(
        re.findall(r"\]\(([\w./]+)\)", TEXT)
    )
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_yaml_of_the_reference_is_valid(tmp_path: Path):
    schemes = re.search(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    assert schemes
    path = tmp_path / "reference.yaml"
    path.write_text(f"model: cnn\ndata: digits\n{schemes[1].replace('layers: linear', 'layers: conv')}")
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 0, result.output


def test_the_example_of_comparing_is_a_config():
    (text,) = re.findall(r"```yaml\n(baseline:.*?)```", TEXT, flags=re.DOTALL)
    schemes = "[pytorch_default, kaiming_normal, xavier_normal, zeros]"
    config = resolve(parse(f"model: mlp\nschemes: {schemes}\n{text}", "README.md"))
    assert len(make_plan(config, "cpu").trials) == 4 * 3 * 15
    assert len(config.claims) == 4
