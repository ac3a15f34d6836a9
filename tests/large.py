"""A run of many trials, made at once: what the report must bear."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from frames import CURVES, GRADIENTS, INIT, TRIALS, TWELVE, make_run
from signal_frames import make_signals

from winit_cli.store.frames import RunFrames


def large_run(path: Path, *, seeds: int = 84, points: int = 100, params: int = 10) -> RunFrames:
    """Twelve labels × 84 seeds × 100 points × 10 parameters; one label diverges half-way. All were probed."""
    small = make_run(path, TWELVE, seeds=1, layers=params // 2)
    signals = make_signals(TWELVE, layers=params // 2, seeds=5)
    draw = np.random.default_rng(0)
    config = {**small.config, "model": signals.config["model"], "seeds": list(range(seeds))}
    count = len(TWELVE) * seeds
    trials = small.trials.loc[small.trials.index.repeat(seeds)].reset_index(drop=True)
    trials["seed"] = list(range(seeds)) * len(TWELVE)
    trials["trial"] = [f"{label}/0.05/{seed}" for label, seed in zip(trials["label"], trials["seed"], strict=True)]
    for name in ("final_train_loss", "final_test_loss", "final_test_accuracy"):
        trials[name] = pd.to_numeric(trials[name]) * (1 + 0.02 * draw.normal(size=count))
    keys = trials[["trial", "label", "lr", "seed"]]
    steps = np.arange(points) * 10
    return dataclasses.replace(
        small,
        config=config,
        trials=trials[TRIALS],
        curves=_curves(keys, trials, steps, draw)[CURVES],
        gradients=_gradients(keys, list(small.init["param"].unique()), steps, draw)[GRADIENTS],
        init=_repeated(keys, small.init, "seed", seeds)[INIT],
        units=_repeated(keys, small.units, "seed", seeds),
        timings=trials[["trial"]].assign(seconds=1.0),
        probe=_probe(signals.probe),
        verdicts=signals.verdicts,
        histograms=_histograms(signals.histograms),
    )


def _probe(frame: pd.DataFrame) -> pd.DataFrame:
    """With as many metrics of each layer as winit measures."""
    layers = frame[frame["metric"] == "pre_mean_square"]
    names = ("act_mean_square", "act_variance", "dead_fraction", "distinct_units", "gradient_rank", "pre_mean")
    return pd.concat([frame, *(layers.assign(metric=name, value=0.5) for name in names)], ignore_index=True)


def _histograms(frame: pd.DataFrame) -> pd.DataFrame:
    """With the quantities that have no figure."""
    weights = frame[frame["quantity"] == "weight"]
    others = [weights.assign(quantity=name) for name in ("gradient", "bias")]
    return pd.concat([frame, *others], ignore_index=True)


def _curves(keys: pd.DataFrame, trials: pd.DataFrame, steps: np.ndarray, draw: np.random.Generator) -> pd.DataFrame:
    fall = np.exp(-np.linspace(0, 3, len(steps)))
    parts = []
    for split, every in (("train", 1), ("test", 10)):
        chosen = steps[::every]
        frame = keys.loc[keys.index.repeat(len(chosen))].reset_index(drop=True)
        ends = np.repeat(pd.to_numeric(trials["final_test_loss"]).fillna(3.0).to_numpy(), len(chosen))
        loss = ends + 2 * np.tile(fall[::every], len(keys)) + 0.05 * draw.random(len(frame))
        step = np.tile(chosen, len(keys))
        parts.append(frame.assign(split=split, step=step, loss=loss, accuracy=np.exp(-loss)))
    frame = pd.concat(parts, ignore_index=True)
    return frame[(frame["label"] != "ones") | (frame["step"] < 500)]


def _gradients(keys: pd.DataFrame, params: list[str], steps: np.ndarray, draw: np.random.Generator) -> pd.DataFrame:
    each = len(params) * len(steps)
    frame = keys.loc[keys.index.repeat(each)].reset_index(drop=True)
    return frame.assign(
        step=np.tile(np.repeat(steps, len(params)), len(keys)),
        param=np.tile(np.array(params, dtype=object), len(keys) * len(steps)),
        grad_norm=np.exp(draw.normal(size=len(frame))),
    )


def _repeated(keys: pd.DataFrame, frame: pd.DataFrame, name: str, seeds: int) -> pd.DataFrame:
    """The rows of seed 0 for every seed."""
    copies = [frame.assign(**{name: seed}) for seed in range(seeds)]
    return pd.concat(copies, ignore_index=True).assign(
        trial=lambda rows: rows["label"] + "/0.05/" + rows["seed"].astype(str)
    )
