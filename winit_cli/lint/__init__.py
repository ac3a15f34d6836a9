"""Rules of ``winit check``: what a valid config says and probably does not mean.

To add one, write its function in the file of its subject, one row here, and its name in ``winit_cli.config.ignore``.
"""

from __future__ import annotations

from winit_cli.lint.biases import random_biases
from winit_cli.lint.config import few_seeds, relies_on_default, shared_lr
from winit_cli.lint.finding import Finding
from winit_cli.lint.gains import gain_mismatch, selu_gain
from winit_cli.lint.gates import forget_bias
from winit_cli.lint.kinds import one_scheme_for_all
from winit_cli.lint.packed import packed_gates
from winit_cli.lint.row import Lint, each
from winit_cli.lint.sizes import std_too_large, std_too_small
from winit_cli.lint.units import dead_units, identical_units
from winit_cli.tables import table

LINTS: dict[str, Lint] = table(
    Lint(
        "std-too-small",
        "signal or gradient is lost on its way, by theory, for these fans and this depth",
        each(std_too_small),
    ),
    Lint(
        "std-too-large", "signal or gradient explodes, or units begin where the activation is flat", each(std_too_large)
    ),
    Lint("gain-mismatch", "a gain that belongs to another activation than the model's", each(gain_mismatch)),
    Lint("selu-gain", "torch's gain for selu, 3/4, with which selu does not normalize itself", each(selu_gain)),
    Lint("identical-units", "constant weights that keep the units of a layer equal for good", each(identical_units)),
    Lint("dead-units", "identities with more units than inputs in front of relu", each(dead_units)),
    Lint("random-biases", "biases left to PyTorch's default where the weights are set", each(random_biases)),
    Lint("forget-bias", "an LSTM's forget gate half shut, or one bias on all its gates", each(forget_bias)),
    Lint("packed-gates", "several gates filled as one matrix", each(packed_gates)),
    Lint(
        "one-scheme-for-all", "one scheme over recurrent or embedding weights and all others", each(one_scheme_for_all)
    ),
    Lint("relies-on-default", "nothing but PyTorch's default is tried", relies_on_default),
    Lint("few-seeds", "too few seeds for the comparisons or the claims", few_seeds),
    Lint("shared-lr", "one learning rate for weights that differ by orders of magnitude", shared_lr),
)

__all__ = ["LINTS", "Finding", "Lint"]
