"""Schemes for gates, and the keys of an entry that speak of recurrent layers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from winit_cli.api.init import init
from winit_cli.errors import ConfigError
from winit_cli.models import MODELS, Task

LAYERS = {
    "lstm": lambda: nn.LSTM(6, 40, 2, bidirectional=True),
    "lstm cell": lambda: nn.LSTMCell(6, 40),
    "projected": lambda: nn.LSTM(6, 40, proj_size=9),
    "gru": lambda: nn.GRU(6, 40, 2),
    "gru cell": lambda: nn.GRUCell(6, 40),
}
LSTMS = ("lstm", "lstm cell", "projected")


def _default(kind: str, seed: int = 0) -> dict[str, torch.Tensor]:
    module = LAYERS[kind]()
    init(module, "pytorch_default", seed=seed)
    return {name: value.detach() for name, value in module.named_parameters()}


def _gates(name: str, module: nn.Module) -> tuple[torch.Tensor, ...]:
    values = module.get_parameter(name).detach()
    return values.chunk(4 if isinstance(module, nn.LSTM | nn.LSTMCell) else 3)


@pytest.mark.parametrize("kind", LSTMS)
@pytest.mark.parametrize("value", [1.0, -2.0, 5.0])
def test_the_forget_bias_is_set_once_and_all_else_is_torchs(kind: str, value: float) -> None:
    module, wanted = LAYERS[kind](), _default(kind)
    init(module, "forget_bias", value=value)
    for name, default in wanted.items():
        mine = module.get_parameter(name).detach()
        if "bias" not in name:
            assert torch.equal(mine, default), name
            continue
        set_to = value if "bias_ih" in name else 0.0
        for gate, (one, other) in enumerate(zip(mine.chunk(4), default.chunk(4), strict=True)):
            assert torch.all(one == set_to) if gate == 1 else torch.equal(one, other), (name, gate)


@pytest.mark.parametrize("kind", LAYERS)
def test_chrono_touches_the_gates_that_keep_alone(kind: str) -> None:
    module, wanted = LAYERS[kind](), _default(kind)
    init(module, "chrono", t_max=50)
    keeping = (0, 1) if kind in LSTMS else (1,)
    for name, default in wanted.items():
        if "bias" not in name:
            assert torch.equal(module.get_parameter(name), default), name
            continue
        for gate, (one, other) in enumerate(
            zip(_gates(name, module), default.chunk(len(_gates(name, module))), strict=True)
        ):
            if gate not in keeping:
                assert torch.equal(one, other), (name, gate)
            elif "bias_hh" in name:
                assert not one.any(), (name, gate)
            else:
                sign = -1 if (kind in LSTMS and gate == 0) else 1
                assert (sign * one >= 0).all() and (sign * one <= math.log(49)).all()
        if kind in LSTMS:
            assert torch.equal(_gates(name, module)[0], -_gates(name, module)[1])


@pytest.mark.parametrize(("kind", "gate"), [("lstm", 1), ("gru", 1)])
@pytest.mark.parametrize("t_max", [3, 10, 784])
def test_chronos_biases_are_logarithms_of_uniform_times(kind: str, gate: int, t_max: int) -> None:
    module = nn.LSTM(2, 1000) if kind == "lstm" else nn.GRU(2, 1000)
    table = init(module, "chrono", t_max=t_max).set_index("param")
    times = torch.exp(_gates("bias_ih_l0", module)[gate].double()).numpy()
    assert stats.kstest(times, stats.uniform(1, t_max - 2).cdf).pvalue > 1e-3
    row = table.loc["bias_ih_l0"]
    assert row["std"] == pytest.approx(row["expected_std"], rel=0.03)
    assert table.loc["bias_hh_l0", "std"] == pytest.approx(table.loc["bias_hh_l0", "expected_std"], rel=0.03)


def test_a_chrono_lstm_forgets_on_the_scale_of_its_times() -> None:
    """1 / (1 - sigmoid(b_f)) = 1 + T is the time constant of a cell (Tallec & Ollivier, section 2)."""
    module = nn.LSTM(1, 1000)
    init(module, "chrono", t_max=100)
    memory = 1 / (1 - torch.sigmoid(_gates("bias_ih_l0", module)[1].double()))
    assert np.allclose(memory, 1 + torch.exp(_gates("bias_ih_l0", module)[1].double()))
    assert float(memory.min()) >= 2 and float(memory.max()) <= 100


@pytest.mark.parametrize(
    ("scheme", "options", "module", "message"),
    [
        ("forget_bias", {}, nn.GRU(3, 3), "'forget_bias' is for biases of LSTMs, and the model has none"),
        ("forget_bias", {}, nn.LSTM(3, 3, bias=False), "the model has none"),
        ("chrono", {"t_max": 9}, nn.RNN(3, 3), "'chrono' is for biases of LSTMs and GRUs"),
        ("chrono", {"t_max": 1.5}, nn.LSTM(3, 3), "t_max: must be at least 2"),
        ("chrono", {}, nn.LSTM(3, 3), "t_max"),
        (
            "identity_recurrent",
            {},
            nn.LSTM(3, 3),
            "recurrent weights of plain recurrent layers, and the model has none",
        ),
    ],
)
def test_a_scheme_without_its_layer_says_so(
    scheme: str, options: dict[str, float], module: nn.Module, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        init(module, scheme, **options)


def test_an_irnn_hands_its_state_on() -> None:
    model = MODELS["rnn"].build(Task((7, 3), 2), hidden=20, nonlinearity="relu")
    table = init(model, "identity_recurrent", scale=0.5).set_index("param")
    assert torch.equal(model.rnn.weight_hh_l0, 0.5 * torch.eye(20))
    assert not any(value.any() for name, value in model.named_parameters() if "bias" in name)
    assert model.rnn.weight_ih_l0.detach().std() == pytest.approx(0.001, rel=0.4)
    assert model.head.weight.detach().std() == pytest.approx(0.001, rel=0.4)
    assert table.loc["rnn.weight_hh_l0", "expected_std"] == pytest.approx(table.loc["rnn.weight_hh_l0", "std"])
    state = torch.rand(1, 1, 20)
    with torch.no_grad():
        states, _ = model.rnn(torch.zeros(1, 3, 3), state)
    torch.testing.assert_close(states[0, -1], state[0, 0] / 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", LAYERS)
def test_recurrent_weights_are_orthogonal_gate_by_gate(kind: str, dtype: torch.dtype) -> None:
    module = LAYERS[kind]().to(dtype)
    init(module, {"scheme": "xavier_uniform", "recurrent": "orthogonal"})
    for name in [name for name, _ in module.named_parameters() if "weight_hh" in name]:
        for gate in _gates(name, module):
            small = gate if gate.shape[0] <= gate.shape[1] else gate.T
            torch.testing.assert_close(small @ small.T, torch.eye(len(small), dtype=dtype), atol=2e-6, rtol=0)


def test_the_keys_of_recurrent_layers() -> None:
    model = MODELS["lstm"].build(Task((7, 3), 2), hidden=8)
    entry = {"scheme": "xavier_uniform", "recurrent": "orthogonal", "forget_bias": 1}
    entry["input"] = {"scheme": "normal", "std": 0.01}
    table = init(model, entry).set_index("param")
    assert table.loc["rnn.weight_hh_l0", ["scheme", "rule"]].tolist() == ["orthogonal", "recurrent"]
    assert table.loc["rnn.weight_ih_l0", ["scheme", "rule"]].tolist() == ["normal", "input"]
    assert table.loc["head.weight", ["scheme", "rule"]].tolist() == ["xavier_uniform", "scheme"]
    assert table.loc["rnn.bias_ih_l0", ["scheme", "rule"]].tolist() == ["forget_bias", "bias"]
    gates = torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(8)
    torch.testing.assert_close((model.rnn.bias_ih_l0 + model.rnn.bias_hh_l0).detach(), gates)
    assert table.loc["head.bias", "scheme"] == "zeros" and not model.head.bias.any()


def test_a_forget_bias_beside_default_biases() -> None:
    one, other = nn.LSTM(3, 5), nn.LSTM(3, 5)
    init(one, {"scheme": "orthogonal", "forget_bias": 2, "bias": "default"})
    init(other, "forget_bias", value=2)
    assert torch.equal(one.bias_ih_l0, other.bias_ih_l0) and torch.equal(one.bias_hh_l0, other.bias_hh_l0)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"scheme": "xavier", "recurrent": "orthogonal"}, r"recurrent \(\*weight_hh\*\) wins no parameter"),
        ({"scheme": "xavier", "forget_bias": 1}, "'forget_bias' is for biases of LSTMs, and the model has none"),
        ({"scheme": "xavier", "forget_bias": "much"}, r"forget_bias\.value: must be a number"),
        ({"scheme": "xavier", "forget_bias": 1, "bias": "ones"}, "goes with bias: zeros or bias: default, not with"),
        ({"scheme": "xavier", "recurent": "orthogonal"}, "has no option 'recurent'; did you mean 'recurrent'"),
    ],
)
def test_keys_that_do_not_fit_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        init(nn.Linear(3, 3), entry)
