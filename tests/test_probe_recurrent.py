"""What is measured of recurrent layers over time, against computations by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small import plan_of
from torch import Tensor, nn

import winit_cli as winit
from winit_cli.probe.live import Probe
from winit_cli.probe.memory import by_lag
from winit_cli.probe.recurrence import unrolled
from winit_cli.probe.trials import probe_plan

CELLS = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell, "RNN": nn.RNNCell}


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


X, Y = randn(20, 11, 4), torch.arange(20) % 3


class Reader(nn.Module):
    """A recurrent layer with a head on its last output, its last state, all outputs or their mean."""

    def __init__(self, rnn: nn.RNNBase, reads: str = "last") -> None:
        super().__init__()
        self.rnn, self.reads = rnn, reads
        self.head = nn.Linear(rnn.hidden_size * (1 + rnn.bidirectional), 3)

    def forward(self, x: Tensor) -> Tensor:
        out, state = self.rnn(x)
        h = state[0] if isinstance(state, tuple) else state
        return self.head({"last": out[:, -1], "state": h[-1], "all": out, "mean": out.mean(1)}[self.reads])


class Loop(nn.Module):
    """A cell, step by step."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(cell.hidden_size, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for given in x.unbind(1):
            state = self.cell(given, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


def reader(rnn: nn.RNNBase, reads: str = "last", scheme: str = "orthogonal", **options: Any) -> Reader:
    module = Reader(rnn, reads)
    winit.init(module, scheme, bias={"scheme": "uniform", "a": -1, "b": 1}, **options)
    return module


def values(found: Probe, layer: str = "rnn") -> dict[str, float]:
    table = found.table
    return dict(table[table["layer"] == layer][["metric", "value"]].itertuples(index=False))


def norms_by_hand(module: Reader, x: Tensor, y: Tensor) -> Iterator[float]:
    """From the last step to the first: torch's own cells in double precision, with the gradients of their states."""
    rnn, kept = module.rnn, []
    cells = [
        CELLS[type(rnn).__name__](rnn.input_size if layer == 0 else rnn.hidden_size, rnn.hidden_size).double()
        for layer in range(rnn.num_layers)
    ]
    for layer, cell in enumerate(cells):
        named = ((name, value) for name, value in rnn.state_dict().items() if name.endswith(f"_l{layer}"))
        cell.load_state_dict({name.removesuffix(f"_l{layer}"): value for name, value in named})
    states = [None] * len(cells)
    for given in x.double().unbind(1):
        kept.append([])
        for layer, cell in enumerate(cells):
            states[layer] = cell(given, states[layer])
            parts = states[layer] if isinstance(states[layer], tuple) else (states[layer],)
            kept[-1] += parts
            given = parts[0]
    for part in (part for parts in kept for part in parts):
        part.retain_grad()
    nn.functional.cross_entropy(module.head.double()(given), y).backward()
    for parts in reversed(kept):
        yield math.sqrt(sum(float(part.grad.square().sum()) for part in parts))


@pytest.mark.parametrize(("layers", "reads"), [(1, "last"), (1, "state"), (2, "last")])
@pytest.mark.parametrize("kind", CELLS)
def test_the_gradient_by_lag(kind: str, layers: int, reads: str) -> None:
    module = reader(getattr(nn, kind)(4, 5, layers, batch_first=True), reads)
    found = values(winit.probe(module, X, Y))
    expected = list(norms_by_hand(module, X, Y))
    lags = [name for name in found if name.startswith("grad_norm_lag_")]
    assert lags == [f"grad_norm_lag_{lag}" for lag in (0, 1, 2, 4, 8, 10)]
    assert [found[name] for name in lags] == pytest.approx([expected[lag] for lag in (0, 1, 2, 4, 8, 10)], rel=1e-4)
    if kind != "LSTM" and layers == 1:  # whose cells have a gradient beside that of h
        assert found["grad_norm"] == pytest.approx(expected[0], rel=1e-4)


def test_lags() -> None:
    assert list(by_lag([9.0])) == [0]
    assert by_lag([1.0, 2.0]) == {0: 2.0, 1: 1.0}
    assert by_lag([1.0, 2.0, 3.0, 4.0, 5.0]) == {0: 5.0, 1: 4.0, 2: 3.0, 4: 1.0}
    assert list(by_lag([0.0] * 28)) == [0, 1, 2, 4, 8, 16, 27]


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_in_a_loop_is_measured_like_the_layer(kind: str) -> None:
    module = reader(getattr(nn, kind)(4, 5, batch_first=True))
    loop = Loop(type("Named", (CELLS[kind],), {})(4, 5))
    loop.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in module.rnn.state_dict().items()})
    loop.head.load_state_dict(module.head.state_dict())
    expected, found = values(winit.probe(module, X, Y)), values(winit.probe(loop, X, Y), "cell")
    of_time = [name for name in expected if "lag" in name or "gate" in name or "half" in name]
    assert len(of_time) == {"LSTM": 10, "GRU": 9, "RNN": 7}[kind]
    assert {name: found[name] for name in of_time} == pytest.approx({n: expected[n] for n in of_time}, rel=1e-4)


