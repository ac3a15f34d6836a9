"""The pictures of the README: ``make gallery`` runs the shipped configs, probes, and draws what tells most anew."""

from __future__ import annotations

import io
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from winit_cli.api.progress import reporting
from winit_cli.cli import app
from winit_cli.cli.sources import Changes, load
from winit_cli.findings import Findings
from winit_cli.plan import make_plan
from winit_cli.plots import PLOTS, encode
from winit_cli.runner import run_plan
from winit_cli.store.files import write_bytes, write_text
from winit_cli.store.frames import RunFrames, read_run


@dataclass(frozen=True)
class Exhibit:
    """A shipped config, what one sees in it, and the plots that show it."""

    config: str
    title: str
    plots: tuple[str, ...]


GALLERY = (
    Exhibit("mnist", "Good schemes lie close together on a small network", ("final_metric", "final_metric_leaders")),
    Exhibit("deep_mlp", "Thirty layers: the choice decides", ("loss", "gradients_by_layer", "probe_signal")),
    Exhibit("pitfalls", "Mistakes that everybody makes once", ("final_metric", "units")),
    Exhibit("mnist_cnn", "Convolutions", ("final_metric",)),
    Exhibit("mnist_lstm", "Recurrent weights, filled gate by gate", ("loss",)),
    Exhibit("adding_rnn", "Long memory in a plain recurrent network", ("loss",)),
    Exhibit("transformer", "Attention between squares of an image", ("loss",)),
)


@dataclass(frozen=True)
class Probing:
    """A call of ``winit probe``, what one sees in it, the figure that shows it, and how to read that."""

    name: str
    arguments: str
    title: str
    figure: str
    caption: str


PROBINGS = (
    Probing(
        "tanh-phase",
        "mnist -s model.activation=tanh --sigma-w 1:4:0.1 --sigma-b 0.2 --depths 2,4,6,10,15,20,30,50,70,100",
        "Order, chaos, and how deep a network may be",
        "phase",
        "Each cell is a tanh network on real images, with Gaussian weights of scale sigma_w and nothing trained: its "
        "verdict, its gradient at the first layer over that at the head, and how alike two inputs have become. The "
        "line is the depth to which theory says that networks train, the dotted one where order turns into chaos "
        "(Schoenholz et al. 2017).",
    ),
)


def main(results: Path = Path("results")) -> None:
    """Run every exhibit's config (what is there is not repeated) and write ``gallery/`` into the results."""
    folder, pages = results / "gallery", []
    for exhibit in GALLERY:
        plan = make_plan(load(exhibit.config, Changes([])), "cpu")
        with reporting(True) as progress:
            done = run_plan(plan, results, progress)
        pages.append(write_exhibit(exhibit, read_run(done.directory), folder))
    pages += [write_probing(probing, folder) for probing in PROBINGS]
    write_text(folder / "README.md", "\n".join(["# Gallery", "", *pages]))


def write_exhibit(exhibit: Exhibit, run: RunFrames, folder: Path) -> str:
    """Write the pictures of an exhibit; its section of the gallery's page in Markdown."""
    plots = {plot.name: plot for plot in PLOTS}
    lines = [f"## {exhibit.title}", "", f"`winit run {exhibit.config}`", ""]
    for name in exhibit.plots:
        figure = plots[name].draw(run)
        assert figure is not None, f"{exhibit.config} has nothing to show in {name}"
        file = f"{exhibit.config}-{name}.png"
        write_bytes(folder / file, small(encode(figure, "png")))
        lines += [f"![{plots[name].title}]({file})", "", f"*{plots[name].caption}*", ""]
    return "\n".join([*lines, *(f"{sentence}\n" for sentence in Findings(run).sentences)])


def write_probing(probing: Probing, folder: Path) -> str:
    """Probe, and write the picture of it; its section of the gallery's page in Markdown."""
    write_bytes(folder / f"{probing.name}.png", probed_picture(probing.arguments, probing.figure))
    lines = [f"## {probing.title}", "", f"`winit probe {probing.arguments}`", ""]
    return "\n".join([*lines, f"![{probing.title}]({probing.name}.png)", "", f"*{probing.caption}*", ""])


def probed_picture(arguments: str, figure: str) -> bytes:
    """The figure of that name which ``winit probe`` draws, as a PNG."""
    with tempfile.TemporaryDirectory() as aside:
        options = ["--results", aside, "--plot", aside, "--quiet", "--json"]
        app(["probe", *shlex.split(arguments), *options], standalone_mode=False)
        return small((Path(aside) / f"{figure}.png").read_bytes())


def small(picture: bytes) -> bytes:
    """A PNG with a palette, a third of the size; octrees keep the colours of labels to 3 of 255."""
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
