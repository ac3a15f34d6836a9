"""What a run records of its plan: the resolved config as it is written to ``config.yaml``, which gives the same run
again, and how its labels and data are to be read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from winit_cli.plan import Plan
from winit_cli.setting import Setting


def resolved_config(plan: Plan) -> dict[str, Any]:
    """All values that a plan settled; with ``vary:`` what the variants settle differently stays as given."""
    base, first = plan.config.base, plan.settings[0]
    train = _agreed([setting.train.model_dump() for setting in plan.settings], base.train.model_dump())
    if train["steps"] is None and train["epochs"] is None:
        train["epochs"] = base.train.epochs
    settled = [{"every": setting.every, "test_every": setting.test_every} for setting in plan.settings]
    measure = base.measure.model_dump()
    measure |= _agreed(settled, {key: measure[key] for key in settled[0]})
    return {
        "name": base.general.name,
        "model": _plain(base.model.flat()),
        "data": _plain(_data(first, base.data.flat())),
        "schemes": [_plain(dict(entry.flat)) for entry in base.schemes],
        "train": _without_none(_plain(train)),
        "seeds": list(base.general.seeds),
        "vary": {key: list(values) for key, values in plan.config.vary.items()},
        "measure": _without_none(_plain(measure)),
        "baseline": base.baseline,
        **_without_none(_plain(base.judging.model_dump())),
        "engine": base.general.engine,
        "precision": base.general.precision,
        "checkpoint_seconds": base.general.checkpoint_seconds,
        "claims": [claim.given.flat() for claim in plan.config.claims],
        "ignore": [entry.flat() for entry in plan.config.ignore],
    }


def _agreed(settled: list[dict[str, Any]], given: dict[str, Any]) -> dict[str, Any]:
    """What all variants settle alike, else as given."""
    first = settled[0]
    return {key: first[key] if all(one[key] == first[key] for one in settled) else given[key] for key in given}


def _data(setting: Setting, options: dict[str, Any]) -> dict[str, Any]:
    """Where ``source: auto`` chose, the choice."""
    return options | {"source": setting.dataset.source} if options.get("source") == "auto" else options


def _without_none(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}


def _plain(value: Any) -> Any:
    """Tuples as lists, which is what YAML has."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def facts_of(plan: Plan) -> dict[str, Any]:
    """Config, labels, recipes and data, as the store keeps them."""
    data = plan.settings[0].dataset
    losses = {setting.suffix.removeprefix("@"): setting.constant_loss for setting in plan.settings}
    alike = len(set(losses.values())) == 1
    return {
        "config": resolved_config(plan),
        "labels": plan.labels,
        "recipes": {e.label + s.suffix: asdict(e.recipe) for s in plan.settings for e in s.experiment.schemes},
        "data": {
            "name": data.name,
            "task": "classification" if plan.settings[0].has_accuracy else "regression",  # what results are ranked by
            "outputs": data.outputs,
            "source": data.source,
            "fingerprint": data.fingerprint,
            "constant_loss": next(iter(losses.values())) if alike else None,
            "constant_losses": losses,
            "notes": list(plan.settings[0].notes),
        },
    }
