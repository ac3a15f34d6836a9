"""Networks of other sizes than the config's: made of a setting, and what keeps them from being measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from winit_cli.config.schema import Entry
from winit_cli.errors import ConfigError, UsageError
from winit_cli.schemes.assign import assign
from winit_cli.schemes.slots import Slot
from winit_cli.setting import Setting
from winit_cli.sizes import MEMORY, size_text

EXAMPLES = 256  # on which a network is measured
OF_WEIGHT, OF_UNIT = 3 * 4, 4 * 4 + 2 * 8  # bytes: values, gradients, a copy; outputs and what is computed of them


def resized(setting: Setting, depth: int | None, width: int | None) -> Setting:
    """The setting with a model of another size."""
    names, model = setting.model.size_options, setting.experiment.model
    given = {names[axis]: size for axis, size in (("depth", depth), ("width", width)) if size is not None}
    other = Entry(name=model.name, options=model.options | given)
    return replace(setting, experiment=setting.experiment.model_copy(update={"model": other}))


def too_large(slots: Sequence[Slot]) -> str:
    """What a network takes and is allowed to, where it takes more; else an empty text."""
    numbers = sum(math.prod(slot.shape) for slot in slots)
    units = sum(slot.shape[0] for slot in slots if len(slot.shape) > 1)
    need = OF_WEIGHT * numbers + OF_UNIT * EXAMPLES * units
    return f"takes about {size_text(need)}, more than {size_text(MEMORY)}" if need > MEMORY else ""


def width_faults(setting: Setting) -> Iterator[str]:
    """Why networks of ``measure.widths`` cannot be measured."""
    widths = setting.experiment.measure.widths or ()
    if widths and "width" not in setting.model.size_options:
        yield f"model {setting.model.name} has no option for its width; remove measure.widths"
        return
    for width in widths:
        try:
            slots = resized(setting, None, width).rehearsal.slots
        except UsageError as error:
            yield f"width {width}: {error}"
            continue
        if said := too_large(slots):
            yield f"width {width}: a network {said}; give smaller widths"
        for entry in setting.experiment.schemes:
            try:
                assign(slots, entry.recipe)
            except ConfigError as error:
                yield f"width {width}: label {entry.label}: {error.faults[0].message}"
