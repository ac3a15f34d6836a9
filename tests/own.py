"""A user's files for the tests: a network with dropout, a loss, arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NET = """
import random
import numpy as np
import torch
from torch import nn
from parts import Scale

class Net(nn.Module):
    def __init__(self, in_features, num_classes, hidden: int = 6, act=nn.ReLU):
        super().__init__()
        self.shift = nn.Parameter(torch.randn(in_features) + float(np.random.normal()) + random.random())
        self.body = nn.Sequential(nn.Linear(in_features, hidden), act(), nn.Dropout(0.5), Scale(hidden))
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x):
        noise = torch.rand(()) + float(np.random.normal()) + random.random()
        return self.head(self.body(x + self.shift)) + 0.01 * noise

def plain(input_shape, output_size, **more):
    print("hello from the user")
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[-1], output_size, **more))

made = nn.Linear(5, 3)

def my_loss(out, y):
    return 3 * nn.functional.cross_entropy(out, y)
"""
PARTS = """
from torch import nn

class Scale(nn.Linear):
    def __init__(self, size):
        super().__init__(size, size)

    def forward(self, x):
        return x * 2.0 + super().forward(x)
"""
SCHEMES = "as_built,kaiming:others=as_built"
SMALL = ("--seeds", "2", "--steps", "4", "-s", "train.batch_size=16", "--quiet")


def write_files(folder: Path) -> None:
    """``net.py``, the ``parts.py`` that it imports, and ``d.npz``, 120 examples of 5 features and 3 classes."""
    (folder / "net.py").write_text(NET)
    (folder / "parts.py").write_text(PARTS)
    draws = np.random.default_rng(0)
    x = draws.normal(size=(120, 5))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    np.savez(folder / "d.npz", x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])


def net(body: str, head: str = "def __init__(self, in_features, num_classes):") -> str:
    """A file with a net whose ``forward`` has the given body."""
    return f"""
import torch
from torch import nn

class Net(nn.Module):
    {head}
        super().__init__()
        self.layer = nn.Linear(in_features, num_classes)

    def forward(self, x):
        {body}
"""
