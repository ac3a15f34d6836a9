"""Several configs in one command: all are looked at before the first one trains, and one that cannot be run to its end
stops no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.errors import ConfigError, WinitError

if TYPE_CHECKING:
    from winit_cli.cli.sources import Changes
    from winit_cli.config import Config

Done = tuple[dict[str, object], int]  # a JSON document and an exit code
FAILED = 1  # exit code
KNOWN = re.compile(r"(?:; | \()known: ([^()]*)\)?$")  # the names at the end of a message


def load_all(texts: Sequence[str], changes: Changes, device: str) -> list[Config]:
    """The configs, each of which can be planned.

    Raises:
        WinitError: some cannot be run; what is wrong with any of them, with the exit code of the worst.
    """
    from winit_cli.cli.sources import load

    if len(texts) == 1:
        return [load(texts[0], changes)]
    loaded, errors = [], {}
    for text in texts:
        try:
            loaded.append(load(text, changes))
            _plan(loaded[-1], device)
        except WinitError as error:
            errors[text] = error
    if errors:
        listed = "\n".join(f"  {line}" for fault in _faults(errors, len(texts)) for line in fault.splitlines())
        found = WinitError(f"nothing was trained, as some of the {len(texts)} configs cannot be run\n{listed}")
        found.exit_code = _worst({error.exit_code for error in errors.values()})
        raise found
    return loaded


def _faults(errors: Mapping[str, WinitError], configs: int) -> Iterator[str]:
    """Every fault once, after the names of its configs unless it has them, or all configs have it; the names that are
    known are listed by the first fault that does."""
    owners: dict[str, list[str]] = {}
    for text, error in errors.items():
        for fault in map(str, error.faults if isinstance(error, ConfigError) else (error,)):
            owners.setdefault(fault, []).append(text)
    listed: set[str] = set()
    for fault, texts in owners.items():
        known = KNOWN.search(fault)
        said = fault[: known.start()] if known and known[1] in listed else fault
        listed |= {known[1]} if known else set()
        is_placed = len(texts) == configs or all(text in fault for text in texts)
        yield said if is_placed else f"{', '.join(texts)}: {said}"


def _worst(codes: set[int]) -> int:
    """A failure is told by its exit code whatever else happened, else the largest one stands for all."""
    return FAILED if FAILED in codes else max(codes)


def _plan(config: Config, device: str) -> None:
    from winit_cli.plan import make_plan

    with prints_aside():
        make_plan(config, device, download=True)


def run_all(
    texts: Sequence[str], configs: Sequence[Config], terminal: Terminal, run: Callable[[str, Config], Done]
) -> tuple[object, int]:
    """Run one config after the other; the JSON document, a list where they are several, and the exit code of the
    worst end."""
    if len(texts) == 1:
        return run(texts[0], configs[0])
    done: list[Done] = []
    for number, (text, config) in enumerate(zip(texts, configs, strict=True), 1):
        gap = "\n" if done else ""
        terminal.print(f"{gap}[bold]{number}/{len(texts)} {escape(text)}[/bold]")
        done.append(_one(text, config, terminal, run))
    return [document for document, _ in done], _worst({code for _, code in done})


def _one(text: str, config: Config, terminal: Terminal, run: Callable[[str, Config], Done]) -> Done:
    try:
        return run(text, config)
    except WinitError as error:
        terminal.warn(f"{text}: {error}")
        return {"config": text, "error": str(error)}, error.exit_code
