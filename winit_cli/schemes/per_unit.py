"""Every unit by itself: mean and variance of what it gives for training data. U units of a layer."""

from __future__ import annotations

from torch import Tensor

from winit_cli.errors import UnfitError, UsageError
from winit_cli.schemes.fitting import Fitting
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import PositiveInt

CONSTANT = 1e-6  # a standard deviation in proportion to the mean that rounding alone explains


def is_recurrence(slot: Slot) -> bool:
    """Whether what a weight gives depends on what it gave a step before."""
    return slot.local.startswith("weight_h")


def normalize_units(net: Fitting, slot: Slot, x: Tensor, beta: float = 0.0) -> None:
    """Give every unit of a weight mean ``beta`` and variance 1 over a batch: w ← w / σ, b ← β - μ / σ.

    A bias that the scheme does not fill stays as it is, and so does the mean where there is none.

    Raises:
        UsageError: a unit gives the same for all examples, or units cannot be told apart in what the layer gives.
    """
    seen = net.responses(slot, x).double()
    mean, std = seen.mean(1), seen.std(1, correction=0)
    parts = views_by_unit(slot)
    if len(seen) != sum(len(part) for part in parts):
        raise UsageError(f"{net.scheme} cannot tell the units of {slot.name} apart; give it another scheme by a rule")
    still = ~(std > CONSTANT * mean.abs())  # NaN too
    if still.any():
        raise UnfitError(
            f"{net.scheme} cannot give the units of {slot.name} unit variance: {int(still.sum())} of {len(std)} give "
            f"the same number, or none that is finite, for {len(x)} training examples; give it another scheme by a rule"
        )
    for part, scale in zip(parts, std.chunk(len(parts)), strict=True):
        part.div_(scale.to(part).reshape(-1, *[1] * (part.dim() - 1)))
    slot.write()
    bias = bias_of(net, slot)
    if bias is not None:
        bias.parameter.copy_(beta - mean / std)
        bias.write()


def views_by_unit(slot: Slot) -> tuple[Tensor, ...]:
    """The blocks of a weight with the units first, as views; an embedding's units are its columns."""
    return tuple(view.T for view in slot.views()) if slot.kind == "embedding" else slot.views()


def bias_of(net: Fitting, slot: Slot) -> Slot | None:
    """The bias beside a weight, if the scheme fills it."""
    local = slot.local.replace("weight", "bias", 1)
    return next((other for other in net.slots if other.module is slot.module and other.local == local), None)


def weightnorm_dd(slot: Slot, *, examples: PositiveInt = 256) -> Use:
    """Directions to begin with; recurrent weights, for which the paper has no rule, are orthogonal."""
    if slot.kind == "bias":
        return Use("zeros")
    return Use("orthogonal") if is_recurrence(slot) else Use("normal", {"std": 0.05})


def fit_weightnorm_dd(net: Fitting, *, examples: int) -> None:
    """Layer by layer; w = g v / ‖v‖ with g = 1 / σ[v x / ‖v‖] is v / σ[v x]."""
    x = net.batch(examples)
    for slot in net.weights(x):
        if not is_recurrence(slot):
            normalize_units(net, slot, x)


SCHEMES = (
    Scheme(
        name="weightnorm_dd",
        family="data-driven",
        summary="weight normalization's start: every unit has mean 0 and variance 1 over a batch of training data",
        formula="v ~ N(0, 0.05²); t = v x / ‖v‖; w = g v / ‖v‖ with g = 1 / σ[t], b = -μ[t] / σ[t], for every unit, "
        "from the first layer to the last",
        keeps="mean 0 and variance 1 of the pre-activations of every unit, for the data, activations and norms that "
        "are there",
        paper="Salimans & Kingma 2016, Weight normalization (arXiv:1602.07868), section 3",
        torch_call="t = layer(x); w.div_(t.std(0)[:, None]); b.copy_(-t.mean(0) / t.std(0)), from the first layer to "
        "the last",
        choose=weightnorm_dd,
        fit=fit_weightnorm_dd,
        dims=(2, 99),
        own_biases=True,
        pitfalls=(
            "Costs one pass for each layer and one more: init_seconds and init_passes in timings.csv.",
            "Fills plain weights, not g and v: the 0.05 leaves no trace but in layers under torch's weight_norm.",
            "Without a bias, or with bias: zeros, units keep a mean.",
            "The paper leaves recurrent nets to other schemes. Here the projected inputs of every gate are normalized, "
            "the recurrent weights are orthogonal. Embeddings get unit variance in every column, and keep their mean.",
        ),
    ),
)
