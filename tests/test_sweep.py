"""Configs that nobody wrote: random depths, widths, activations and optimizers, with all schemes at once."""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from typer.testing import CliRunner

from winit_cli.cli import app
from winit_cli.models.row import ActivationName
from winit_cli.schemes import SCHEMES

NEEDED = {"constant": {"val": 0.05}, "sparse": {"sparsity": 0.5}}
NEEDED |= {"random_walk": {"activation": "relu"}, "edge_of_chaos": {"activation": "tanh"}}
NEEDED |= {"chrono": {"t_max": 6}, "looks_linear": {"activation": "crelu"}}
NEEDED |= {"gradinit": {"iterations": 3}, "metainit": {"iterations": 3}}  # which take longer by default
ONLY_FOR = {"forget_bias": ("lstm",), "chrono": ("lstm", "gru"), "identity_recurrent": ("rnn",), "looks_linear": ()}
RESIDUAL = ("resnet", "resmlp")
BRANCHED = (*RESIDUAL, "transformer")
ONLY_FOR |= {
    "fixup": BRANCHED,
    "depth_scaled": BRANCHED,
    "rezero": BRANCHED,
    "zero_init_residual": (),
    "gpt2": BRANCHED,
}
ONLY_FOR |= dict.fromkeys(("deepnorm", "tfixup", "mimetic"), ("transformer",))
ONLY_FOR["autoinit"] = ("mlp", "cnn", "lstm", "gru", "rnn", *RESIDUAL)  # which no attention has a rule for
IMAGES = {"name": "digits", "train_size": 40, "test_size": 20}
SEQUENCES = {"name": "recall", "lag": 3, "symbols": 4, "train_size": 40, "test_size": 20}


def _model(name: str, pick: random.Random) -> dict[str, Any]:
    activations = [one for one in get_args(ActivationName) if one != "crelu" or name == "mlp"]
    activation, norm = pick.choice(activations), pick.choice(["none", "batch", "layer"])
    if name == "mlp":
        sizes = {"width": pick.randint(1, 9), "depth": pick.randint(0, 6), "bias": pick.random() < 0.7}
        return {"name": name, "activation": activation, "norm": norm, **sizes}
    if name == "cnn":
        channels = [pick.randint(1, 5) for _ in range(pick.randint(1, 3))]
        sizes = {"channels": channels, "kernel_size": pick.randint(1, 4), "pool": pick.choice(["max", "avg", "none"])}
        return {"name": name, "activation": activation, "norm": norm, **sizes}
    if name in RESIDUAL:
        sizes = {"width": pick.randint(3, 6), "depth": pick.randint(1, 4), "branch_layers": pick.randint(1, 3)}
        return {"name": name, "activation": activation, "norm": norm, "branch_scale": "learned", **sizes}
    if name == "transformer":
        sizes = {"width": 6 * pick.randint(1, 2), "heads": pick.randint(1, 3), "depth": 1}
        sizes |= {"patch": 4, "mlp_ratio": pick.randint(1, 3), "branch_scale": "learned"}
        return {"name": name, "activation": activation, "norm": "post", "skip_scale": "deepnorm", **sizes}
    made = {"name": name, "hidden": pick.randint(1, 7), "layers": pick.randint(1, 2)}
    return made | ({"nonlinearity": pick.choice(["tanh", "relu"])} if name == "rnn" else {})


def _train(pick: random.Random) -> dict[str, Any]:
    optimizer = pick.choice(["sgd", "adam", "adamw", "rmsprop"])
    made: dict[str, Any] = {"optimizer": optimizer, "lr": pick.choice([0.1, 0.003, [0.01, 0.1]])}
    made |= {"schedule": pick.choice(["constant", "cosine", "linear"]), "warmup": pick.randint(0, 2)}
    made |= {"batch_size": pick.randint(2, 20), "steps": pick.randint(2, 5)}
    made |= {"momentum": 0.9} if optimizer == "sgd" and pick.random() < 0.5 else {}
    return made | ({"clip_norm": 1.0} if pick.random() < 0.5 else {})


def _schemes(model: str) -> list[dict[str, Any]]:
    names = [name for name in SCHEMES if model in ONLY_FOR.get(name, (model,))]
    return [{"scheme": name, "fallback": "kaiming_normal", **NEEDED.get(name, {})} for name in names]


@pytest.mark.parametrize("draw", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 4))])
@pytest.mark.parametrize(
    "model", ["mlp", "cnn", "lstm", "gru", "rnn", *(pytest.param(name, marks=pytest.mark.slow) for name in BRANCHED)]
)
def test_all_schemes_at_once(model: str, draw: int, tmp_path: Path) -> None:
    pick = random.Random(f"{model} {draw}")
    config = {
        "model": _model(model, pick),
        "data": IMAGES if model in ("cnn", "resnet") else pick.choice([IMAGES, SEQUENCES]),
        "train": _train(pick),
        "seeds": 1,
    }
    has_head_bias = config["model"].get("bias", True)
    config["schemes"] = [entry for entry in _schemes(model) if has_head_bias or entry["scheme"] != "bias_prior"]
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(app, ["run", str(file), "--results", str(tmp_path / "results"), "--json"])
    assert done.exit_code == 0, f"{config}\n{done.stderr}"
    document = json.loads(done.stdout)
    rates = config["train"]["lr"] if isinstance(config["train"]["lr"], list) else [config["train"]["lr"]]
    assert document["state"] == "complete"
    assert sum(document["trials"].values()) == len(config["schemes"]) * len(rates)
    assert {row["label"] for row in document["ranking"]} == {entry["scheme"] for entry in config["schemes"]}
    _check_tables(Path(document["run"]), config)


def _check_tables(run: Path, config: dict[str, Any]) -> None:
    texts = {name: (run / f"{name}.csv").read_text() for name in ("trials", "curves", "init")}
    tables = {name: list(csv.DictReader(text.splitlines())) for name, text in texts.items()}
    classes = 10 if config["data"]["name"] == "digits" else 4
    start = {row["label"]: row for row in tables["curves"] if row["step"] == "0" and row["split"] == "test"}
    assert float(start["zeros"]["loss"]) == pytest.approx(math.log(classes), rel=1e-6)
    for row in tables["init"]:
        size = math.prod(int(n) for n in row["shape"].split("x"))
        if row["expected_std"] and size >= 200 and row["scheme"] not in ("eye", "dirac"):
            assert float(row["std"]) == pytest.approx(float(row["expected_std"]), rel=0.35, abs=1e-9), row
    for row in tables["trials"]:
        finals = [row["final_train_loss"], row["final_test_loss"], row["final_test_accuracy"]]
        assert all(math.isfinite(float(value)) for value in finals) if row["status"] == "ok" else finals == [""] * 3
        assert len(row["init_hash"]) == 64
