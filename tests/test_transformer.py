"""The transformer: its forward pass against formulas written out, torch's own layers, and many of it as one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.errors import UsageError
from winit_cli.models import MODELS, Task, construct
from winit_cli.models.lift import lift
from winit_cli.models.transformer import Transformer, patches
from winit_cli.rng import generator

IMAGE, SEQUENCE, TOKENS = Task((2, 6, 4), 3), Task((5, 7), 3), Task((5,), 3, vocabulary=11)
LAST_STEPS = Task((5, 7), 3, target_steps=2)


def build(task: Task, seed: int = 0, **options: Any) -> nn.Module:
    return construct(MODELS["transformer"], task, {"width": 12, "heads": 3, "patch": 2, **options}, seed)


def inputs(task: Task, batch: int = 4) -> Tensor:
    source = generator("inputs")
    if task.vocabulary:
        return torch.randint(task.vocabulary, (batch, *task.input_shape), generator=source)
    return torch.randn(batch, *task.input_shape, generator=source)


def normed(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()


def attended(x: Tensor, p: dict[str, Tensor], heads: int) -> Tensor:
    """Head by head and token by token."""
    q, k, v = (x @ p[f"{name}.weight"].T + p[f"{name}.bias"] for name in ("query", "key", "value"))
    size = x.shape[-1] // heads
    out = torch.zeros_like(x)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for t in range(x.shape[-2]):
            scores = torch.stack([(q[:, t, part] * k[:, s, part]).sum(-1) for s in range(x.shape[-2])], -1)
            weights = (scores / math.sqrt(size)).softmax(-1)
            out[:, t, part] = torch.einsum("bs,bsf->bf", weights, v[..., part])
    return out @ p["out.weight"].T + p["out.bias"]


def mlp(x: Tensor, p: dict[str, Tensor]) -> Tensor:
    hidden = F.gelu(x @ p["layers.0.weight"].T + p["layers.0.bias"])
    return hidden @ p["layers.1.weight"].T + p["layers.1.bias"]


@pytest.mark.parametrize(("norm", "skip"), [("pre", 1.0), ("post", 1.0), ("post", "deepnorm"), ("none", 1.0)])
def test_it_computes_its_formula(norm: str, skip: Any) -> None:
    model, x = build(SEQUENCE, depth=2, norm=norm, skip_scale=skip, branch_scale="learned"), inputs(SEQUENCE)
    p = dict(model.named_parameters())
    p["layers.1.mlp.scale.factor"].data.fill_(0.7)
    alpha = 4**0.25 if skip == "deepnorm" else 1
    h = x @ p["stem.weight"].T + p["stem.bias"] + p["positions.weight"]
    for layer in range(2):
        for name, scale in (("attention", 1.0), ("mlp", 0.7 if layer else 1.0)):
            prefix = f"layers.{layer}.{name}.branch."
            own = {key.removeprefix(prefix): value for key, value in p.items() if key.startswith(prefix)}
            given = normed(h) if norm == "pre" else h
            h = alpha * h + scale * (attended(given, own, 3) if name == "attention" else mlp(given, own))
            h = normed(h) if norm == "post" else h
    h = normed(h) if norm == "pre" else h
    torch.testing.assert_close(model(x), h.mean(1) @ p["head.weight"].T + p["head.bias"])


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_layer_is_torchs(norm: str) -> None:
    layer, x = build(SEQUENCE, depth=1, norm=norm).layers[0], torch.randn(4, 5, 12, generator=generator("x"))
    theirs = nn.TransformerEncoderLayer(12, 3, 48, 0.0, "gelu", batch_first=True, norm_first=norm == "pre")
    own, new = layer.state_dict(), theirs.state_dict()
    for kind in ("weight", "bias"):
        joined = torch.cat([own[f"attention.branch.{name}.{kind}"] for name in ("query", "key", "value")])
        new |= {f"self_attn.in_proj_{kind}": joined, f"self_attn.out_proj.{kind}": own[f"attention.branch.out.{kind}"]}
        new |= {f"linear{i}.{kind}": own[f"mlp.branch.layers.{i - 1}.{kind}"] for i in (1, 2)}
        new |= {f"norm1.{kind}": own[f"attention.norm.{kind}"], f"norm2.{kind}": own[f"mlp.norm.{kind}"]}
    theirs.load_state_dict(new)
    torch.testing.assert_close(layer(x), theirs(x))


def test_images_are_cut_as_a_convolution_cuts_them() -> None:
    model, x = build(IMAGE), inputs(IMAGE)
    assert model.positions.weight.shape == (6, 12)
    convolved = F.conv2d(x, model.stem.weight.view(12, 2, 2, 2), model.stem.bias, stride=2)
    torch.testing.assert_close(model.stem(patches(x, 2)), convolved.flatten(2).mT)
    assert model(x).shape == (4, 3)


def test_tokens_are_looked_up() -> None:
    model, x = build(TOKENS, depth=0), inputs(TOKENS)
    p = dict(model.named_parameters())
    assert list(p) == ["stem.weight", "positions.weight", "norm.weight", "norm.bias", "head.weight", "head.bias"]
    h = torch.stack([torch.stack([p["stem.weight"][token] for token in row]) for row in x]) + p["positions.weight"]
    torch.testing.assert_close(model(x), normed(h).mean(1) @ p["head.weight"].T + p["head.bias"])


def test_targets_at_the_last_steps_get_an_output_each() -> None:
    model, x = build(LAST_STEPS), inputs(LAST_STEPS)
    out = model(x)
    assert out.shape == (4, 2, 3)
    model.target_steps = 5
    torch.testing.assert_close(out, model(x)[:, 3:])


@pytest.mark.parametrize("task", [IMAGE, SEQUENCE, TOKENS, LAST_STEPS])
def test_many_as_one_give_what_each_gives(task: Task) -> None:
    """Every trial with inputs of its own, with inputs that neighbours share, and with one for all."""
    models, x = [build(task, seed, norm="post") for seed in range(3)], inputs(task, 12).unflatten(0, (3, 4))
    for runs, given in (([(0, 1), (1, 2), (2, 3)], x), ([(0, 1), (1, 3)], x[:2]), ([(0, 3)], x[:1])):
        lifted = lift(models, runs, batched=False)
        out = lifted(given)
        out.square().sum().backward()
        for place, model in enumerate(models):
            row = next(row for row, (start, end) in enumerate(runs) if start <= place < end)
            model.zero_grad()
            alone = model(given[row])
            alone.square().sum().backward()
            torch.testing.assert_close(out[place], alone)
            for name, parameter in model.named_parameters():
                torch.testing.assert_close(lifted.get_parameter(name).grad[place], parameter.grad, msg=name)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (Task((7,), 3), {}, r"needs tokens, sequences \(time, features\), or images .* has vectors .* use model: mlp"),
        (Task((1, 4, 4), 3, 2), {}, "images with one target"),
        (IMAGE, {"patch": 3}, "squares of side patch: 3, but they are 6 x 4; use a divisor of 2"),
        (SEQUENCE, {"heads": 5}, "12 is no multiple of heads: 5"),
        (SEQUENCE, {"skip_scale": 2.0}, "skip_scale: 2.0 needs norm: post"),
        (SEQUENCE, {"norm": "none", "skip_scale": "deepnorm"}, "skip_scale: deepnorm needs norm: post"),
        (SEQUENCE, {"activation": "crelu"}, "transformer has no form for crelu"),
    ],
)
def test_what_does_not_fit_is_refused(task: Task, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(task, **options)


def test_without_layers_it_is_a_linear_model() -> None:
    model = build(SEQUENCE, depth=0, norm="none")
    assert isinstance(model, Transformer) and not model.layers
    x = inputs(SEQUENCE, 2)
    torch.testing.assert_close(model(x.mean(0, keepdim=True)), model(x).mean(0, keepdim=True))
