"""One resolved experiment from a document. Every fault is noted before any is raised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winit_cli.config.document import Document, shown
from winit_cli.config.entries import EntryReader
from winit_cli.config.faults import Faults
from winit_cli.config.plain_yaml import Path_
from winit_cli.config.schema import NAME, Entry, Experiment, General, Judging, Measure, SchemeEntry, Select, Train, slug
from winit_cli.data import DATASETS
from winit_cli.errors import brief, known
from winit_cli.losses import LOSSES
from winit_cli.models import MODELS
from winit_cli.tables import Strict, options_of

SECTIONS = ("model", "data", "schemes", "train", "measure", "baseline", "vary", "claims", "ignore")
KEYS = (*General.model_fields, *Judging.model_fields, *SECTIONS)


def experiment(document: Document, faults: Faults) -> Experiment | None:
    """Resolve a document without its ``vary:``; ``None`` where it has faults, which ``faults`` then holds."""
    raw = document.data
    before = len(faults.found)
    for key in raw:
        if key not in KEYS:
            faults.add((key,), f"unknown key '{brief(key)}'; {known(key, KEYS)}")
    model, data = _model(raw, faults), _data(raw, faults)
    train = _train(raw, faults)
    measure = faults.model(Measure, _section(raw, "measure"), ("measure",))
    schemes = _schemes(raw, model, faults)
    baseline = _baseline(raw, schemes, faults)
    general = _general(document, faults)
    judging = _judging(raw, data, train, general, faults)
    if len(faults.found) > before or not (model and data and train and measure and judging and general):
        return None
    return Experiment(
        general=general,
        model=model,
        data=data,
        schemes=schemes,
        train=train,
        measure=measure,
        judging=judging,
        baseline=baseline,
    )


def _section(raw: Mapping[str, Any], key: str) -> Any:
    """A section of options; nothing after its colon is no options."""
    value = raw.get(key)
    return {} if value is None else value


def _general(document: Document, faults: Faults) -> General | None:
    raw = document.data
    given = {key: raw[key] for key in General.model_fields if key in raw}
    stem = Path(document.source).stem
    given.setdefault("name", stem if NAME.fullmatch(stem) else "experiment")
    return faults.model(General, given, ())


def _judging(
    raw: Mapping[str, Any], data: Entry | None, train: Train | None, general: General | None, faults: Faults
) -> Judging | None:
    given = {key: raw[key] for key in Judging.model_fields if key in raw and key != "select"}
    judging = faults.model(Judging, given, ())
    select = faults.model(Select, raw["select"], ("select",)) if raw.get("select") is not None else None
    if select is None:
        return judging
    if general and (shared := sorted(set(select.seeds) & set(general.seeds))):
        listed = brief(", ".join(map(str, shared)))
        faults.add(("select", "seeds"), f"{listed} also under seeds:; rates are selected on seeds of their own")
    if train and len(train.lr) < 2:
        faults.add(("select",), "there is only one learning rate; give train.lr a list, or remove select:")
    if data and select.metric == "final_val_loss" and not data.options.get("val_size"):
        faults.add(("select", "metric"), "final_val_loss needs a validation part; set data.val_size")
    return judging and judging.model_copy(update={"select": select})


def _train(raw: Mapping[str, Any], faults: Faults) -> Train | None:
    train = faults.model(Train, _section(raw, "train"), ("train",))
    if train is None or train.loss is None:
        return train
    row = faults.row(LOSSES, train.loss, "loss", ("train", "loss"))
    return None if row is None else train.model_copy(update={"loss": row.name})


def _model(raw: Mapping[str, Any], faults: Faults) -> Entry | None:
    given = _entry(raw, "model", MODELS, faults)
    row = faults.row(MODELS, given["name"], "model", ("model", "name")) if given else None
    if not given or not row:
        return None
    return _with_options(given, row.name, row.options, ("model",), faults, given_only=bool(row.source))


def _data(raw: Mapping[str, Any], faults: Faults) -> Entry | None:
    given = _entry(raw, "data", DATASETS, faults)
    row = faults.row(DATASETS, given["name"], "data set", ("data", "name")) if given else None
    return _with_options(given, row.name, options_of(row.load), ("data",), faults) if given and row else None


def _with_options(
    given: Mapping[str, Any], name: str, cls: type[Strict], path: Path_, faults: Faults, *, given_only: bool = False
) -> Entry | None:
    """The options with their defaults; a user's own model is left its own, which need not be YAML."""
    options = faults.model(cls, {key: value for key, value in given.items() if key != "name"}, path)
    return None if options is None else Entry(name=name, options=options.model_dump(exclude_unset=given_only))


def _entry(raw: Mapping[str, Any], key: str, rows: Mapping[str, Any], faults: Faults) -> dict[str, Any] | None:
    """``mlp`` or ``{name: mlp, …}`` as a mapping with a name."""
    value = raw.get(key)
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) and "name" in value:
        return dict(value)
    if value is None:
        faults.add((), f"'{key}' is required, e.g. {key}: {next(iter(rows))}; {known('', rows)}")
    else:
        faults.add((key,), f"expected a name or a mapping with name:, got {shown(value)}; {known('', rows)}")
    return None


def _schemes(raw: Mapping[str, Any], model: Entry | None, faults: Faults) -> tuple[SchemeEntry, ...]:
    given = raw.get("schemes")
    if not isinstance(given, list) or not given:
        what = "is empty" if given == [] else "must be a list" if given is not None else "is required"
        path = () if given is None else ("schemes",)
        faults.add(path, f"'schemes' {what}; list at least one, e.g. schemes: [kaiming_normal, zeros]")
        return ()
    # without a valid model nothing is trained, and any activation will do to find the other faults
    reader = EntryReader(faults, MODELS[model.name].activation(model.options) if model else "relu")
    entries: dict[int, SchemeEntry] = {}
    for index, value in enumerate(given):
        entry = reader.entry(value, ("schemes", index))
        if entry is not None:
            _refuse_twin(entry, entries, index, faults)
            entries[index] = entry
    return tuple(entries.values())


def _refuse_twin(entry: SchemeEntry, earlier: Mapping[int, SchemeEntry], index: int, faults: Faults) -> None:
    for other in earlier.values():
        if slug(other.label) == slug(entry.label):
            same = "is used twice" if other.label == entry.label else f"and '{brief(other.label)}' share one file name"
            cure = f"give one of them another, e.g. label: {brief(entry.label)} 2"
            faults.add(("schemes", index), f"label '{brief(entry.label)}' {same}; {cure}")
            return


def _baseline(raw: Mapping[str, Any], schemes: tuple[SchemeEntry, ...], faults: Faults) -> str:
    """The label that the others are compared with: pytorch_default if present, else the first."""
    labels = [entry.label for entry in schemes]
    baseline = raw.get("baseline")
    if baseline is not None:
        if labels and baseline not in labels:
            faults.add(("baseline",), f"no label {shown(baseline)} among the schemes; {known(str(baseline), labels)}")
        return str(baseline)
    defaults = [entry.label for entry in schemes if entry.recipe.scheme == "pytorch_default"]
    return next(iter([*defaults, *labels]), "")
