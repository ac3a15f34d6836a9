"""Schemes that look at training data: what they promise of it, and that they see nothing else."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from small import plan_of, run_of
from torch import Tensor, nn
from zoo import DRIVEN

from winit_cli.api.init import init
from winit_cli.engine.initial import initialized
from winit_cli.errors import ConfigError, UsageError
from winit_cli.models import MODELS, Task, construct
from winit_cli.rng import generator

NETS: dict[str, tuple[Task, dict[str, Any]]] = {
    "mlp": (Task((30,), 4), {"width": 25, "depth": 6, "activation": "tanh"}),
    "cnn": (Task((2, 12, 12), 4), {"channels": (6, 8), "norm": "batch"}),
    "resnet": (Task((2, 12, 12), 4), {"width": 6, "depth": 3, "norm": "none"}),
    "resmlp": (Task((30,), 4), {"width": 20, "depth": 3, "norm": "layer"}),
    "transformer": (Task((7, 5), 4), {"width": 12, "heads": 3}),
    "lstm": (Task((7, 5), 4), {"hidden": 12, "layers": 2}),
    "gru": (Task((7, 5), 4), {"hidden": 12, "layers": 3}),
    "rnn": (Task((7, 5), 4), {"hidden": 12, "layers": 2, "nonlinearity": "relu"}),
}
# what is tried here of schemes that take long
FEW: dict[str, dict[str, Any]] = {
    "krahenbuhl": {"iterations": 2},
    "gradinit": {"iterations": 6, "examples": 32, "lr": 0.3},
    "metainit": {"iterations": 2, "examples": 8},
}
BLIND = ("metainit",)  # to everything in the data but its shapes


def _net(name: str) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    task, options = NETS[name]
    x = 3 * torch.randn(200, *task.input_shape, generator=generator("x", name)) + 1
    y = torch.randint(task.outputs, (200,), generator=generator("y", name))
    return construct(MODELS[name], task, options, seed=0), (x, y)


def _few(scheme: str) -> str:
    """An entry of a config."""
    options = "".join(f", {key}: {value}" for key, value in FEW.get(scheme, {}).items())
    return f"{{scheme: {scheme}, label: {scheme}{options}}}"


def _projections(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What every weight gives that lsuv scales, computed layer by layer."""
    found: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def hook(layer: nn.Module, args: tuple[Tensor, ...], out: Any) -> None:
            if not isinstance(layer, nn.RNNBase):
                found[f"{path}.weight"] = out
                return
            states = args[0]
            for number in range(layer.num_layers):
                weight = layer.get_parameter(f"weight_ih_l{number}")
                found[f"{path}.weight_ih_l{number}"] = states @ weight.T
                one = type(layer)(weight.shape[1], layer.hidden_size, batch_first=True)
                own = {key: layer.get_parameter(key.replace("_l0", f"_l{number}")) for key in one.state_dict()}
                one.load_state_dict(own)
                if isinstance(layer, nn.RNN):
                    one = nn.RNN(weight.shape[1], layer.hidden_size, batch_first=True, nonlinearity="relu")
                    one.load_state_dict(own)
                states = one(states)[0]

        return hook

    for path, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding | nn.RNNBase):
            layer.register_forward_hook(keep(path))
    with torch.no_grad():
        module(x)
    return found


@pytest.mark.parametrize("name", NETS)
def test_lsuv_gives_every_layer_unit_variance(name: str) -> None:
    module, batch = _net(name)
    init(module, "lsuv", batch=batch[0])
    seen = _projections(module, batch[0])
    weights = [key for key, _ in module.named_parameters() if "weight" in key and "weight_hh" not in key]
    assert set(seen) == {key for key in weights if "norm" not in key}
    for key, out in seen.items():
        assert float(out.var(correction=0)) == pytest.approx(1, abs=0.02), key


def test_lsuv_keeps_weights_orthogonal_but_for_their_size() -> None:
    module, batch = _net("lstm")
    init(module, "lsuv", batch=batch[0])
    for gate in module.rnn.weight_hh_l1.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(12), atol=1e-5, rtol=0)
    for gate in module.rnn.weight_ih_l1.detach().chunk(4):
        square = gate @ gate.T
        torch.testing.assert_close(square, square[0, 0] * torch.eye(12), atol=1e-4, rtol=0)


