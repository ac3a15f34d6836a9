"""Several configs in one command: all are looked at before the first one trains, and one that cannot be run to its end
stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.errors import UsageError, WinitError

if TYPE_CHECKING:
    from winit_cli.cli.sources import Changes
    from winit_cli.config import Config

Done = tuple[dict[str, object], int]  # a JSON document and an exit code
FAILED = 1  # exit code


def load_all(texts: Sequence[str], changes: Changes, device: str) -> list[Config]:
    """The configs, each of which can be planned.

    Raises:
        UsageError, ConfigError: some cannot be run; what is wrong with any of them.
    """
    from winit_cli.cli.sources import load

    if len(texts) == 1:
        return [load(texts[0], changes)]
    loaded, faults = [], []
    for text in texts:
        try:
            loaded.append(load(text, changes))
            _plan(loaded[-1], device)
        except UsageError as error:
            faults += str(error).splitlines()
    if faults:
        listed = "\n".join(f"  {fault}" for fault in dict.fromkeys(faults))
        raise UsageError(f"nothing was trained, as some of the {len(texts)} configs cannot be run\n{listed}")
    return loaded


def _plan(config: Config, device: str) -> None:
    from winit_cli.plan import make_plan

    with prints_aside():
        make_plan(config, device, download=True)


def run_all(
    texts: Sequence[str], configs: Sequence[Config], terminal: Terminal, run: Callable[[str, Config], Done]
) -> tuple[object, int]:
    """Run one config after the other; the JSON document, a list where they are several, and the exit code.

    A failure is told by its exit code whatever happened to the others, else the largest one stands for all.
    """
    if len(texts) == 1:
        return run(texts[0], configs[0])
    done: list[Done] = []
    for number, (text, config) in enumerate(zip(texts, configs, strict=True), 1):
        gap = "\n" if done else ""
        terminal.print(f"{gap}[bold]{number}/{len(texts)} {escape(text)}[/bold]")
        done.append(_one(text, config, terminal, run))
    codes = {code for _, code in done}
    return [document for document, _ in done], FAILED if FAILED in codes else max(codes)


def _one(text: str, config: Config, terminal: Terminal, run: Callable[[str, Config], Done]) -> Done:
    try:
        return run(text, config)
    except WinitError as error:
        terminal.warn(f"{text}: {error}")
        return {"config": text, "error": str(error)}, error.exit_code
