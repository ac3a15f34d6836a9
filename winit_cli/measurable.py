"""What the trials of a setting measure, for the claims about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winit_cli.claims.fits import Measured
from winit_cli.claims.metrics import JACOBIAN_OUTPUTS
from winit_cli.schemes.kinds import LAYERS
from winit_cli.schemes.slots import Slot
from winit_cli.setting import Setting


def measurable(setting: Setting) -> Measured:
    """Known from the parameters alone, without a network."""
    slots = setting.rehearsal.slots
    return Measured(
        parameters=[slot.name for slot in slots if not slot.frozen],
        layers=list(dict.fromkeys(slot.layer for slot in slots if len(slot.shape) > 1)),
        without_jacobian=dict(_without_jacobian(slots, is_in_order=not setting.model.source)),
        steps=setting.steps,
        every=setting.every,
        test_every=setting.test_every,
        has_val=setting.dataset.val is not None,
        has_accuracy=setting.has_accuracy,
        has_widths=setting.experiment.measure.widths is not None,
    )


def _without_jacobian(slots: Sequence[Slot], *, is_in_order: bool) -> Iterator[tuple[str, str]]:
    """Layers that ``probe.layer_jacobian`` surely leaves out, and why; a convolution has more outputs than channels."""
    weights = [slot for slot in slots if slot.kind in LAYERS]
    for slot in weights:
        outputs = slot.shape[1 if slot.transposed else 0] if slot.kind in ("linear", "conv") else 0
        if is_in_order and slot.layer == weights[0].layer:
            yield slot.layer, "no layer comes before it"
        elif slot.kind == "recurrent":
            yield slot.layer, "it is recurrent"
        elif outputs > JACOBIAN_OUTPUTS:
            yield slot.layer, f"it has {outputs:,} outputs, more than {JACOBIAN_OUTPUTS}"
