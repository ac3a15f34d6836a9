r"""A table of labels and runs for a paper: ``\usepackage{booktabs}`` is all that it needs."""

from __future__ import annotations

import re
import unicodedata

from winit_cli.report.joined import Joined, Place
from winit_cli.report.markdown import legend
from winit_cli.visible import visible

ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "×": r"$\times$",
    "†": r"$\dagger$",
    "≈": r"$\approx$",
    "−": r"$-$",
    "–": "--",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def latex(joined: Joined) -> str:
    """Labels down, runs across; the best of a run is bold, what may be the best as well underlined."""
    names = [escaped(column.name) for column in joined.columns]
    rows = [
        " & ".join([escaped(label), *(_cell(column.places.get(label)) for column in joined.columns)]) + r" \\"
        for label in joined.labels
    ]
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(joined.names).lower()).strip("-")
    lines = [
        "% made by winit; needs \\usepackage{booktabs}",
        r"\begin{table}[t]",
        r"  \centering",
        f"  \\caption{{{_caption(joined)}}}",
        f"  \\label{{tab:winit-{name}}}",
        f"  \\begin{{tabular}}{{l{'c' * len(names)}}}",
        r"    \toprule",
        "    " + " & ".join(["Scheme", *names]) + r" \\",
        r"    \midrule",
        *(f"    {row}" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: object) -> str:
    """Text as TeX shows it, in letters that every engine has."""
    plain = visible(str(text)).replace("\n", " ")
    return "".join(ESCAPES.get(letter, letter if letter.isascii() else _named(letter)) for letter in plain)


def _named(letter: str) -> str:
    """A letter beyond ASCII as it is if it is one of a language, else without what TeX's fonts lack."""
    return letter if unicodedata.category(letter)[0] == "L" else "?"


def _caption(joined: Joined) -> str:
    return escaped(legend(joined, best="bold", tied="underlined")).replace(r"95 \%", r"95\,\%")


def _cell(place: Place | None) -> str:
    if place is None or not place.text:
        return "--"
    mean, _, half = place.text.partition(" ± ")
    mark = r"^{\dagger}" if place.is_over_survivors else ""
    shown = rf"\mathbf{{{_number(mean)}}}" if place.is_best else _number(mean)
    spread = rf" \pm {_number(half)}" if half else ""
    text = f"${shown}{spread}{mark}$"
    return rf"\underline{{{text}}}" if place.is_tied else text


def _number(text: str) -> str:
    """``2.3e-05`` as TeX writes it."""
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa
