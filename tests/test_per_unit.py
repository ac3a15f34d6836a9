"""Data-driven schemes for every unit by itself: weightnorm_dd and krahenbuhl."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from winit_cli.api.init import init
from winit_cli.errors import UsageError
from winit_cli.rng import generator

WITHIN = 1e-4


def _x(*shape: int) -> Tensor:
    return 3 * torch.randn(150, *shape, generator=generator("x", *shape)) + 2


def _dense(activation: type[nn.Module], depth: int = 5, width: int = 31, **options: Any) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width, **options), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, 6, **options))


def _image_net() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, 8, 3, 2, groups=2)),
        *(nn.Tanh(), nn.Flatten(), nn.Linear(8 * 13 * 13, 5)),
    )


def _given(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Of every layer, units first."""
    found: dict[str, Tensor] = {}
    for path, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            axis = -1 if isinstance(layer, nn.Linear) else 1
            layer.register_forward_hook(
                lambda _, args, out, path=path, axis=axis: found.update(
                    {path: out.movedim(axis, 0).flatten(1).double()}
                )
            )
    with torch.no_grad():
        module(x)
    return found


@pytest.mark.parametrize("scheme", ["weightnorm_dd", "krahenbuhl"])
@pytest.mark.parametrize(
    ("module", "x"),
    [(_dense(nn.Tanh), _x(31)), (_dense(nn.ReLU, 3), _x(7, 31)), (_image_net(), _x(4, 8, 8))],
    ids=["dense", "tokens", "images"],
)
def test_every_unit_has_mean_0_and_variance_1(scheme: str, module: nn.Module, x: Tensor) -> None:
    init(module, scheme, batch=x, **({"iterations": 0} if scheme == "krahenbuhl" else {}))
    for path, units in _given(module, x).items():
        torch.testing.assert_close(units.mean(1), torch.zeros(len(units)).double(), atol=WITHIN, rtol=0, msg=path)
        torch.testing.assert_close(units.var(1, correction=0), torch.ones(len(units)).double(), atol=WITHIN, rtol=0)


