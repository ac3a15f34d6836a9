"""Import torchvision, also where its compiled extension does not fit the installed torch.

PyPI has no CPU build of torchvision, so a CUDA build beside a CPU-only torch is common. Its
extension cannot load there, and ``import torchvision`` then fails with "operator torchvision::nms
does not exist", since it describes two operators that only the extension declares. Declaring their
schemas first makes data sets, transforms and models work; only these two operators do not.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from pathlib import Path
from types import ModuleType

import torch

from winit_cli.errors import UsageError

NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
OPERATORS = ("nms", "qnms")


def installed() -> bool:
    """Whether torchvision can be found; nothing is imported."""
    return importlib.util.find_spec("torchvision") is not None


def import_torchvision() -> ModuleType:
    """The module ``torchvision.datasets``.

    Raises:
        UsageError: torchvision is not installed or does not fit torch; names the version that does.
    """
    if not installed():
        raise UsageError(f"the full image sets need torchvision, which is not installed; {cure()}")
    try:
        prepare()
        return importlib.import_module("torchvision.datasets")
    except Exception as error:  # a mismatched pair of builds fails in its own ways
        first_line = str(error).partition("\n")[0]
        raise UsageError(f"torchvision does not fit torch {torch.__version__} ({first_line}); {cure()}") from error


def prepare() -> None:
    """Make ``import torchvision`` work, by whoever does it, if it is installed."""
    if installed() and "torchvision" not in sys.modules and not _extension_loads():
        _declare_operators()


def _extension_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    extension = FileFinder(str(folder), (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_C")
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(extension.origin)  # type: ignore[no-untyped-call]
    except (ImportError, OSError):
        return False
    return True


def _declare_operators() -> None:
    for operator in OPERATORS:
        if not hasattr(torch.ops.torchvision, operator):
            torch.library.define(f"torchvision::{operator}", NMS_SCHEMA)


def cure() -> str:
    """The matching release: torch 2.X.Y goes with torchvision 0.(X+15).Y."""
    release = re.match(r"2\.(\d+)\.(\d+)", torch.__version__)
    wanted = f"torchvision==0.{int(release[1]) + 15}.{release[2]}" if release else "torchvision"
    return f"pip install {wanted}"
