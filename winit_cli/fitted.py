"""A short trial of the schemes that look at data, so that what they cannot work with is told before anything trains."""

from __future__ import annotations

from dataclasses import replace

from winit_cli.config import SchemeEntry
from winit_cli.errors import UsageError
from winit_cli.rng import forked
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.fitting import Cost, Examples
from winit_cli.schemes.recipe import Recipe, Use
from winit_cli.setting import Setting

SHORT = {"iterations": 1, "examples": 8}  # at most, of the options that such schemes have


def try_fit(setting: Setting, entry: SchemeEntry) -> None:
    """Fill a model once by an entry's scheme, with few examples and iterations, if it looks at data.

    Raises:
        UsageError: the scheme cannot work with the model.
    """
    if all(SCHEMES[use.scheme].fit is None for use in entry.recipe.uses):
        return
    part = setting.dataset.train
    examples = Examples(part.x, part.y, setting.loss.function)
    try:
        with forked("rehearsal"):
            initialize(setting.build(0), _shortened(entry.recipe), 0, examples, Cost())
    except UsageError:
        raise
    except Exception:  # not of the scheme: the trials tell it
        return


def _shortened(recipe: Recipe) -> Recipe:
    rules = tuple(replace(rule, use=_short(rule.use)) for rule in recipe.rules)
    others, bias, fallback = (use and _short(use) for use in (recipe.others, recipe.bias, recipe.fallback))
    return replace(recipe, rules=rules, others=others, bias=bias, fallback=fallback)


def _short(use: Use) -> Use:
    if SCHEMES[use.scheme].fit is None:
        return use
    return Use(
        use.scheme, {key: min(value, SHORT[key]) if key in SHORT else value for key, value in use.options.items()}
    )
