"""A recipe as one Python file that needs torch alone."""

from __future__ import annotations

import re
import textwrap
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from winit_cli import __version__, rng
from winit_cli.config.schema import slug
from winit_cli.errors import UsageError
from winit_cli.export import borrowed
from winit_cli.export.entry import entry_of
from winit_cli.export.output import refuse_existing, write_new
from winit_cli.export.recipe_code import RecipeCode, literal
from winit_cli.export.schemes_code import WIDTH
from winit_cli.export.stored import StoredRun, read_stored
from winit_cli.schemes import SCHEMES, kinds, reset, slots
from winit_cli.schemes.apply import AS_BUILT
from winit_cli.schemes.recipe import Recipe


def to_python(run: Path, out: Path | None = None, label: str | None = None) -> Path:
    """Write the recipe of a label as ``init_weights(module, seed)``, ``init_<label>.py`` by default.

    Raises:
        UsageError: the file exists, there is no such label, or its recipe has no form in torch.
        StorageError: the store cannot be read, or the disk refused.
    """
    stored = read_stored(run)
    chosen = stored.label(label)
    out = out or Path(f"init_{re.sub(r'[^a-z0-9]+', '_', slug(chosen))}.py")
    refuse_existing(out)
    recipe = entry_of(stored, chosen).recipe
    return write_new(out, code(recipe, _about(stored, chosen, recipe, out)).encode())


def code(recipe: Recipe, about: str) -> str:
    """The text of the file; ``about`` is its docstring without quotes.

    Raises:
        UsageError: the recipe keeps all values, or one of its schemes is no function of torch.
    """
    rest = (*(rule.use for rule in recipe.rules), recipe.others, recipe.bias)
    if recipe.scheme == AS_BUILT.scheme and all(use in (None, AS_BUILT) for use in rest):
        raise UsageError(
            "as_built keeps what the model's constructor made, so there is nothing to write in Python; "
            "use --to safetensors, which takes the values themselves"
        )
    template = resources.files("winit_cli.export").joinpath("init_weights.py.j2").read_text(encoding="utf-8")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["literal"] = literal
    names = {"rng": rng, "kinds": kinds, "slots": slots, "reset": reset}
    body = environment.from_string(template).render(
        recipe=RecipeCode(recipe),
        layers=kinds.LAYERS,
        kinds=borrowed.kinds(),
        gates=borrowed.gates(),
        source=lambda module, name: borrowed.source(names[module], name),
    )
    return f'"""{about}"""\n\nfrom __future__ import annotations\n\n{borrowed.imports(body)}\n\n{body}'


def _about(stored: StoredRun, label: str, recipe: Recipe, out: Path) -> str:
    """What the file is, where it comes from and how it is used."""
    summary = "" if recipe.scheme == "rules" else f" {recipe.scheme}: {SCHEMES[recipe.scheme].summary}."
    usage = [f"from {out.stem} import init_weights", ""] if out.stem.isidentifier() else []
    usage.append("init_weights(model, seed=0)")
    seeds = ", ".join(map(str, dict.fromkeys(trial.seed for trial in stored.trials if trial.label == label)))
    kept = "keep their values" if recipe.scheme == AS_BUILT.scheme else "start as their own reset_parameters makes them"
    body = (
        f"Any module gets the values that winit gives it, bit for bit (with torch {stored.env['torch']}; the run had "
        f"the seeds {seeds}).{summary} Norm layers {kept}, frozen parameters keep their values, tied ones are filled "
        "once."
    )
    lines = [
        f"Initial weights of the label {label} of the winit run {stored.name}.",
        "",
        *(f"    {line}".rstrip() for line in usage),
        "",
        textwrap.fill(body, WIDTH, break_on_hyphens=False),
        "",
        f"Needs torch alone. Written by winit {__version__}.",
    ]
    return "\n".join(lines) + "\n"
