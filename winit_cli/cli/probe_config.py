"""What ``winit probe`` measures: the config of a file, or what options amount to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.config import Config

DEFAULTS = {"model": "mlp", "data": "mnist", "train.lr": "0.05", "seeds": "10"}  # as for winit compare


def config_of(
    config: str | None, given: Mapping[str, str | None], settings: list[str], loss: str | None, *, own_weights: bool
) -> Config:
    """The config of a file, or what the options amount to, as for ``winit compare``. With ``own_weights`` the schemes
    do not matter, and none need be named.

    Raises:
        UsageError: neither or both are given.
    """
    from winit_cli.cli.sources import Changes, load, resolve

    schemes, seeds = given["schemes"], given["seeds"]
    if own_weights and schemes is not None:
        raise UsageError(
            "--sigma-w draws weights of its own; leave out --schemes, or scan these with --depths, --widths"
        )
    if config is None:
        if schemes is None and not own_weights:
            raise UsageError("give a CONFIG, or schemes: winit probe mnist, or winit probe --schemes kaiming,zeros")
        return resolve(_document(schemes, given), Changes(settings, loss=loss))
    for name in ("schemes", "data"):
        if given[name] is not None:
            raise UsageError(f"--{name} is for a probe without a CONFIG; change that of {config} with -s {name}=…")
    chosen = [] if seeds is None else [f"seeds=[{seeds}]" if "," in seeds else f"seeds={seeds}"]
    return load(config, Changes([*chosen, *settings], model=given["model"], loss=loss))


def _document(schemes: str | None, given: Mapping[str, str | None]) -> Any:
    from winit_cli.cli.compare import document

    options = {key: text for key, text in given.items() if key != "schemes" and text is not None}
    return document(schemes or "lecun_normal", DEFAULTS | options)  # sigma_w = 1, which a scan replaces