def _variance(module: nn.Module, layer: nn.Module, x: Any) -> float:
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, args, out: seen.append(out.detach().clone()))
    module(x)
    handle.remove()
    return float(seen[0].var(correction=0))


def test_an_activation_in_place_does_not_change_what_is_measured() -> None:
    x = torch.randn(256, 9, generator=generator("in place"))
    module = nn.Sequential(nn.Linear(9, 30), nn.ReLU(inplace=True), nn.Linear(30, 30), nn.ReLU(inplace=True))
    init(module, "lsuv", batch=x)
    assert [_variance(module, module[i], x) for i in (0, 2)] == pytest.approx([1, 1], abs=0.02)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_it_is_the_weight_that_has_unit_variance_whatever_the_bias(name: str) -> None:
    module, (x, _) = _net(name)
    init(module, {"scheme": "lsuv", "bias": {"scheme": "normal", "std": 2.0}}, batch=x)
    assert module.head.bias.abs().max() > 0.5
    with torch.no_grad():
        module.head.bias.zero_()
    assert _variance(module, module.head, x) == pytest.approx(1, abs=0.02)


def test_lsuv_sees_packed_sequences_as_sequences() -> None:
    sequences = torch.randn(40, 7, 5, generator=generator("packed"))
    packed = nn.utils.rnn.pack_padded_sequence(sequences, [7] * 40, batch_first=True)

    class Net(nn.Module):
        def __init__(self, packs: bool) -> None:
            super().__init__()
            self.rnn, self.packs = nn.LSTM(5, 6, 2, batch_first=True), packs

        def forward(self, x: Tensor) -> Tensor:
            given = nn.utils.rnn.pack_padded_sequence(x, [7] * len(x), batch_first=True) if self.packs else x
            return self.rnn(given)[1][0][-1]

    assert packed.data.shape == (280, 5)
    nets = [Net(packs) for packs in (True, False)]
    for net in nets:
        init(net, "lsuv", batch=sequences)
    torch.testing.assert_close(nets[0].rnn.weight_ih_l1, nets[1].rnn.weight_ih_l1)


@pytest.mark.parametrize("scheme", ["lsuv", "weightnorm_dd", "krahenbuhl"])
def test_attention_is_seen_before_its_softmax(scheme: str) -> None:
    x = torch.randn(30, 5, 8, generator=generator("attention"))
    module = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    init(module, {"rules": [{"params": "*in_proj_weight", "scheme": scheme}], "others": "kaiming_normal"}, batch=x)
    seen = x @ module.self_attn.in_proj_weight.detach().T
    assert float(seen.var(correction=0)) == pytest.approx(1, abs=0.02 if scheme == "lsuv" else 0.5)


def test_a_weight_whose_scale_is_undone_is_refused() -> None:
    module = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)), nn.Linear(6, 2))
    with pytest.raises(UsageError, match=r"lsuv does not bring 0\.weight to unit variance in 10 iterations"):
        init(module, "lsuv", batch=5 * torch.randn(50, 6, generator=generator("spectral")))


def test_lsuv_says_what_it_cannot_scale() -> None:
    module, batch = _net("mlp")
    with pytest.raises(UsageError, match=r"lsuv looks at training examples: give a batch of them \(batch=…\)"):
        init(module, "lsuv")
    with pytest.raises(UsageError, match=r"lsuv cannot scale layers\.0\.weight to unit variance.*has variance 0"):
        init(module, "lsuv", batch=torch.zeros_like(batch[0]))
    module.unused = nn.Linear(3, 3)
    with pytest.raises(UsageError, match=r"cannot see what unused\.weight gives"):
        init(module, "lsuv", batch=batch[0])


def test_a_trial_whose_data_is_of_no_use_says_so_and_goes_on(tmp_path: Path) -> None:
    """One unit whose sigmoid hardly moves: another seed may be better off, so the run does not end."""
    plan = plan_of("schemes=[lsuv]", "seeds=1", "model={name: mlp, width: 6, depth: 1}")
    plan.settings[0].dataset.train.x.zero_()
    (warning,) = initialized(plan.trials[0]).warnings
    assert warning.startswith("lsuv cannot scale layers.0.weight to unit variance")


