"""The command line: one file per command. Heavy libraries are imported inside commands, so ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from winit_cli import __version__
from winit_cli.cli.bench import bench
from winit_cli.cli.check import check
from winit_cli.cli.compare import compare
from winit_cli.cli.diff import diff
from winit_cli.cli.explain import explain
from winit_cli.cli.export import export
from winit_cli.cli.guard import guarded
from winit_cli.cli.listing import list_
from winit_cli.cli.merge import merge
from winit_cli.cli.probe import probe
from winit_cli.cli.report import report
from winit_cli.cli.run import run
from winit_cli.cli.starter import download, init, schema
from winit_cli.cli.streams import keep_streams
from winit_cli.cli.theory import theory
from winit_cli.cli.verify import verify

app = typer.Typer(
    name="winit",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare weight-initialization schemes in PyTorch: which one should this network start from, and how sure "
    "are we?",
)
data = typer.Typer(no_args_is_help=True, help="Full data sets.")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"winit {__version__}", flush=True)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for command in (run, compare, report, probe, explain, theory, check, verify, diff, export, merge, bench, init, schema):
    app.command()(command)
app.command("list")(list_)
data.command()(download)
app.add_typer(data, name="data")


@guarded
def main() -> None:
    """Entry point of the ``winit`` script."""
    keep_streams()
    app(prog_name="winit")  # python -m winit_cli too: completion goes by this name
