"""Data sets generated from their own seed; every part has its own generator.

Values are left as drawn: nothing is standardized. Shape letters: N examples, F features, T time
steps, K symbols to copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from winit_cli.data.dataset import Dataset, Part, Task
from winit_cli.data.split import Sizes
from winit_cli.errors import DataError
from winit_cli.rng import generator
from winit_cli.tables import Int, NonNegativeInt, PositiveInt

AtLeastTwo = Annotated[int, Field(strict=True, ge=2)]
DrawPart = Callable[[int, Generator], Part]

COPIED_SYMBOLS = 10
MAX_NUMBERS = 2**28  # of four bytes each: 1 GiB


def gaussian(
    *,
    features: PositiveInt = 32,
    classes: AtLeastTwo = 10,
    train_size: PositiveInt = 4000,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 1000,
    seed: Int = 0,
) -> Dataset:
    """Balanced classes in unit noise around random centres.

    ``x = centre[y] + noise``, every centre and noise entry from N(0, 1). Shapes: x (N, features), y (N,).
    """
    sizes = Sizes(train_size, val_size, test_size)
    _require_room("gaussian", sizes, features, ("features", "classes"), beside=classes * features)
    centres = torch.randn(classes, features, generator=generator("gaussian", seed, "centres"))

    def draw(size: int, source: Generator) -> Part:
        labels = _balanced_labels(size, classes, source)
        return Part(centres[labels] + torch.randn(size, features, generator=source), labels)

    return _generate("gaussian", "classification", draw, sizes, seed, classes)


def adding(
    *,
    length: AtLeastTwo = 50,
    train_size: PositiveInt = 4000,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 1000,
    seed: Int = 0,
) -> Dataset:
    """The adding problem: sum the two marked values of a sequence (Hochreiter & Schmidhuber, 1997).

    Each step has a value from U(0, 1) and a mark; one step in each half is marked 1, all others 0.
    Predicting the mean gives a mean squared error of 1/6. Shapes: x (N, length, 2), y (N, 1).

    Raises:
        DataError: ``length`` is below 2.
    """
    if length < 2:
        raise DataError(f"adding: length = {length}, but two steps are marked; take 2 or more")
    sizes = Sizes(train_size, val_size, test_size)
    _require_room("adding", sizes, 2 * length, ("length",))
    half = length // 2

    def draw(size: int, source: Generator) -> Part:
        values = torch.rand(size, length, generator=source)
        first = torch.randint(half, (size, 1), generator=source)
        second = torch.randint(half, length, (size, 1), generator=source)
        marks = torch.zeros(size, length).scatter_(1, torch.cat([first, second], dim=1), 1.0)
        total = values.gather(1, first) + values.gather(1, second)
        return Part(torch.stack([values, marks], dim=2), total)

    return _generate("adding", "regression", draw, sizes, seed, outputs=1)


def copying(
    *,
    lag: PositiveInt = 20,
    symbols: AtLeastTwo = 8,
    train_size: PositiveInt = 4000,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 1000,
    seed: Int = 0,
) -> Dataset:
    """The copying problem: repeat K = 10 symbols after a go marker (Arjovsky, Shah & Bengio, 2016).

    The input is K symbols, ``lag - 1`` blanks, the go marker and K blanks, one-hot. Only the last K
    steps are scored, where the symbols are wanted; the paper also scores the blanks before them.
    Shapes: x (N, lag + 2K, symbols + 2), y (N, K).
    """
    sizes = Sizes(train_size, val_size, test_size)
    _require_room("copying", sizes, (lag + 2 * COPIED_SYMBOLS) * (symbols + 2), ("lag", "symbols"))
    length, blank, go = lag + 2 * COPIED_SYMBOLS, symbols, symbols + 1

    def draw(size: int, source: Generator) -> Part:
        shown = torch.randint(symbols, (size, COPIED_SYMBOLS), generator=source)
        steps = torch.full((size, length), blank)
        steps[:, :COPIED_SYMBOLS] = shown
        steps[:, COPIED_SYMBOLS + lag - 1] = go
        return Part(one_hot(steps, symbols + 2).float(), shown)

    return _generate("copying", "classification", draw, sizes, seed, symbols, COPIED_SYMBOLS)


def recall(
    *,
    lag: PositiveInt = 20,
    symbols: AtLeastTwo = 8,
    train_size: PositiveInt = 4000,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 1000,
    seed: Int = 0,
) -> Dataset:
    """Name the symbol shown ``lag`` steps ago: one-hot at the first step, zeros afterwards.

    Symbols are balanced. Shapes: x (N, lag + 1, symbols), y (N,).
    """
    sizes = Sizes(train_size, val_size, test_size)
    _require_room("recall", sizes, (lag + 1) * symbols, ("lag", "symbols"))

    def draw(size: int, source: Generator) -> Part:
        labels = _balanced_labels(size, symbols, source)
        x = torch.zeros(size, lag + 1, symbols)
        x[:, 0] = one_hot(labels, symbols).float()
        return Part(x, labels)

    return _generate("recall", "classification", draw, sizes, seed, symbols)


def _require_room(name: str, sizes: Sizes, per_example: int, options: tuple[str, ...], beside: int = 0) -> None:
    """Refuse what would fill the memory.

    Raises:
        DataError: x would hold more than MAX_NUMBERS numbers.
    """
    numbers = (sizes.train + sizes.val + sizes.test) * per_example + beside
    if numbers > MAX_NUMBERS:
        names = ", ".join([*options, "train_size, val_size, test_size"])
        raise DataError(f"{name} of these sizes has {_count(numbers)} numbers, at most {MAX_NUMBERS:,}; lower {names}")


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**15 else "over 10^15"


def _balanced_labels(size: int, classes: int, source: Generator) -> Tensor:
    """Every class equally often, give or take one, in random order."""
    return torch.randperm(size, generator=source) % classes


def _generate(
    name: str, task: Task, draw: DrawPart, sizes: Sizes, seed: int, outputs: int, target_steps: int = 0
) -> Dataset:
    return Dataset(
        name=name,
        task=task,
        train=draw(sizes.train, generator(name, seed, "train")),
        val=draw(sizes.val, generator(name, seed, "val")) if sizes.val else None,
        test=draw(sizes.test, generator(name, seed, "test")),
        outputs=outputs,
        target_steps=target_steps,
        source="generated",
    )
