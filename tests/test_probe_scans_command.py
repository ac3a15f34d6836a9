"""``winit probe`` with scans, the coordinate check, figures and layers: tables, files, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from commands import refused, runs, winit, winit_json, write

from winit_cli.cli.ranges import counts, numbers
from winit_cli.errors import UsageError
from winit_cli.numerals import short


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the small config, and a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return write(tmp_path / "c.yaml", seeds=3)


def read(name: str) -> list[dict[str, str]]:
    (run,) = runs()
    with (run / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def words(text: str) -> str:
    return " ".join(text.split())


def fits(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines() if "results/" not in line and "figs" not in line)


def test_a_scan_writes_one_table_and_prints_one() -> None:
    result = winit("probe", "c.yaml", "--depths", "1,20", "--widths", "4,8")
    assert result.exit_code == 0, result.output
    assert [path.name for path in runs()[0].iterdir()] == ["scan.csv"]
    rows = read("scan.csv")
    assert list(rows[0]) == ["label", "depth", "width", "sigma_w", "seed", "metric", "value"]
    places = list(dict.fromkeys((row["label"], row["depth"], row["width"]) for row in rows))
    assert places == [(label, d, w) for label in ("kaiming_normal", "zeros") for d in ("1", "20") for w in ("4", "8")]
    assert {row["seed"] for row in rows} == {"0", ""} and {row["sigma_w"] for row in rows} == {""}
    lines = result.stdout.splitlines()
    assert words(lines[0]) == "label depth width 4 8"
    assert words(lines[-1]).startswith("results/small-")
    assert "symmetric" in result.stdout and "one seed (--seeds 5 takes more)" in words(result.stdout)
    assert fits(result.stdout)
    before = (runs()[0] / "scan.csv").read_bytes()
    winit("probe", "c.yaml", "--depths", "1,20", "--widths", "4,8")
    assert (runs()[0] / "scan.csv").read_bytes() == before


def test_json_gives_the_same_cells() -> None:
    found = winit_json("probe", "c.yaml", "--depths", "1,3", "--seeds", "2")
    assert [(cell["label"], cell["depth"], cell["width"]) for cell in found["cells"]] == [
        ("kaiming_normal", 1, 6),
        ("kaiming_normal", 3, 6),
        ("zeros", 1, 6),
        ("zeros", 3, 6),
    ]
    assert found["cells"][2]["verdict"] == "symmetric" and found["cells"][2]["correlation"] is None
    rows = read("scan.csv")
    assert [row["metric"] for row in found["scan"]] == [row["metric"] for row in rows]
    assert {row["seed"] for row in found["scan"]} == {0, 1, None}
    ratios = [row["value"] for row in found["scan"][:8] if row["metric"] == "gradient_ratio"]
    assert found["cells"][0]["gradient_ratio"] == pytest.approx(sum(ratios) / 2)


def test_weights_of_a_scan_need_no_schemes() -> None:
    options = ("--sigma-w", "1:3:1", "--sigma-b", "0.2", "--depths", "2,5", "-s", "model.activation=tanh")
    result = winit("probe", "--data", "digits", *options, "--plot", "figs")
    assert result.exit_code == 0, result.output
    assert {row["label"] for row in read("scan.csv")} == {"gaussian"}
    assert {row["sigma_w"] for row in read("scan.csv")} == {"1.0", "2.0", "3.0"}
    assert {row["metric"] for row in read("scan.csv")} >= {"trainable_depth", "expected_gradient_ratio"}
    assert words(result.stdout.splitlines()[0]) == "sigma_w depth 2 5"
    assert "biases N(0, 0.04)" in result.stdout
    assert sorted(path.name for path in Path("figs").iterdir()) == ["phase.png", "phase.svg"]
    assert "gaussian, depth 2, width 100, sigma_w 1: healthy" in Path("figs/phase.svg").read_text()
    assert fits(result.stdout)


def test_a_wide_scan_is_printed_in_short_words_and_blocks() -> None:
    result = winit("probe", "c.yaml", "--depths", "1:12:1", "--sigma-w", "0.1,1")
    table = result.stdout.splitlines()
    assert fits(result.stdout)
    assert sum(line.startswith("sigma_w") for line in table) > 1
    assert "ok healthy · van vanishing" in result.stdout


def test_the_coordinate_check_says_one_sentence_per_label() -> None:
    result = winit("probe", "c.yaml", "--coordinate-check", "--widths", "8,16", "--plot", "figs")
    assert result.exit_code == 0, result.output
    assert [path.name for path in runs()[0].iterdir()] == ["coordinate.csv"]
    rows = read("coordinate.csv")
    assert list(rows[0]) == ["label", "width", "seed", "step", "layer", "depth", "value"]
    assert {row["step"] for row in rows} == {"0", "1", "2", "3", "4", "5"}
    text = words(result.stdout)
    assert "kaiming_normal: " in text and "zeros: stable in width: " in text
    assert "in 5 steps of sgd at learning rate 0.1; widths 8, 16; 1 seed (Yang et al. 2022, arXiv:2203.03466)" in text
    assert sorted(path.name for path in Path("figs").iterdir()) == ["coordinate.png", "coordinate.svg"]
    found = winit_json("probe", "c.yaml", "--coordinate-check", "--widths", "8,16")
    assert [row["value"] for row in found["coordinate"]] == [float(row["value"]) for row in rows]
    assert [row["label"] for row in found["verdicts"]] == ["kaiming_normal", "zeros"]
    assert found["steps"] == 5 and {row["layer"] for row in found["slopes"]} == {"layers.0", "head"}


def test_figures_and_means_of_a_probe() -> None:
    found = winit_json("probe", "c.yaml", "--plot", "figs", "-s", "model.depth=3")
    assert [Path(path).suffix for path in found["figures"]] == [".png"] * len(found["figures"])
    assert {Path(path).stem for path in found["figures"]} >= {"probe_verdicts", "probe_signal", "probe_correlation"}
    assert all(Path(path).with_suffix(kind).stat().st_size for path in found["figures"] for kind in (".png", ".svg"))
    first = found["summary"][0]
    assert list(first) == ["label", "layer", "depth", "metric", "n", "mean", "ci_low", "ci_high"]
    mine = [row for row in found["probe"] if all(row[key] == first[key] for key in ("label", "layer", "metric"))]
    assert first["n"] == 3 == len(mine)
    assert first["mean"] == pytest.approx(sum(row["value"] for row in mine) / 3)
    assert first["ci_low"] < first["mean"] < first["ci_high"]
    assert len(found["summary"]) == len({(row["label"], row["layer"], row["metric"]) for row in found["probe"]})


def test_the_layers_of_one_label() -> None:
    result = winit("probe", "c.yaml", "--layers", "zeros", "-s", "model.depth=2")
    rows = [words(line) for line in result.stdout.splitlines()]
    assert "layer mean square gain gradient alike dead" in rows
    assert rows[rows.index("layer mean square gain gradient alike dead") + 1] == "layers.0 0 0 0 - 1 <- symmetric"
    assert "of layers means, ± half of their 95 % interval" in words(result.stdout)
    assert fits(result.stdout)
    only = winit("probe", "c.yaml", "-s", "schemes=[kaiming_normal]", "-s", "model.activation=tanh")
    assert "layer mean square gain gradient alike flat" in words(only.stdout)
    assert "layer mean square" not in words(winit("probe", "c.yaml").stdout)


def test_what_it_refuses() -> None:
    images = ("--data", "digits", "--model", "cnn", "--schemes", "kaiming")
    assert refused("probe", *images, "--depths", "2").startswith("cnn has no option for its depth, so --depths cannot")
    assert "--sigma-b goes with --sigma-w" in refused("probe", "c.yaml", "--sigma-b", "1")
    assert "--sigma-b -1 is out of range" in refused("probe", "c.yaml", "--sigma-w", "1", "--sigma-b", "-1")
    assert "--sigma-w draws weights of its own" in refused("probe", "--schemes", "zeros", "--sigma-w", "1,2")
    assert "give a CONFIG, or schemes" in refused("probe", "--depths", "2,5")
    assert "--coordinate-check scans widths alone" in refused("probe", "c.yaml", "--coordinate-check", "--depths", "2")
    assert "give at least two, e.g. --widths" in refused("probe", "c.yaml", "--coordinate-check", "--widths", "8")
    assert "--layers: no label 'zero'; did you mean 'zeros'?" in refused("probe", "c.yaml", "--layers", "zero")
    assert "leave it out of a scan" in refused("probe", "c.yaml", "--layers", "zeros", "--widths", "8")
    assert "the config varies model.depth itself" in refused(
        "probe", "c.yaml", "-s", "vary.model.depth=[1, 2]", "--depths", "3"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2,5,10", (2, 5, 10)),
        ("5, 2,2", (2, 5)),
        ("1:2:0.25", (1, 1.25, 1.5, 1.75, 2)),
        ("0.1:0.3:0.1,7", (0.1, 0.2, 0.3, 7)),
        ("1:1:1", (1,)),
    ],
)
def test_values_of_a_scan(text: str, found: tuple[float, ...]) -> None:
    assert numbers(text, "--sigma-w", 0, 100) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is neither a number nor start:stop:step"),
        ("1:2", "'1:2' is neither"),
        ("nan", "neither"),
        ("2:1:1", "expected start:stop:step with stop above start"),
        ("1:2:0", "a step above 0"),
        ("0:1:1e-9", "1,001 values, expected at most 1,000"),
        ("0,200", "0 is out of range, expected 1 to 100"),
        ("1.5", "expected whole numbers, e.g. --depths 2,5,10"),
    ],
)
def test_values_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        counts(text, "--depths", 100)


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, "0"), (0.98765, "0.99"), (123.4, "120"), (3.14e-5, "3.1e-5"), (4e9, "4.0e9"), (1.0, "1")]
)
def test_short_numbers(number: float, text: str) -> None:
    assert short(number) == text