def one_unit(recurrent_weight: float) -> Reader:
    """A relu unit that copies its input."""
    module = Reader(nn.RNN(1, 1, nonlinearity="relu", batch_first=True))
    for name, value in (("weight_ih", 1.0), ("weight_hh", recurrent_weight), ("bias_ih", 0.0), ("bias_hh", 0.0)):
        nn.init.constant_(getattr(module.rnn, f"{name}_l0"), value)
    return module


POSITIVE = 1 + torch.arange(54.0).reshape(6, 9, 1)


def test_a_linear_recurrence_multiplies_its_gradient_in_each_step() -> None:
    found = values(winit.probe(one_unit(0.5), POSITIVE))
    assert found["grad_norm_lag_8"] == pytest.approx(found["grad_norm_lag_0"] / 256)
    assert found["memory_half_life"] == pytest.approx(1)
    assert values(winit.probe(one_unit(1.0), POSITIVE))["memory_half_life"] == math.inf
    assert values(winit.probe(one_unit(0.0), POSITIVE))["memory_half_life"] == 0


def test_the_half_life_of_gates() -> None:
    """With recurrent and input weights 0 the gates are the sigmoids of their biases, two of which torch adds up."""
    lstm, gru, h = nn.LSTM(4, 3, batch_first=True), nn.GRU(4, 3, batch_first=True), 3
    for rnn, gate in ((lstm, 1), (gru, 1)):
        for parameter in rnn.parameters():
            nn.init.zeros_(parameter)
        with torch.no_grad():
            rnn.bias_ih_l0[gate * h : (gate + 1) * h] = torch.tensor([-1.0, 0.0, 1.0])
            rnn.bias_hh_l0[gate * h : (gate + 1) * h] = 2.0
        found = values(winit.probe(Reader(rnn), X))
        kept = 1 / (1 + math.exp(-2))  # of the unit in the middle
        assert found["memory_half_life"] == pytest.approx(math.log(2) / -math.log(kept))


def test_saturated_gates() -> None:
    """Of four units with biases 2.9 and 3: sigmoid(3) = 0.953 is above 0.95, sigmoid(2.9) = 0.948 is not."""
    lstm = nn.LSTM(4, 4, batch_first=True)
    for parameter in lstm.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        lstm.bias_ih_l0[0:4] = torch.tensor([2.9, 3.0, -2.9, -3.0])  # the input gate
        lstm.bias_ih_l0[12:] = 3.0  # the output gate
    found = values(winit.probe(Reader(lstm), X))
    shares = {name: found[f"gate_saturated_{name}"] for name in ("input", "forget", "output")}
    assert shares == {"input": 0.5, "forget": 0.0, "output": 1.0}
    gru = reader(nn.GRU(4, 5, batch_first=True))
    assert {name for name in values(winit.probe(gru, X)) if "gate" in name} == {
        "gate_saturated_reset",
        "gate_saturated_update",
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(4, 5, 3, bidirectional=True, proj_size=2),
        lambda: nn.GRU(4, 5, 2, bidirectional=True, bias=False),
        lambda: nn.RNN(4, 5, 2),
        lambda: nn.RNN(4, 5, nonlinearity="relu", batch_first=True),
    ],
)
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_what_is_computed_step_by_step_is_what_torch_computes(make: Any) -> None:
    rnn = make()
    _, last = rnn(randn(7, 6, 4))
    state = [randn(*part.shape) for part in (last if isinstance(last, tuple) else (last,))]
    out, last = rnn(randn(7, 6, 4), tuple(state) if len(state) == 2 else state[0])
    x = randn(7, 6, 4).double() if rnn.batch_first else randn(7, 6, 4).double().transpose(0, 1)
    found = unrolled(rnn, x, tuple(part.double() for part in state))
    torch.testing.assert_close(found.out.float(), out if rnn.batch_first else out.transpose(0, 1))
    for part, expected in zip(found.last, last if isinstance(last, tuple) else (last,), strict=True):
        torch.testing.assert_close(part.float(), expected)
    assert all(len(arrays) == rnn.num_layers * (1 + rnn.bidirectional) for arrays in found.gates.values())


