"""``--plot``: figures as files, with what they show in words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture(NamedTuple):
    """A figure with its file name; its title and what it shows in words."""

    name: str
    title: str
    alt: str
    figure: Figure


def save_all(pictures: Iterable[Picture], folder: Path, terminal: Terminal) -> list[Path]:
    """Write each as PNG and SVG; the paths of the PNG files.

    Raises:
        StorageError: the disk refused.
    """
    from winit_cli.plots.files import save

    written = []
    for picture in pictures:
        save(picture.figure, folder / picture.name, {"Title": picture.title, "Description": picture.alt})
        written.append(folder / f"{picture.name}.png")
    if not written:
        terminal.note("there is nothing to draw")
    return written
