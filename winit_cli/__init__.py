"""winit: compare weight-initialization schemes in PyTorch.

    import winit_cli as winit

    winit.init(module, "kaiming_normal", seed=0)
    winit.probe(module, x, y).advice
    winit.compare(model=Net, data=(x, y), schemes=["as_built", "kaiming_normal"]).table

Names are resolved at first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winit_cli import probe, schemes
    from winit_cli.api.compare import compare
    from winit_cli.api.init import init
    from winit_cli.api.result import Comparison
    from winit_cli.data.arrays import dataset
    from winit_cli.data.dataset import Dataset, DatasetRow, Part
    from winit_cli.errors import WinitError
    from winit_cli.losses import Loss
    from winit_cli.models.row import Model, Task
    from winit_cli.schemes.recipe import Use
    from winit_cli.schemes.row import Scheme
    from winit_cli.theory.moments import Moments

__version__ = "0.1.0"

_HOME = {
    "Comparison": "api.result",
    "Dataset": "data.dataset",
    "DatasetRow": "data.dataset",
    "Loss": "losses",
    "Model": "models.row",
    "Moments": "theory.moments",
    "Part": "data.dataset",
    "Scheme": "schemes.row",
    "Task": "models.row",
    "Use": "schemes.recipe",
    "WinitError": "errors",
    "compare": "api.compare",
    "dataset": "data.arrays",
    "init": "api.init",
    "probe": "probe",
    "schemes": "schemes",
}

__all__ = [
    "Comparison",
    "Dataset",
    "DatasetRow",
    "Loss",
    "Model",
    "Moments",
    "Part",
    "Scheme",
    "Task",
    "Use",
    "WinitError",
    "compare",
    "dataset",
    "init",
    "probe",
    "schemes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'winit_cli' has no attribute '{name}'")
    home = importlib.import_module(f"winit_cli.{_HOME[name]}")
    return home if _HOME[name] == name else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
