"""A stand-in for the findings of a run, from the ranking and comparisons that there are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from winit_cli.pairs import comparisons
from winit_cli.report.answer import answer
from winit_cli.report.notices import notices
from winit_cli.stats import ranking, split_label, summarize
from winit_cli.store.frames import RunFrames


@dataclass(frozen=True)
class Findings:
    task: str
    metric: str
    baseline: str
    standings: DataFrame
    summary: DataFrame
    comparisons: DataFrame
    ranks: DataFrame
    best_lr: DataFrame
    learning: DataFrame
    claims: DataFrame
    sentences: list[str]
    notices: list[str]
    method: list[str]
    target: float | None
    run: Any

    def curve(self, label: str, lr: float) -> list[float]:
        c = self.run.curves
        c = c[(c["label"] == label) & (c["lr"] == lr) & (c["split"] == "train")]
        return [float(v) for v in c.groupby("step")["loss"].median()]


def findings(run: RunFrames) -> Findings:
    task = run.data["task"]
    metric = "final_test_accuracy" if task == "classification" else "final_test_loss"
    table = ranking(run.trials, run.weight_gradients, run.labels, task=task)
    pairs = comparisons(run.trials, run.labels, run.config["baseline"])
    found = {(r["label_a"], r["lr"]): r for r in pairs[pairs["metric"] == metric].to_dict("records")}
    rows = []
    for row in table.to_dict("records"):
        pair = found.get((row["label"], row["lr"]))
        base, variant = split_label(row["label"])
        of = int((table["label"].map(lambda x, v=variant: split_label(x)[1] == v)).sum())
        row |= {
            "variant": variant,
            "rank_low": max(1, row["rank"] - 1),
            "rank_high": min(of, row["rank"] + 2),
            "of": of,
            "difference": pair["difference"] if pair else math.nan,
            "difference_low": pair["ci_low"] if pair else math.nan,
            "difference_high": pair["ci_high"] if pair else math.nan,
            "p_holm": pair["p_holm"] if pair else math.nan,
            "probability_of_improvement": pair["probability_of_improvement"] if pair else math.nan,
            "poi_low": 0.3,
            "poi_high": 0.9,
            "verdict": "baseline" if base == run.config["baseline"] else (pair["verdict"] if pair else ""),
            "seeds_needed": (np.inf if row["rank"] % 2 else 25.0)
            if pair and pair["verdict"] == "undecided"
            else math.nan,
            "steps_to_target": math.inf if row["rank"] > 3 else 60.0,
            "loss_area": 1.0,
            "why": "gradient of layer 1 is 3e-5 of the last" if row["rank"] > 3 else "",
        }
        rows.append(row)
    empty = DataFrame()
    return Findings(
        task, metric, run.config["baseline"], DataFrame(rows), summarize(run.trials, run.labels), pairs,
        empty, empty, empty, empty, answer(table, task=task), notices(run), ["Paired by seed."], 0.9, run,
    )  # fmt: skip
