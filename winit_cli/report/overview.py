"""What was run, in a few short facts."""

from __future__ import annotations

from typing import Any

from winit_cli.store.frames import RunFrames


def facts(run: RunFrames) -> list[tuple[str, str]]:
    """Model, data, training, what is varied, and trials."""
    varied = run.config.get("vary") or {}
    model = {name: value for name, value in run.config["model"].items() if f"model.{name}" not in varied}
    listed = [f"{name} {', '.join(map(str, values))}" for name, values in varied.items()]
    found = {
        "Model": _described(model),
        "Data": _data(run),
        "Training": _training(run.config["train"]),
        "Varied": "; ".join(listed),
        "Trials": _trials(run),
    }
    return [(name, text) for name, text in found.items() if text]


def state(run: RunFrames) -> str:
    """Whether the run is whole."""
    return str(run.status.get("state", "unknown"))


def _described(entry: dict[str, Any]) -> str:
    """``mlp: width 100, depth 3, activation relu``, without what is off or absent."""
    off: tuple[object, ...] = (None, False, "none", {})
    given = [(name, value) for name, value in entry.items() if name != "name" and value not in off]
    said = [name if value is True else f"{name} {value}" for name, value in given]
    return f"{entry.get('name', 'unknown')}: {', '.join(said)}" if said else str(entry.get("name", "unknown"))


def _data(run: RunFrames) -> str:
    data = run.config["data"]
    source = f" ({run.data['source']})" if run.data.get("source") else ""
    sizes = [
        f"{data[f'{part}_size']:,} {text}"
        for part, text in (("train", "training"), ("val", "validation"), ("test", "test"))
        if isinstance(data.get(f"{part}_size"), int) and data[f"{part}_size"]
    ]
    return f"{data['name']}{source}{': ' if sizes else ''}{', '.join(sizes)}{' examples' if sizes else ''}"


def _training(train: dict[str, Any]) -> str:
    length = f"{train['steps']} steps" if "steps" in train else f"{train.get('epochs', 'several')} epochs"
    rates = train["lr"] if isinstance(train["lr"], list) else [train["lr"]]
    listed = ", ".join(f"{float(lr):g}" for lr in rates)
    return f"{train['optimizer']}, {length} of {train['batch_size']} examples, learning rate {listed}"


def _trials(run: RunFrames) -> str:
    finished = int(run.trials["status"].isin(["ok", "diverged"]).sum())
    labels, seeds = len(run.labels), run.trials["seed"].nunique()
    rates = run.trials["lr"].nunique()
    product = f"{_many(labels, 'label')} × {_many(seeds, 'seed')}"
    product += f" × {rates} learning rates" if rates > 1 else ""
    return f"{product}, {finished} of {len(run.trials)} finished"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
