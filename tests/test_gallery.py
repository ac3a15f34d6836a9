"""The gallery: exhibits of configs that ship, small pictures, a page that shows them all."""

from __future__ import annotations

import io
import re
from operator import sub
from pathlib import Path

import pytest
from frames import TWELVE, make_run
from PIL import Image

from winit_cli.cli.sources import packaged
from winit_cli.gallery import GALLERY, PROBINGS, Exhibit, Probing, small, write_exhibit, write_probing
from winit_cli.plots import PLOTS, encode
from winit_cli.plots.signal_plots import SIGNAL_PLOTS
from winit_cli.plots.style import COLORS

PICTURES = {f"{exhibit.config}-{name}.png" for exhibit in GALLERY for name in exhibit.plots}
PICTURES |= {f"{probing.name}.png" for probing in PROBINGS}
OF_PROBES = {plot.name for plot in SIGNAL_PLOTS}  # which runs without a probe do not have
ROOT = Path(__file__).parent.parent


def test_every_shipped_config_is_shown() -> None:
    assert {exhibit.config for exhibit in GALLERY} == {name for name in packaged() if "/" not in name}
    assert {name for exhibit in GALLERY for name in exhibit.plots} <= {plot.name for plot in PLOTS}


@pytest.mark.parametrize("plot", [plot.name for plot in PLOTS if plot.name not in OF_PROBES])
def test_an_exhibit_is_pictures_and_the_answer(plot: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, ["kaiming_normal", "xavier_normal", "orthogonal", "zeros"], seeds=8)
    text = write_exhibit(Exhibit("mnist", "A title", (plot,)), run, tmp_path)
    assert text.startswith("## A title\n\n`winit run mnist`\n")
    assert f"(mnist-{plot}.png)" in text and "kaiming_normal reaches a mean test accuracy" in text
    with Image.open(tmp_path / f"mnist-{plot}.png") as image:
        assert image.mode == "P"


def test_a_probe_is_a_picture_and_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--schemes kaiming,zeros --data digits -s model.depth=2 --seeds 2"
    text = write_probing(Probing("a-picture", options, "A title", "probe_signal", "A caption."), tmp_path)
    assert text.startswith(f"## A title\n\n`winit probe {options}`\n") and "(a-picture.png)" in text
    assert [path.name for path in tmp_path.iterdir()] == ["a-picture.png"]
    assert "zeros" in capsys.readouterr().out


def test_a_small_picture_keeps_the_colours_of_labels(tmp_path: Path) -> None:
    plots = {plot.name: plot for plot in PLOTS}
    figure = plots["loss"].draw(make_run(tmp_path, TWELVE, seeds=3))
    assert figure is not None
    before = encode(figure, "png")
    after = small(before)
    assert len(after) < len(before) / 2
    (there, kept) = (set(_pixels(png)) for png in (before, after))
    colors = [to_rgb(color) for color in COLORS if to_rgb(color) in there]
    assert len(colors) > 5
    assert all(min(max(map(abs, map(sub, color, other))) for other in kept) <= 3 for color in colors)


def to_rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))


def _pixels(png: bytes) -> list[tuple[int, ...]]:
    with Image.open(io.BytesIO(png)) as image:
        return [color for _, color in image.convert("RGB").getcolors(10_000_000)]


def test_the_pictures_of_the_gallery_are_there_and_small() -> None:
    folder = ROOT / "results" / "gallery"
    if not (ROOT / ".ci").is_dir():
        pytest.skip("a source distribution has no gallery")
    assert {path.name for path in folder.glob("*.png")} == PICTURES, "run: make gallery"
    assert set(re.findall(r"\]\((.*?)\)", (folder / "README.md").read_text())) == PICTURES
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_500_000
    shown = re.findall(r"\((results/\S+\.png)\)", (ROOT / "README.md").read_text())
    assert shown and all((ROOT / path).is_file() for path in shown)
