"""``winit explain`` on the command line: what it prints, in a terminal and in a pipe, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import refused, winit, winit_json
from zoo import CASES, IDS

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory

PLUGIN = """
import torch, winit_cli as winit

def f(tensor, generator, *, std: float = 0.1):
    tensor.normal_(0, std, generator=generator)

SCHEMES = [
    winit.Scheme("bare", f),
    winit.Scheme("halved", f, moments=lambda shape, std: winit.Moments(std=std), torch_call="w.normal_(0, {std})"),
    winit.Scheme("stepwise", f, torch_call="s = 2; w.normal_(); w.mul_(s)"),
    winit.Scheme("worded", f, torch_call="w.fill_(1 / fan)"),
    winit.Scheme("braced", f, torch_call="w.fill_({}['x'])", moments=lambda s, std: winit.Moments(0.1 / (s[1] != 16))),
    winit.Scheme(
        "fanned", lambda t, generator: torch.nn.init.kaiming_normal_(t, nonlinearity="linear", generator=generator),
        moments=lambda shape: winit.Moments(std=shape[1] ** -0.5, gain=1.0), dims=(2, 2), keeps="what is [kept]",
    ),
]
"""


def said_by(*arguments: object) -> str:
    """What a command prints, wherever the terminal breaks its lines."""
    return " ".join(winit("explain", *arguments).stdout.split())


def spelled(name: str, options: dict[str, object]) -> str:
    return ":".join([name, *(f"{key}={value}" for key, value in options.items())])


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_it_fits_a_terminal(name: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    fitting = "rnn:128x256" if name == "identity_recurrent" else "lstm:128x256"
    asked = [["--layer", layer] for layer in ("conv3d:128x256x3x3x3,groups=32", fitting)]
    printed = [winit("explain", spelled(name, options), *arguments).stdout for arguments in ([], *asked)]
    assert printed[0] and any(printed[1:]), "one of the layers is refused where the scheme cannot fill it"
    for lines in (text.splitlines() for text in printed if text):
        assert max(map(len, lines)) <= 80
        assert [line for line in lines if line != line.rstrip()] == []


def test_a_pipe_gets_one_line_for_each_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = winit("explain", "he", "--layer", "linear:784x100").stdout.splitlines()
    assert "formula      std = gain / sqrt(fan_in) = sqrt(2) / sqrt(784) = 0.05051" in lines
    assert sum(line.startswith("keeps  ") for line in lines) == 1
    assert "linear:784x100  gradient, back      0.1276         -         -" in lines
    assert lines[-2:] == [")", "nn.init.zeros_(layer.bias)"]


def test_options_after_a_colon_are_in_the_numbers() -> None:
    assert "std = 0.1, whatever the layer's size" in said_by("normal:std=0.1", "--layer", "linear:30x20")
    assert "(5/3) / sqrt((30 + 20) / 2) = 0.3333" in said_by("glorot_uniform:gain=tanh", "--layer", "linear:30x20")
    asked = ("xavier:gain=auto", "--layer", "linear:25x25", "--activation", "gelu")
    assert winit_json("explain", *asked)["parameters"][0]["std"] == pytest.approx(1.5335 / 5, rel=1e-4)
    assert winit_json("explain", "he:mode=fan_out,a=1", "--layer", "linear:30x25")["parameters"][0]["std"] == 0.2


def test_the_sentence_of_a_chaotic_net() -> None:
    said = said_by("xavier:gain=auto", "--layer", "linear:100x100", "--activation", "tanh")
    assert "settles at q* = 1.178, where squared gradients and squared small differences grow 1.21x per layer" in said
    assert "chaotic" in said


def test_the_default() -> None:
    said = said_by("pytorch_default", "--layer", "linear:100x100")
    assert "gain is sqrt(2 / (1 + 5)) = sqrt(1/3), which makes kaiming_uniform_ U(±1/sqrt(fan_in)) = U(±0.1)" in said
    assert "its variance is 0.333 of Xavier's and 0.167 of He's" in said
    assert "falls to 1/6 in every layer" in said
    assert "with them the mean square falls to 0.4 / fan_in and no further" in said
    assert "biases are random" not in said_by("default:bias=zeros", "--layer", "linear:9x9")


def test_in_general_and_without_a_formula() -> None:
    said = said_by("orthogonal")
    assert "keeps norms and angles" in said and "nn.init.orthogonal_(w, gain=1.0)" in said
    assert "In numbers: add --layer" in said
    assert "selu gain 3/4 = 0.75 (torch.nn.init.calculate_gain), but 1 in the paper" in said_by(
        "lecun", "--activation", "selu"
    )


def test_plug_ins_have_what_their_rows_have() -> None:
    Path("plug.py").write_text(PLUGIN)
    linear = ("--plugin", "plug.py", "--layer", "linear:16x9")
    bare = said_by("bare", *linear)
    assert "formula the row of the scheme gives none" in bare
    assert "none: the row of the scheme has no moments for these values" in bare
    assert "# layer.weight: no call of torch does what bare does nn.init.zeros_(layer.bias)" in bare
    halved = winit_json("explain", "halved:std=0.5", *linear)
    lines = "with torch.no_grad():\n    s = 2\n    layer.weight.normal_()\n    layer.weight.mul_(s)"
    assert winit_json("explain", "stepwise", *linear)["parameters"][0]["torch"] == lines
    assert halved["parameters"][0]["torch"] == "with torch.no_grad():\n    layer.weight.normal_(0, 0.5)"
    exec(halved["code"], names := {})
    assert float(names["layer"].weight.detach().std()) == pytest.approx(0.5, abs=0.2)
    assert "# layer.weight: w.fill_(1 / fan)" in winit_json("explain", "worded", *linear)["code"]
    assert halved["signal"]["sigma_w2"] == 4
    fanned = winit_json("explain", "fanned", *linear)
    assert fanned["parameters"][0]["in_numbers"] == "std = gain / sqrt(fan_in) = 1 / sqrt(16) = 0.25"
    assert fanned["signal"]["stack"]["layer_factor"] == pytest.approx(0.5)
    assert "keeps what is [kept]" in said_by("fanned", *linear)


def test_a_plug_in_whose_moments_fail_is_blamed() -> None:
    Path("plug.py").write_text(PLUGIN)
    said = refused("explain", "braced", "--plugin", "plug.py", "--layer", "linear:16x9")
    assert said.startswith("plug.py:") and "the moments of scheme braced raised ZeroDivisionError" in said
    assert "in torch w.fill_({}['x'])" in said_by("braced", "--plugin", "plug.py")


REFUSED = [
    ("zeros --layer lineer:3x4", "--layer lineer:3x4: expected linear:784x100 (inputs x outputs), conv:"),
    ("zeros --layer conv1d:3x4x2x2", "--layer conv1d:3x4x2x2: expected linear"),
    ("zeros --layer linear:4x4,groups=2", "--layer linear:4x4,groups=2: expected linear"),
    ("zeros --layer linear:0x4", "--layer linear:0x4: expected linear"),
    ("zeros --layer embedding:99999999999x99999999999", "--layer embedding:99999999999x99999999999: "),
    ("zeros --activation rleu", "no gain for 'rleu'; did you mean 'relu'?"),
    ("zeros:foo=1 --layer linear:3x4", "zeros has no option 'foo'"),
    ("normal:std --layer linear:3x4", "options are written scheme:option=value"),
    ("he:a=1,zeros", "he:a=1,zeros: winit explain takes one scheme; winit compare takes several"),
    ("he:nonlinearity=auto --activation gelu", "torch has no kaiming gain for 'gelu'"),
    ("looks_linear --layer linear:4x4", "looks_linear: it is for nets with activation: crelu"),
    ("chrono --layer lstm:3x4", "chrono needs the option 't_max'"),
    ("chrono:t_max=1 --layer lstm:3x4", "chrono: t_max: must be at least 2, got 1"),
    ("sparse:sparsity=2 --layer linear:3x4", "sparsity"),
    ("eye --layer conv:3x4x3", "'eye' cannot fill weight (4, 3, 3, 3): it fills linear, recurrent, embedding weights"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[arguments for arguments, _ in REFUSED])
def test_refused(arguments: str, message: str) -> None:
    said = refused("explain", *arguments.split())
    assert message in said and said.count("looks_linear") < 2 and said.count("chrono") < 2
    assert "\n" not in said


@pytest.mark.parametrize("scheme", ["chrono:t_max=30", "forget_bias"])
def test_gates_that_are_set_apart_are_not_called_half_open(scheme: str) -> None:
    said = " ".join(winit("explain", scheme, "--layer", "lstm:28x64").stdout.split())
    assert "sigmoid(0)" not in said and "sets gates apart and keeps the memory of" in said


def test_gates_that_differ_are_told_one_by_one() -> None:
    said = said_by("chrono:t_max=50", "--layer", "lstm:28x64")
    assert "formula i: mean -2.973, std 0.8233, at most 3.892 in size; f: mean 2.973" in said
    assert "formula i, f: every value is 0; g, o: U(±0.125), std 0.07217" in said
    gates = winit_json("explain", "forget_bias", "--layer", "lstm:28x64")["parameters"][2]["gates"]
    assert gates["f"] == {"mean": 1.0, "std": 0.0, "bound": 1.0} and gates["i"] == gates["g"] == gates["o"]
    assert gates["i"]["bound"] == 0.125
    assert "relu gain" not in said, "no activation follows a gated layer"


def test_output_biases_are_told_one_by_one() -> None:
    bias = winit_json("explain", "bias_prior", "--layer", "linear:30x10")["parameters"][1]
    assert (bias["std"], bias["in_numbers"]) == (0.0, "every value is -4.59512")
    said = said_by("bias_prior:prior=[0.5,0.3,0.2]", "--layer", "linear:30x3")
    assert "filled by bias_prior formula -0.6931, -1.204, -1.609 Signal" in said
    assert "layer.bias.copy_(torch.tensor([-0.693" in said
    assert "for the biases of the head" in refused("explain", "bias_prior", "--layer", "lstm:28x64")


@pytest.mark.parametrize(("activation", "sigma_b2"), [("gelu", 0.0), ("silu", 0.0), ("mish", 0.0), ("silu", 0.3)])
def test_a_critical_point_that_holds_no_signal_is_told_first(activation: str, sigma_b2: float) -> None:
    asked = (f"edge_of_chaos:sigma_b2={sigma_b2}", "--activation", activation)
    lines = winit("explain", *asked).stdout.splitlines()
    assert lines[2].startswith(f"beware       with {activation} no signal stays at the critical point")
    assert winit_json("explain", f"edge_of_chaos:activation={activation}")["caution"]
    assert winit_json("explain", "edge_of_chaos", "--activation", "tanh")["caution"] is None


def test_a_siren_is_told_in_one_frequency() -> None:
    said = said_by("siren", "--layer", "linear:100x100", "--activation", "sine")
    assert "settles at q* = 0.004444 (the sine takes 30 z, of size 2)" in said
    assert "goes to v = 1 - exp(-2 v) + 300 / fan_in: std 2 at 100 units" in said
    assert "keep their size: critical" in said and "(from 0.00111111)" in said
    assert "whatever the layer's size" not in said, "its bounds are those of this fan"


@pytest.mark.parametrize(
    ("activation", "alone", "with_biases"),
    [
        ("tanh", "falls to 0, 0.333x in every layer once it is small", "falls to 0.001733 in layers of 288 inputs"),
        ("linear", "falls to 1/3 in every layer", "falls to 0.5 / fan_in and no further"),
        ("sigmoid", "settles at 0.085", "settles at 0.08621 in layers of 288 inputs"),
    ],
)
def test_the_default_is_told_through_the_activation_that_is_given(
    activation: str, alone: str, with_biases: str
) -> None:
    said = said_by("pytorch_default", "--layer", "conv:16x32x3", "--activation", activation)
    assert f"through {activation} layers without biases the mean square of pre-activations {alone}" in said
    assert (
        f"with them the mean square {with_biases}" in said and "relu" not in said.partition("What the default")[2][60:]
    )