@pytest.mark.parametrize("cls", [nn.LSTM, nn.GRU, nn.RNN])
def test_the_projected_inputs_of_every_gate_are_normalized(cls: type[nn.RNNBase]) -> None:
    layer, x = cls(9, 5, 2, batch_first=True, bidirectional=True), _x(6, 9)
    init(layer, "weightnorm_dd", batch=x)
    for end in ("", "_reverse"):
        weight, bias = layer.get_parameter(f"weight_ih_l0{end}"), layer.get_parameter(f"bias_ih_l0{end}")
        gates = (x @ weight.T + bias).detach().double().flatten(0, 1)
        torch.testing.assert_close(gates.mean(0), torch.zeros(len(weight)).double(), atol=WITHIN, rtol=0)
        torch.testing.assert_close(gates.var(0, correction=0), torch.ones(len(weight)).double(), atol=WITHIN, rtol=0)
        assert not layer.get_parameter(f"bias_hh_l1{end}").any()
    for gate in layer.weight_hh_l1.detach().chunk(len(layer.weight_hh_l1) // 5):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5), atol=1e-5, rtol=0)


def test_what_it_leaves_of_the_mean_without_a_bias_of_its_own() -> None:
    for module, options in ((_dense(nn.ReLU, bias=False), {}), (_dense(nn.ReLU), {"bias": "zeros"})):
        init(module, "weightnorm_dd", batch=_x(31), **options)
        for units in _given(module, _x(31)).values():
            torch.testing.assert_close(units.var(1, correction=0), torch.ones(len(units)).double(), atol=WITHIN, rtol=0)
            assert float(units.mean(1).abs().max()) > 0.05


def test_weight_normalized_layers_get_direction_and_size() -> None:
    """As the paper has it: v is drawn, g = ‖v‖ / σ[v x]; torch's parametrization keeps w."""
    module, x = nn.Sequential(weight_norm(nn.Linear(31, 8)), nn.ReLU(), nn.Linear(8, 2)), _x(31)
    init(module, "weightnorm_dd", batch=x)
    units = module[0](x).detach().double()
    torch.testing.assert_close(units.var(0, correction=0), torch.ones(8).double(), atol=WITHIN, rtol=0)
    size = module[0].parametrizations.weight.original0.detach().flatten()
    torch.testing.assert_close(size, module[0].weight.detach().norm(dim=1))
    with pytest.raises(
        UsageError, match=r"krahenbuhl does not equalize layers with parametrizations, as 0\.weight has"
    ):
        init(module, "krahenbuhl", batch=x)


def test_embeddings_get_unit_variance_by_column() -> None:
    module = nn.Sequential(nn.Embedding(12, 5), nn.Flatten(), nn.Linear(40, 3))
    tokens = torch.randint(12, (90, 8), generator=generator("tokens"))
    init(module, "weightnorm_dd", batch=tokens)
    columns = module[0](tokens).detach().double().flatten(0, 1)
    torch.testing.assert_close(columns.var(0, correction=0), torch.ones(5).double(), atol=WITHIN, rtol=0)


def test_units_that_give_one_number_are_refused() -> None:
    message = r"weightnorm_dd cannot give the units of 0\.weight unit variance: 31 of 31 give the same number"
    with pytest.raises(UsageError, match=message):
        init(_dense(nn.ReLU), "weightnorm_dd", batch=torch.ones(20, 31))


def _rates(module: nn.Module, x: Tensor, draws: int = 60) -> Tensor:
    """rms(∂ℓ/∂W) / rms(W) of every weight, over random losses linear in the outputs."""
    weights = [value for value in module.parameters() if value.dim() > 1]
    out = module(x)
    noise = torch.randn(draws, *out.shape, generator=generator("noise"))
    slopes = [torch.autograd.grad((one * out).sum(), weights, retain_graph=True) for one in noise]
    return torch.stack(
        [torch.stack([one[i].square().sum() for one in slopes]).mean().sqrt() / w.norm() for i, w in enumerate(weights)]
    ).detach()


def _spread(rates: Tensor) -> float:
    return float(rates.max() / rates.min())


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Identity])
def test_all_layers_change_at_one_rate_and_the_function_stays(activation: type[nn.Module]) -> None:
    """Where activations are positively homogeneous."""
    x, plain, equal = _x(31), _dense(activation), _dense(activation)
    init(plain, "krahenbuhl", batch=x, iterations=0)
    init(equal, "krahenbuhl", batch=x)
    assert _spread(_rates(plain, x)) > 8 and _spread(_rates(equal, x)) < 1.5
    torch.testing.assert_close(equal(x), plain(x), atol=1e-3, rtol=1e-3)
    for units in _given(equal, x).values():
        torch.testing.assert_close(units.mean(1), torch.zeros(len(units)).double(), atol=1e-3, rtol=0)
        assert float(units.std(1).max() / units.std(1).min()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid])
def test_other_activations_come_close(activation: type[nn.Module]) -> None:
    x, plain, equal = _x(31), _dense(activation), _dense(activation)
    init(plain, "krahenbuhl", batch=x, iterations=0)
    init(equal, "krahenbuhl", batch=x)
    assert _spread(_rates(equal, x)) < 1.5 < _spread(_rates(plain, x)) / 2
    assert 0.5 < float(equal(x).detach().std()) < 2


def test_beta_is_the_mean_of_the_units() -> None:
    module, x = _dense(nn.ReLU), _x(31)
    init(module, "krahenbuhl", batch=x, iterations=0, beta=0.1)
    for units in _given(module, x).values():
        torch.testing.assert_close(units.mean(1), torch.full((len(units),), 0.1).double(), atol=WITHIN, rtol=0)
