"""Activations that torch lacks, as functions that torch's hooks on functions see like its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from winit_cli.theory.activations import OMEGA_0


def sine(input: Tensor) -> Tensor:
    """sin(30 x) (Sitzmann et al. 2020, arXiv:2006.09661)."""
    if has_torch_function_unary(input):
        return handle_torch_function(sine, (input,), input)
    return torch.sin(OMEGA_0 * input)


def crelu(input: Tensor) -> Tensor:
    """(…, D) -> (…, 2 D), relu(x) beside relu(-x) (Shang et al. 2016, arXiv:1603.05201)."""
    if has_torch_function_unary(input):
        return handle_torch_function(crelu, (input,), input)
    return torch.cat([input, -input], -1).relu_()


OWN: dict[str, Callable[[Tensor], Tensor]] = {"sine": sine, "crelu": crelu}
