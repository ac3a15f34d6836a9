"""Rules of ``winit check``: what a valid config says and probably does not mean.

To add one, write its function in the file of its subject, and its name here, in ``winit_cli.lint.rules`` and in
``winit_cli.config.ignore``. The names stand apart from the functions, which import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winit_cli.config.ignore import LintName

LINTS: dict[LintName, str] = {
    "std-too-small": "signal or gradient is lost on its way, by theory, for these fans and this depth",
    "std-too-large": "signal or gradient explodes, or units begin where the activation is flat",
    "gain-mismatch": "a gain that belongs to another activation than the model's",
    "selu-gain": "torch's gain for selu, 3/4, with which selu does not normalize itself",
    "identical-units": "constant weights that keep the units of a layer equal for good",
    "dead-units": "identities with more units than inputs in front of relu",
    "random-biases": "biases left to PyTorch's default where the weights are set",
    "forget-bias": "an LSTM's forget gate half shut, or one bias on all its gates",
    "packed-gates": "several gates filled as one matrix",
    "one-scheme-for-all": "one scheme over recurrent or embedding weights and all others",
    "relies-on-default": "nothing but PyTorch's default is tried",
    "few-seeds": "too few seeds for the comparisons or the claims",
    "shared-lr": "one learning rate for weights that differ by orders of magnitude",
}

__all__ = ["LINTS"]
