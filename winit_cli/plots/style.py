"""What all figures share: one look per label, label texts that fit, the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from winit_cli.stats import split_label
from winit_cli.visible import visible

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/) without its yellow, which is unreadable on white,
# then five of Paul Tol's muted colours and a grey that differ from it in lightness
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#000000", "#882255", "#999933", "#332288", "#888888", "#117733"),
)
# five line styles beside twelve colours: the pair repeats after sixty labels, not after twelve
LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (10, 2.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#777777"
SMALL = 8
LEGEND_ROWS = 40


@dataclass(frozen=True)
class Look:
    """How one label is drawn, the same in every figure."""

    color: str
    line: Any
    marker: str

    @property
    def order(self) -> float:
        """Drawing order: dashes and dots above solid lines, so that curves that coincide all show."""
        return 2 + LINES.index(self.line) / 10


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """The look of each label; variants of one label (``zeros@depth=2``, ``zeros@depth=9``) share it."""
    bases = list(dict.fromkeys(split_label(label)[0] for label in labels))
    by_base = {base: _look(index) for index, base in enumerate(bases)}
    return {label: by_base[split_label(label)[0]] for label in labels}


def _look(index: int) -> Look:
    return Look(COLORS[index % len(COLORS)], LINES[index % len(LINES)], MARKERS[index % len(MARKERS)])


def short(labels: Sequence[str], limit: int = 28) -> dict[str, str]:
    """A text of at most ``limit`` characters per label, cut in the middle; longer only to stay distinct."""
    longest = max((len(label) for label in labels), default=0)
    while True:
        texts = {label: _cut(label, limit) for label in labels}
        if len(set(texts.values())) == len(texts) or limit >= longest:
            return {label: literal(text) for label, text in texts.items()}
        limit += 4


def literal(text: str) -> str:
    """A text as matplotlib draws it letter by letter: no formulas, no control characters."""
    return visible(text).replace("\n", r"\n").replace("$", r"\$")


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[-tail:]}"


def named(labels: Sequence[str], shown: int = 2) -> str:
    """Some labels of one facet in a short line: ``zeros, ones and 4 more``."""
    texts = list(short([split_label(label)[0] for label in labels], 20).values())
    rest = len(texts) - shown
    return ", ".join(texts) if rest <= 0 else f"{', '.join(texts[:shown])} and {rest} more"


def legend(
    figure: Figure, labels: Sequence[str], extra: Sequence[Artist] = (), *, markers: bool = False, lines: bool = True
) -> None:
    """Name every look at the right of the panels, and make the figure large enough for it."""
    shown = looks(labels)
    bases = {split_label(label)[0]: shown[label] for label in labels}
    texts = short(list(bases))
    handles = [_handle(look, texts[base], markers=markers, lines=lines) for base, look in bases.items()]
    handles += extra
    columns = ceil(len(handles) / LEGEND_ROWS)
    widest = max(len(str(handle.get_label())) for handle in handles)
    width, height = figure.get_size_inches()
    rows = ceil(len(handles) / columns)
    figure.set_size_inches(width + columns * (0.6 + 0.068 * widest), max(height, 0.178 * rows + 0.4))
    figure.legend(
        handles=handles, loc="outside right upper", ncols=columns, fontsize=SMALL, frameon=False, handlelength=2.8
    )


def _handle(look: Look, text: str, *, markers: bool, lines: bool) -> Artist:
    line: Any = look.line if lines else ""
    marker = look.marker if markers else ""
    hollow: dict[str, Any] = {} if lines else {"markerfacecolor": "none", "markeredgewidth": 1.5}
    return Line2D([], [], color=look.color, linestyle=line, marker=marker, label=text, **hollow)
