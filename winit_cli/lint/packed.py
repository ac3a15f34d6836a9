"""Matrices that hold several gates and are filled as one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from winit_cli.lint.filled import UNTOUCHED, Filled, moments_of
from winit_cli.lint.subject import Found, Label
from winit_cli.schemes.apply import Assignment
from winit_cli.schemes.recipe import Use

LOOKS_PACKED = re.compile(r"(^|[._])(w_?hh|weight_hh|hh|h2h|recurrent|gates?)([._]|$)")
SHARE = 0.1  # two stds this near, in proportion, are the same


def packed_gates(label: Label) -> Iterator[Found]:
    """winit fills the gates of torch's layers one by one, unless ``fan: torch`` asks for torch's own way; the matrices
    of a user's own layer it does not take apart. Orthogonality and fans are then those of the whole."""
    for filled in label.parameters:
        gates = 0 if filled.use.scheme in UNTOUCHED or len(filled.slot.shape) != 2 else _gates(filled, label)
        alone, here = (_std(filled, gates), _std(filled, 1)) if gates > 1 else (None, None)
        if alone and here and abs(here / alone - 1) > SHARE:
            yield Found(
                (label,),
                label.path(filled, "fan", "scheme"),
                f"{filled.name} {filled.slot.shape} holds {gates} gates that {filled.use.scheme} fills as one matrix: "
                f"std {here:.2g} instead of {alone:.2g}",
                _cure(filled),
                "warning" if _is_torchs(filled) else "note",
            )
            return


def _is_torchs(filled: Filled) -> bool:
    return isinstance(filled.slot.module, nn.RNNBase | nn.RNNCellBase)


def _gates(filled: Filled, label: Label) -> int:
    """How many gates are filled as one; of a user's own matrix by its shape, where its name speaks of them too."""
    module, (rows, columns) = filled.slot.module, filled.slot.shape
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        asked_for = any(use.options.get("fan") == "torch" for use in label.uses if use.scheme == filled.use.scheme)
        is_packed = asked_for and not filled.slot.local.startswith("weight_hr")
        return rows // module.hidden_size if is_packed else 0
    looks_so = rows in (3 * columns, 4 * columns) and LOOKS_PACKED.search(filled.name)
    return rows // columns if looks_so else 0


def _std(filled: Filled, gates: int) -> float | None:
    """Expected of one of so many equal parts."""
    options = {key: value for key, value in filled.use.options.items() if key != "fan"}
    part = replace(filled.slot, blocks=gates)
    return moments_of(Assignment(part, Use(filled.use.scheme, options), filled.rule)).std


def _cure(filled: Filled) -> str:
    if _is_torchs(filled):
        return "remove fan: torch, and each gate is filled on its own"
    return "give each gate a matrix of its own in the model, or fill it in the constructor and use as_built"