def test_what_a_scheme_cannot_work_with_is_told_with_its_labels_before_anything_trains() -> None:
    data = "data={name: recall, lag: 4, symbols: 3, train_size: 40, test_size: 20}"
    own = "{label: own, rules: [{layers: head, scheme: zeros}], others: autoinit}"
    entries = f"schemes=[lsuv, {{scheme: autoinit, label: mine}}, {own}]"
    with pytest.raises(ConfigError, match=r"label mine, own: autoinit cannot follow the signal through scaled_dot"):
        plan_of(entries, "model={name: transformer, width: 8, heads: 2}", data)


def test_a_rule_has_it_look_at_its_own_layers_alone() -> None:
    module, batch = _net("mlp")
    plain, _ = _net("mlp")
    init(module, {"rules": [{"layers": "head", "scheme": "lsuv"}], "others": "kaiming_normal"}, batch=batch[0])
    init(plain, "kaiming_normal")
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(module.layers, plain.layers, strict=True))
    assert float(module(batch[0]).detach().var(correction=0)) == pytest.approx(1, abs=0.02)


ON_NETS = [(scheme, name) for scheme in DRIVEN for name in NETS if (scheme, name) != ("autoinit", "transformer")]


@pytest.mark.parametrize(("scheme", "name"), ON_NETS)
def test_looking_at_data_leaves_nothing_behind(scheme: str, name: str) -> None:
    """Modes, buffers, gradients and global generators stay; the same seed gives the same bits, another gives others."""
    module, batch = _net(name)
    module.train()
    before, state = {key: value.clone() for key, value in module.named_buffers()}, torch.get_rng_state()
    init(module, scheme, batch=batch, **FEW.get(scheme, {}))
    assert module.training and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in module.named_buffers())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())
    again, other = _net(name)[0], _net(name)[0]
    init(again.eval(), scheme, batch=batch, **FEW.get(scheme, {}))
    init(other, scheme, seed=1, batch=batch, **FEW.get(scheme, {}))
    assert not again.training
    values = [dict(one.named_parameters()) for one in (module, again, other)]
    assert all(torch.equal(values[0][key], values[1][key]) for key in values[0])
    assert any(not torch.equal(values[0][key], values[2][key]) for key in values[0])


@pytest.mark.parametrize("scheme", DRIVEN)
def test_only_training_data_counts(scheme: str) -> None:
    """Weights depend on the training part alone, and the examples are drawn by the trial's seed."""
    settings = (f"schemes=[{_few(scheme)}]", "seeds=2", "model={name: mlp, width: 6, depth: 2}")
    plan = plan_of("data={name: digits, train_size: 60, test_size: 30}", *settings)
    data = plan.settings[0].dataset
    hashes = [record.sha256 for record in initialized(plan.trials[0]).records]
    data.test.x.zero_()
    assert [record.sha256 for record in initialized(plan.trials[0]).records] == hashes
    data.train.x.mul_(2)
    assert ([record.sha256 for record in initialized(plan.trials[0]).records] == hashes) is (scheme in BLIND)


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_the_cost_is_recorded(engine: str, tmp_path: Path) -> None:
    entries = ", ".join(map(_few, DRIVEN))
    run = run_of(tmp_path, f"schemes=[{entries}, kaiming_normal]", "seeds=2", f"engine={engine}").directory
    timings = list(csv.DictReader((run / "timings.csv").read_text().splitlines()))
    assert list(timings[0]) == ["trial", "seconds", "init_seconds", "init_passes"]
    fitted = {scheme: [row for row in timings if row["trial"].startswith(f"{scheme}/")] for scheme in DRIVEN}
    kaiming = [row for row in timings if row["trial"].startswith("kaiming_normal/")]
    assert all(len(rows) == 2 for rows in (*fitted.values(), kaiming))
    least = {"autoinit": 2}
    for scheme, rows in fitted.items():
        assert all(float(row["init_seconds"]) > 0 for row in rows)
        assert all(int(row["init_passes"]) >= least.get(scheme, 3) for row in rows)
    assert all(row["init_seconds"] == row["init_passes"] == "" for row in kaiming)
