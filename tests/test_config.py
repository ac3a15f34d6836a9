"""YAML to a resolved config: spellings, defaults, overrides, variants."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from commands import SMALL

from winit_cli.config import Config, Document, dump, override, parse, read, resolve
from winit_cli.config.document import flow_text, parse_value
from winit_cli.config.schema import LABEL, NAME, slug
from winit_cli.errors import ConfigError, UsageError
from winit_cli.plan import make_plan
from winit_cli.resolved import resolved_config


def config(*settings: str, **changes: Any) -> Config:
    """The small config with top-level keys changed and ``-s`` overrides, resolved."""
    document = Document({k: v for k, v in (SMALL | changes).items() if v is not None}, "c.yaml")
    document = parse(dump(document.data), "c.yaml")
    for setting in settings:
        override(document, setting)
    return resolve(document)


def entry(written: Any, **changes: Any) -> Any:
    """The resolved entry that ``schemes:`` with this one alone amounts to."""
    (found,) = config(schemes=[written], **changes).base.schemes
    return found


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("xavier", "xavier_normal"),
        ("glorot", "xavier_normal"),
        ("glorot_uniform", "xavier_uniform"),
        ("kaiming", "kaiming_normal"),
        ("he", "kaiming_normal"),
        ("he_uniform", "kaiming_uniform"),
        ("kaiming_normal_", "kaiming_normal"),
        ("Kaiming-Uniform", "kaiming_uniform"),
        ("orthogonal_", "orthogonal"),
        ("zeros_", "zeros"),
        ("lecun", "lecun_normal"),
        ("default", "pytorch_default"),
    ],
)
def test_an_alias_is_stored_canonical_and_labelled_as_typed(written: str, canonical: str) -> None:
    found = entry(written)
    assert found.recipe.scheme == canonical
    assert found.flat["scheme"] == canonical
    assert found.label == written


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("kaiming_normal", {"a": 0.0, "mode": "fan_in", "nonlinearity": "leaky_relu"}),
        ("xavier_uniform", {"gain": 1.0}),
        ("uniform", {"a": 0.0, "b": 1.0}),
        ("normal", {"mean": 0.0, "std": 1.0}),
        ("trunc_normal", {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0}),
        ("orthogonal", {"gain": 1.0}),
        ("zeros", {}),
    ],
)
def test_options_have_torch_s_defaults(scheme: str, options: dict[str, Any]) -> None:
    assert entry(scheme).recipe.others.options == options


def test_gain_auto_is_the_model_s_activation_and_stays_auto_in_the_file() -> None:
    tanh = entry({"scheme": "xavier", "gain": "auto"}, model={"name": "mlp", "activation": "tanh"})
    relu = entry({"scheme": "xavier", "gain": "relu"}, model={"name": "mlp", "activation": "tanh"})
    assert tanh.recipe.others.options["gain"] == pytest.approx(5 / 3)
    assert relu.recipe.others.options["gain"] == pytest.approx(math.sqrt(2))
    assert tanh.flat["gain"] == "auto"


@pytest.mark.parametrize(("written", "number"), [("1e-3", 1e-3), ("'1e-3'", 1e-3), ("1", 1.0), ("[1e-3, 0.1]", 0.1)])
def test_learning_rates_are_numbers_however_they_are_written(written: str, number: float) -> None:
    text = dump({**SMALL, "train": None}).replace("train: null", f"train: {{lr: {written}}}")
    assert resolve(parse(text, "c.yaml")).base.train.lr[-1] == number
    assert config(f"train.lr={written}").base.train.lr[-1] == number


def test_values_of_yaml_1_1_that_surprise_are_plain() -> None:
    assert parse_value("1e-3", "") == 1e-3
    assert parse_value("-2E+1", "") == -20.0
    assert parse_value("2001-01-01", "") == "2001-01-01"
    assert parse_value("=", "") == "="
    assert parse_value("", "") is None


def test_defaults() -> None:
    found = config(train=None, seeds=None, name=None, measure=None, model="mlp", data="mnist").base
    assert found.general.name == "c", "the name of the file"
    assert found.general.seeds == tuple(range(10))
    assert found.model.options == {"width": 100, "depth": 3, "activation": "relu", "norm": "none", "bias": True}
    assert (found.train.optimizer, found.train.lr, found.train.batch_size) == ("sgd", (0.05,), 64)
    assert found.data.options["train_size"] == 4000
    assert (found.general.engine, found.general.precision, found.general.checkpoint_seconds) == ("auto", "fp32", 15.0)


def test_name_of_a_file_that_is_no_name() -> None:
    document = parse(dump({key: value for key, value in SMALL.items() if key != "name"}), "ä ö.yaml")
    assert resolve(document).base.general.name == "experiment"


@pytest.mark.parametrize(
    ("schemes", "given", "baseline"),
    [
        (["zeros", "pytorch_default"], None, "pytorch_default"),
        (["zeros", {"scheme": "default", "label": "torch"}], None, "torch"),
        (["zeros", "ones"], None, "zeros"),
        (["zeros", "ones"], "ones", "ones"),
    ],
)
def test_baseline(schemes: list[Any], given: str | None, baseline: str) -> None:
    assert config(schemes=schemes, baseline=given).base.baseline == baseline


def test_seeds_are_a_number_or_a_list() -> None:
    assert config("seeds=3").base.general.seeds == (0, 1, 2)
    assert config("seeds=[7, 3]").base.general.seeds == (7, 3)
    assert config(f"seeds=[{2**63 - 1}]").base.general.seeds == (2**63 - 1,)


def test_overrides_open_shorthands() -> None:
    assert config("model.depth=20", model="mlp").base.model.options["depth"] == 20
    assert config("data.classes=7", data="gaussian").base.data.options["classes"] == 7
    (first, _) = config("schemes.0.gain=2", schemes=["xavier", "zeros"]).base.schemes
    assert first.recipe.others.options["gain"] == 2.0
    assert first.label == "xavier"
    (biased,) = config("schemes.0.bias.val=0.5", schemes=[{"scheme": "zeros", "bias": "constant"}]).base.schemes
    assert biased.recipe.bias.options == {"val": 0.5}


def test_overrides_change_one_value() -> None:
    found = config("schemes.1=ones", "train.lr=[0.1,0.2]", "measure.every=3", "train.optimizer=adam").base
    assert [scheme.label for scheme in found.schemes] == ["kaiming_normal", "ones"]
    assert found.train.lr == (0.1, 0.2)
    assert found.measure.every == 3
    assert config("schemes=[ones]").base.schemes[0].label == "ones"


def test_the_last_override_wins_and_names_its_own_option() -> None:
    with pytest.raises(ConfigError) as raised:
        config("model.depth=20", "model.depth=abc")
    assert str(raised.value) == "-s model.depth=abc: model.depth: must be a whole number, got abc"


def test_a_section_that_an_override_made_is_the_override_s() -> None:
    with pytest.raises(ConfigError) as raised:
        config("measure.every.x=3")
    assert str(raised.value).startswith("-s measure.every.x=3: measure.every: must be a whole number")


def test_variants_are_all_combinations_and_part_of_the_label() -> None:
    varied = {"model.depth": [1, 2], "model.bias": [True, False], "train.clip_norm": [None, 1e-5]}
    found = config(vary=varied)
    assert len(found.variants) == 8
    assert [variant.suffix for variant in found.variants][:3] == [
        "@depth=1,bias=true,clip_norm=null",
        "@depth=1,bias=true,clip_norm=1e-05",
        "@depth=1,bias=false,clip_norm=null",
    ]
    assert [variant.experiment.model.options["depth"] for variant in found.variants] == [1] * 4 + [2] * 4


def test_lists_vary_too() -> None:
    found = config(vary={"model.channels": [[4], [4, 8]]}, model="cnn", data="digits")
    assert [variant.suffix for variant in found.variants] == ["@channels=4", "@channels=4+8"]


def test_a_fault_of_a_variant_says_which() -> None:
    with pytest.raises(ConfigError) as raised:
        config(vary={"model.depth": [1], "model.width": [4, 0]})
    (fault,) = raised.value.faults
    assert fault.message == "model.width: must be at least 1, got 0 (where model.depth is 1, model.width is 0)"


def test_options_of_another_model_cannot_be_varied() -> None:
    with pytest.raises(ConfigError, match=r"vary\.model\.name: cannot be varied; its options differ"):
        config(vary={"model.name": ["mlp", "cnn"]})


def test_labels_too_long_with_their_variant_are_refused() -> None:
    with pytest.raises(ConfigError, match="is over 64 characters"):
        config(schemes=[{"scheme": "zeros", "label": "x" * 60}], vary={"model.depth": [1, 2]})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schemes": ["xavier", {"scheme": "kaiming", "label": "k +", "mode": "fan_out", "bias": "default"}]},
        {"schemes": [{"scheme": "xavier", "gain": "auto"}, {"scheme": "dirac", "fallback": "eye"}]},
        {
            "schemes": [
                {"label": "r", "rules": [{"params": "head.*", "scheme": "zeros"}], "others": {"scheme": "sparse"}}
                | {"others": {"scheme": "normal", "std": 0.1}, "bias": {"scheme": "constant", "val": 1e-3}}
            ]
        },
        {"train": {"optimizer": "adamw", "epochs": 2, "lr": [1e-3, 0.1], "schedule": "cosine", "warmup": 2}},
        {"vary": {"model.depth": [0, 2], "train.momentum": [0, 0.5]}},
        {"data": "adding", "model": {"name": "lstm", "hidden": 3}, "seeds": [4, 2]},
    ],
    ids=["plain", "labels", "auto", "rules", "adamw", "vary", "lstm"],
)
def test_the_resolved_config_is_the_same_experiment(changes: dict[str, Any]) -> None:
    plan = make_plan(config(**changes), "cpu")
    again = make_plan(resolve(parse(dump(resolved_config(plan)), "config.yaml")), "cpu")
    assert again.name == plan.name
    assert [trial.identity for trial in again.trials] == [trial.identity for trial in plan.trials]
    assert resolved_config(again) == resolved_config(plan)


def test_labels_and_names() -> None:
    for good in ("a", "normal std=0.001", "kaiming_normal@depth=22", "x+y,z-1.5"):
        assert LABEL.fullmatch(good)
    for bad in ("", " a", "a/b", "..", "a\n", "é", "x" * 65, "a\tb"):
        assert not LABEL.fullmatch(bad)
        assert not NAME.fullmatch(bad)
    assert slug("Normal  std=0.001") == slug("normal-std=0.001") == "normal-std-0.001"


def test_flow_text_reads_back() -> None:
    for value in (1e-5, "a: b", [1, "x"], {"a": None}, True, "on", ""):
        assert parse_value(flow_text(value), "") == value


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + dump(SMALL).encode())
    assert read(path).data["name"] == "small"


def test_an_alias_gives_values_of_its_own() -> None:
    document = parse("a: &x {b: 1}\nc: *x\n", "c.yaml")
    override(document, "a.b=2")
    assert document.data == {"a": {"b": 2}, "c": {"b": 1}}


def test_parse_value_names_the_option() -> None:
    with pytest.raises(UsageError, match=r"^--lr \[1: not valid YAML"):
        parse_value("[1", "--lr [1")