def test_what_is_read_backward_has_no_lags_but_gates() -> None:
    """A change of the weights that read backward changes neither the norms by lag nor the forward gates."""
    module = reader(nn.GRU(4, 5, bidirectional=True, batch_first=True))
    before = values(winit.probe(module, X, loss=lambda out: out.sum()))
    with torch.no_grad():
        module.rnn.weight_hh_l0_reverse.mul_(100)
    after = values(winit.probe(module, X, loss=lambda out: out.sum()))
    lags = [name for name in before if "lag" in name]
    assert len(lags) == 6 and [after[name] for name in lags] == [before[name] for name in lags]
    assert after["gate_saturated_reset"] > before["gate_saturated_reset"]


class Packed(nn.Module):
    """Sequences of unequal lengths."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(rnn.hidden_size, 3)

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.arange(len(x)) % x.shape[1] + 1
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][-1])


class Doubled(nn.GRU):
    """A layer that computes something else than torch's."""

    def forward(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return super().forward(2 * x, hx)


class Averaging(nn.RNNCellBase):
    """A cell of one's own."""

    def __init__(self) -> None:
        super().__init__(4, 4, bias=False, num_chunks=1)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        return (x @ self.weight_ih.T + (0 if h is None else h @ self.weight_hh.T)) / 2


@pytest.mark.parametrize(
    "module",
    [
        Packed(nn.GRU(4, 5, batch_first=True)),
        Reader(Doubled(4, 5, batch_first=True)),
        Reader(nn.GRU(4, 5, batch_first=True).requires_grad_(False)),
        Loop(Averaging()),
    ],
    ids=["packed", "own", "frozen", "own cell"],
)
def test_what_is_not_followed_over_time_is_said(module: nn.Module) -> None:
    found = winit.probe(module, X, Y)
    assert found.verdict == "healthy"
    assert found.advice.endswith("how far gradients reach back in time was not measured")
    assert not [name for name in values(found) if "lag" in name]
    followed = winit.probe(reader(nn.GRU(4, 5, batch_first=True)), X, Y)
    assert "not measured" not in followed.advice


@pytest.mark.parametrize("reads", ["all", "mean"])
def test_where_every_step_is_read_the_gradient_reaches_all(reads: str) -> None:
    module = reader(nn.GRU(4, 5, batch_first=True), reads, scheme="normal", std=0.01)
    found = winit.probe(module, X)
    assert found.verdict == "healthy"
    assert values(found)["grad_norm_lag_10"] > 0.3 * values(found)["grad_norm_lag_0"]


def test_half_precision_and_dropout_between_layers() -> None:
    module = reader(nn.LSTM(4, 5, 2, dropout=0.5, batch_first=True))
    expected = values(winit.probe(module.eval(), X, Y))
    assert values(winit.probe(module.train(), X, Y)) == expected
    assert module.rnn.dropout == 0.5
    found = values(winit.probe(module.to(torch.bfloat16), X.to(torch.bfloat16), Y))
    assert found["grad_norm_lag_10"] == pytest.approx(expected["grad_norm_lag_10"], rel=0.1)


@pytest.mark.parametrize(("model", "gates"), [("lstm", ["forget", "input", "output"]), ("gru", ["reset", "update"])])
def test_histograms_of_gates(model: str, gates: list[str]) -> None:
    data = "data={name: adding, length: 6, train_size: 80, test_size: 8}"
    probed = probe_plan(plan_of(f"model={{name: {model}, hidden: 6, layers: 2}}", data))
    rows = [row for row in probed.histogram_rows() if row[4].startswith("gate_")]
    assert sorted({row[4] for row in rows}) == [f"gate_{name}" for name in gates]
    assert {row[:4] for row in rows} == {("kaiming_normal", 0, "rnn", 1)}
    for name in gates:
        of_gate = [row for row in rows if row[4] == f"gate_{name}"]
        assert sum(row[7] for row in of_gate) == 64 * 6 * 6 * 2  # examples, steps, units, layers
        assert 0 <= of_gate[0][5] <= of_gate[-1][6] <= 1
