"""Biases that an entry leaves to the layers while it sets the weights."""

from __future__ import annotations

from collections.abc import Iterator

from winit_cli.lint.filled import UNTOUCHED
from winit_cli.lint.subject import Found, Label

DEFAULT = "pytorch_default"


def random_biases(label: Label) -> Iterator[Found]:
    """Biases that PyTorch's default draws, in an entry that sets weights and says nothing of biases."""
    is_asked_for = label.entry.recipe.bias is not None or DEFAULT not in [use.scheme for use in label.uses]
    if is_asked_for or all(filled.use.scheme in UNTOUCHED for filled in label.weights):
        return
    biases = [filled for filled in label.parameters if filled.slot.kind == "bias"]
    left = [filled for filled in biases if filled.use.scheme == DEFAULT and filled.moments.std]
    if not left:
        return
    widest = max(left, key=lambda filled: filled.moments.std or 0)
    rest = f"; the rest of the {len(biases)} are set" if len(left) < len(biases) else ""
    yield Found(
        (label,),
        label.path(left[0]),
        f"{len(left)} of {len(biases)} biases are drawn at random by PyTorch's default ({widest.name}: std "
        f"{widest.moments.std:.2g}){rest}",
        "bias: zeros for all, or bias: default to say that they are meant",
        "note",
    )
