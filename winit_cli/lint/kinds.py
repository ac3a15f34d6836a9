"""One scheme over layers that want different ones."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from winit_cli.lint.filled import UNTOUCHED, Filled
from winit_cli.lint.subject import Found, Label
from winit_cli.schemes import SCHEMES

NEAR = 0.1  # a gain of 1 and so much more will do for recurrent weights behind tanh and sigmoid
BY_FAN = ("variance scaling", "structured")  # families whose width depends on the shape


def one_scheme_for_all(label: Label) -> Iterator[Found]:
    """A plain scheme meant for layers that sum their inputs once, over recurrent or embedding weights as well."""
    main = label.entry.recipe.main
    if main is None or main.scheme in UNTOUCHED:
        return
    mine = [filled for filled in label.weights if filled.use == main]
    if len({filled.slot.kind for filled in mine}) > 1:
        yield from _recurrent(label, mine)
        yield from _embedding(label, mine)


def _recurrent(label: Label, weights: list[Filled]) -> Iterator[Found]:
    hit = [filled for filled in weights if filled.slot.local.startswith("weight_hh") and not _is_relu(filled)]
    gain = hit[0].moments.gain if hit else None
    if gain and gain > 1 + NEAR:
        yield Found(
            (label,),
            label.path(hit[0], "gain", "nonlinearity", "scheme"),
            f"{hit[0].use.scheme} gives {hit[0].name}, which acts at every time step through tanh or sigmoid, the gain "
            f"{gain:.3g} of a relu layer",
            "recurrent: orthogonal in the entry",
            "note",
        )


def _is_relu(filled: Filled) -> bool:
    return getattr(filled.slot.module, "nonlinearity", "tanh") == "relu"


def _embedding(label: Label, weights: list[Filled]) -> Iterator[Found]:
    """The rows of an embedding are looked up, not summed."""
    hit = [filled for filled in weights if isinstance(filled.slot.module, nn.Embedding)]
    if hit and SCHEMES[hit[0].use.scheme].family in BY_FAN and (std := hit[0].moments.std):
        yield Found(
            (label,),
            label.path(hit[0], "scheme"),
            f"{hit[0].use.scheme} scales {hit[0].name} {hit[0].slot.shape} by its fans, but rows are looked up and not "
            f"summed: they get std {std:.2g} (PyTorch's default: 1)",
            "rules: with {layers: embedding, scheme: normal, std: …} before the rest",
            "note",
        )
