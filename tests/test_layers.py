"""Imports point down only, and what draws and reports runs does not need torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import winit_cli

PACKAGE = Path(winit_cli.__file__).parent

# what each part of the package may import; parts that do not list each other never meet
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "criteria": set(),
    "tasks": set(),
    "numerals": set(),
    "visible": set(),
    "jsonable": set(),
    "rng": set(),
    "sizes": {"errors"},
    "tables": {"errors"},
    "foreign": {"errors"},
    "losses": {"errors", "foreign", "tables"},
    "theory": {"errors", "rng", "tables"},
    "schemes": {"errors", "foreign", "rng", "tables", "theory"},
    "models": {"errors", "foreign", "rng", "tables", "theory"},
    "data": {"errors", "rng", "tables", "theory"},
    "environment": {"errors"},
}
BELOW["store"] = {"errors"}
BELOW["stats"] = {*BELOW["store"], "store"}
BELOW["claims"] = {*BELOW["stats"], "stats", "tables"}
BELOW["config"] = {*BELOW["schemes"], "schemes", "models", "data", "losses", "tasks", *BELOW["claims"], "claims"}
BELOW["plugins"] = {*BELOW["config"]}
BELOW["rehearsal"] = {*BELOW["config"]}
BELOW["explain"] = {*BELOW["config"], "config"}
BELOW["setting"] = {*BELOW["config"], "config", "rehearsal"}
BELOW["fitted"] = {*BELOW["setting"], "setting"}
BELOW["widths"] = {*BELOW["setting"], "setting", "sizes"}
BELOW["measurable"] = {*BELOW["setting"], "setting"}
BELOW["plan"] = {*BELOW["fitted"], "fitted", *BELOW["widths"], "widths", "measurable"}
BELOW["resolved"] = {*BELOW["plan"], "plan"}
BELOW["engine"] = {*BELOW["plan"], "plan", "sizes"}
BELOW["probe"] = {*BELOW["engine"], "engine", "criteria"}
BELOW["findings"] = {*BELOW["claims"], "claims", "jsonable", *BELOW["theory"], "theory", "criteria", "tasks"}
BELOW["lint"] = {*BELOW["probe"], "probe", *BELOW["findings"], "findings", "resolved"}
BELOW["plots"] = {*BELOW["stats"], "stats", *BELOW["theory"], "theory", "visible", "criteria", "numerals"}
BELOW["report"] = {*BELOW["plots"], "plots", "findings", "jsonable"}
BELOW["stopping"] = {"errors"}
BELOW["workers"] = {"errors", "foreign", "stopping"}
BELOW["orders"] = {*BELOW["engine"], "engine"}
BELOW["packing"] = {*BELOW["plan"], "plan", "plugins"}
BELOW["station"] = {"orders", "packing", "stopping", "workers", *BELOW["orders"]}
BELOW["training"] = {"stopping", "workers", "orders", *BELOW["engine"], "engine", *BELOW["store"], "store"}
BELOW["stations"] = {*BELOW["training"], "training", "station"}
BELOW["cluster"] = {*BELOW["stations"], "stations", "packing", "environment"}
BELOW["probing"] = {*BELOW["training"], "training", *BELOW["probe"], "probe"}
BELOW["shards"] = {*BELOW["engine"], "engine", "store"}
BELOW["copying"] = {*BELOW["training"], "training", "shards", "environment"}
BELOW["run_files"] = {"config", "claims", "findings", "store"}
BELOW["parts"] = {*BELOW["shards"], "shards", "environment"}
BELOW["merge"] = {*BELOW["parts"], "parts", "run_files"}
BELOW["runner"] = {*BELOW["probing"], "probing", *BELOW["copying"], "copying", "resolved", "run_files"}
BELOW["runner"] |= {"packing", "station", "stations", "cluster"}
BELOW["bench"] = {*BELOW["runner"], "runner"}
BELOW["export"] = {*BELOW["runner"], *BELOW["findings"], "findings"}
BELOW["verify"] = {*BELOW["export"], "export"}
PARTS_WITHOUT_TORCH = (
    *("store.frames", "store.runs", "stats", "claims.check", "claims.decide", "findings"),
    *(
        "plots",
        "plots.trial_cost",
        "plots.signal_plots",
        "plots.phase",
        "plots.scan_lines",
        "plots.coordinate",
        "report",
    ),
    *(
        "theory.phase",
        "theory.dead",
        "theory.propagation",
        "theory.finite_width",
        "theory.jacobian",
        "theory.prediction",
    ),
    *("bench.cases", "bench.timing", "bench.pace", "bench.document"),
)
BELOW["gallery"] = {*BELOW, "api", "cli"}
BELOW["atlas"] = {*BELOW["gallery"], "gallery"}
BELOW["cli"] = set(BELOW) - {"gallery", "atlas"}
BELOW["api"] = set(BELOW) - {"gallery", "atlas"}


def _imports(path: Path) -> Iterator[str]:
    """The parts that a file imports at run time, anywhere in it; what only type checkers read is left out."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "winit_cli":
            names = [f"winit_cli.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: write imports in full"
        yield from (name.split(".")[1] for name in names if name.startswith("winit_cli."))
        todo.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = {"cli"} if part == "__main__" else set() if part == "__init__" else BELOW[part] | {part}
    assert set(_imports(path)) <= allowed


def test_the_branch_that_reads_runs_needs_no_torch() -> None:
    modules = ", ".join(f"winit_cli.{part}" for part in PARTS_WITHOUT_TORCH)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    code = (
        "import sys, winit_cli.cli; print([m for m in ('torch', 'pandas', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
