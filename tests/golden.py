"""Hashes of initial weights for one torch version and kind of processor, in ``golden_init.json``.

They make an upgrade of torch that changes bits visible. After one, look at what changed, then write the file
again with ``python tests/golden.py``. Where winit changes them, raise ``FORMAT`` in ``winit_cli/setting.py`` too: a run
must never copy a trial that began with other values.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn
from zoo import CASES, IDS, fill

from winit_cli.schemes.audit import audit
from winit_cli.setting import FORMAT

FILE = Path(__file__).with_name("golden_init.json")
SEED = 0
ABSENT = ("as_built", "identity_recurrent")  # nothing to draw, and made for a layer that is not here


class Golden(nn.Module):
    """The fixed shapes: a linear layer, convolutions (transposed in groups, with an even kernel) and an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(7, 5)
        self.backward = nn.ConvTranspose1d(4, 6, 3, groups=2)
        self.even = nn.Conv2d(3, 4, 2)
        self.conv = nn.Conv2d(3, 4, 3)
        self.lstm = nn.LSTM(3, 4)


def here() -> dict[str, str]:
    """What the bits of a draw depend on besides its key."""
    return {
        "torch": torch.__version__.partition("+")[0],
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def measured() -> dict[str, dict[str, Any]]:
    """For every scheme: SHA-256 by parameter; for orthogonal, which LAPACK shares in, the first values."""
    found: dict[str, dict[str, Any]] = {}
    for title, (name, options) in zip(IDS, CASES, strict=True):
        if name not in ABSENT:
            made = fill(Golden(), name, seed=SEED, **options)
            records = audit(list(made.values()))
            found[title] = {record.param: record.sha256 for record in records}
            if name == "orthogonal":
                found[title] = {p: made[p].slot.parameter.detach().flatten()[:3].tolist() for p in made}
    return found


def write() -> None:
    """Write the file for the torch and processor at hand."""
    FILE.write_text(
        json.dumps({"made_with": here(), "format": FORMAT, "schemes": measured()}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    write()
