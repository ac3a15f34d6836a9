"""Generators keyed by names, and code that would draw from the global one."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.rng import DrawFrom, generator, seed_of


def test_seeds_fit_torchs_generator_and_differ() -> None:
    keys = [(seed, use, name) for seed in range(20) for use in ("init", "order") for name in ("a", "b", "layers.0")]
    seeds = [seed_of(*key) for key in keys]
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert len(set(seeds)) == len(keys)


def test_keys_cannot_run_into_each_other() -> None:
    keys = [(1, 23), (12, 3), ("1", 23), ("a", "bc"), ("ab", "c"), ("abc",), ("a,b",), ("a", "b")]
    assert all(seed_of(*a) != seed_of(*b) for a, b in itertools.combinations(keys, 2))


def test_the_seed_of_a_key_is_pinned() -> None:
    # every recorded run depends on it
    assert seed_of(0, "init", "layers.0.weight") == 2912218039


def test_a_generator_depends_on_its_key_alone() -> None:
    torch.manual_seed(1)
    one = torch.rand(5, generator=generator(3, "order"))
    torch.manual_seed(2)
    assert torch.equal(one, torch.rand(5, generator=generator(3, "order")))
    assert not torch.equal(one, torch.rand(5, generator=generator(4, "order")))


DRAWS: dict[str, Callable[[], Tensor]] = {
    "rand": lambda: torch.rand(9),
    "randn": lambda: torch.randn(9),
    "randint": lambda: torch.randint(3, 50, (9,)),
    "randperm": lambda: torch.randperm(9),
    "rand_like": lambda: torch.rand_like(torch.ones(9)),
    "randn_like": lambda: torch.randn_like(torch.ones(9)),
    "bernoulli": lambda: torch.bernoulli(torch.full((9,), 0.5)),
    "normal": lambda: torch.normal(torch.zeros(9), torch.ones(9)),
    "multinomial": lambda: torch.multinomial(torch.ones(9), 5),
    "exponential_": lambda: torch.ones(9).exponential_(),
    "random_": lambda: torch.ones(9).random_(2, 70),
    "trunc_normal_": lambda: nn.init.trunc_normal_(torch.empty(9)),
    "dropout": lambda: F.dropout(torch.ones(50)),
    "linear": lambda: nn.Linear(3, 3).weight.detach(),
    "transformer": lambda: nn.TransformerEncoderLayer(4, 2).linear1.weight.detach(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_draw_from_leaves_the_global_generator_alone(draw: Callable[[], Tensor]) -> None:
    before = torch.get_rng_state()
    results = []
    for _ in range(2):
        source = generator(0, "draws")
        torch.rand(1)  # the global state differs between the two
        state = torch.get_rng_state()
        with DrawFrom(lambda filled, source=source: source):  # type: ignore[misc]
            results.append(draw())
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(*results)
    torch.set_rng_state(before)


def test_draw_from_gives_the_bits_of_the_global_generator() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed_of("twin"))
        wanted = nn.Linear(7, 5).state_dict()
    source = generator("twin")
    with DrawFrom(lambda filled: source):
        got = nn.Linear(7, 5).state_dict()
    assert all(torch.equal(wanted[key], got[key]) for key in wanted)


def test_a_generator_that_is_given_is_kept() -> None:
    other = generator("other")
    with DrawFrom(lambda filled: generator("mine")):
        got = torch.rand(5, generator=other)
    assert torch.equal(got, torch.rand(5, generator=generator("other")))
