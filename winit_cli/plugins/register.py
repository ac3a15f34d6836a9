"""Enter rows from outside into the tables, for as long as a command or a call lasts."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from winit_cli.data import DATASETS, DatasetRow
from winit_cli.errors import brief
from winit_cli.foreign import ForeignError, blaming, place_of_function, shown_path
from winit_cli.losses import LOSSES, Loss
from winit_cli.models import MODELS, Model
from winit_cli.models.adapt import adapt
from winit_cli.plugins.aside import as_before, modules_aside
from winit_cli.plugins.checks import check_name, check_scheme, check_signature
from winit_cli.plugins.load import is_code, load, member, split
from winit_cli.plugins.source import source_hash
from winit_cli.rng import forked
from winit_cli.schemes import SCHEMES, Scheme

# what a plug-in calls its rows: the table they go to, what they are, the word for one
KINDS: dict[str, tuple[dict[str, Any], type, str]] = {
    "SCHEMES": (SCHEMES, Scheme, "scheme"),
    "MODELS": (MODELS, Model, "model"),
    "DATASETS": (DATASETS, DatasetRow, "data set"),
    "LOSSES": (LOSSES, Loss, "loss"),
}
GROUPS = {"winit.schemes": "SCHEMES", "winit.models": "MODELS", "winit.data": "DATASETS"}


@contextlib.contextmanager
def plugged(
    files: Iterable[str] = (), model: str | None = None, loss: str | None = None, *, installed: bool = True
) -> Iterator[None]:
    """The tables with the rows of plug-in files, of installed packages, and of ``net.py:Net`` named as such.

    Raises:
        ForeignError: a plug-in is at fault; the message has its file and line.
        UsageError: there is no such file.
    """
    files = list(files)
    code = [text for text in (model, loss) if text is not None and is_code(text)]
    with (
        as_before(rows for rows, _, _ in KINDS.values()),
        modules_aside() if files or code else contextlib.nullcontext(),
    ):
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for tables and documents
            if installed:
                _register_installed()
            modules: dict[Path, ModuleType] = {}
            for text in files:
                path = Path(text)
                if path.resolve() not in modules:
                    modules[path.resolve()] = load(path)
                    register(modules[path.resolve()], path)
            for named, kind in ((model, "MODELS"), (loss, "LOSSES")):
                if named is not None and is_code(named):
                    _register_member(named, kind, modules)
        yield


def register(module: ModuleType, path: Path) -> None:
    """Enter the rows of a plug-in: its lists SCHEMES, MODELS, DATASETS and LOSSES."""
    found = [kind for kind in KINDS if hasattr(module, kind)]
    if not found:
        raise ForeignError(f"{shown_path(path)} defines none of {', '.join(KINDS)}; list its rows in one of them")
    for kind in found:
        rows = getattr(module, kind)
        _, row_type, _ = KINDS[kind]
        if not isinstance(rows, list | tuple):
            raise ForeignError(
                f"{shown_path(path)}: {kind} must be a list of winit.{row_type.__name__}, got {brief(repr(rows), 200)}"
            )
        for row in rows:
            _enter(kind, row, shown_path(path), source_hash(path))


def _enter(kind: str, row: Any, where: str, source: str) -> None:
    rows, row_type, word = KINDS[kind]
    if not isinstance(row, row_type):
        raise ForeignError(f"{where}: {kind} holds {brief(repr(row), 200)}, expected winit.{row_type.__name__}(…)")
    assert isinstance(row, Scheme | Model | DatasetRow | Loss)
    with blaming(f"{where}: {word} {row.name}, looked at,"):
        check_name(row, rows, word, f"{where}: ")
        rows[str(row.name)] = _CHECKED[kind](row, source)


def _scheme(row: Scheme, source: str) -> Scheme:
    check_scheme(row)
    return replace(row, source=source, summary=row.summary or _first_line(row.choose or row.fill))


def _model(row: Model, source: str) -> Model:
    adapted = adapt(row.name, row.build, source, row.summary)
    return replace(adapted, aliases=row.aliases)


def _dataset(row: DatasetRow, source: str) -> DatasetRow:
    check_signature(row.load, 0, f"data set {row.name}")
    return replace(row, source=source, summary=row.summary or _first_line(row.load))


def _loss(row: Loss, source: str) -> Loss:
    if not callable(row.function):
        raise ForeignError(f"loss {row.name} is {row.function!r}, expected a function of outputs and targets")
    made = _made(row.function, row.name)
    return replace(row, function=made, source=source, summary=row.summary or _first_line(row.function))


_CHECKED: dict[str, Callable[[Any, str], Any]] = {
    "SCHEMES": _scheme,
    "MODELS": _model,
    "DATASETS": _dataset,
    "LOSSES": _loss,
}


def _first_line(function: Any) -> str:
    return (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]


def _register_member(text: str, kind: str, modules: dict[Path, ModuleType]) -> None:
    """``net.py:Net`` as a row of that name."""
    path, name = split(text)
    if path.resolve() not in modules:
        modules[path.resolve()] = load(path)
    target = member(modules[path.resolve()], name, path)
    source = source_hash(path)
    if kind == "MODELS":
        MODELS[text] = adapt(text, target, source)
    else:
        LOSSES[text] = _loss(Loss(text, target), source)


def _made(target: Any, name: str) -> Any:
    """A loss given as a class is made without arguments, as ``nn.HuberLoss`` is."""
    if not isinstance(target, type):
        return target
    with blaming(f"{place_of_function(target)}{name}"):
        return target()


def _register_installed() -> None:
    for group, kind in GROUPS.items():
        for entry in entry_points(group=group):
            _register_entry(entry, kind)


def _register_entry(entry: EntryPoint, kind: str) -> None:
    """A row, or a list of rows, that an installed package offers."""
    package = entry.dist.name if entry.dist else entry.value
    where = f"plug-in {entry.name} of the package {package}"
    with blaming(f"{where} (mend or uninstall it): loading it"), forked("load"):
        loaded = entry.load()
    module = sys.modules[entry.module]
    file = Path(module.__file__ or "").resolve()
    own = file.parent if module.__package__ else file
    for row in loaded if isinstance(loaded, list | tuple) else [loaded]:
        _enter(kind, row, where, source_hash(file, own))
