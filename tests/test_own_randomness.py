"""What a user's code draws or changes in place: every trial is the same whatever else runs, and nothing leaks out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import tables, winit_json
from own import SMALL, net, write_files
from pandas import DataFrame, read_csv

import winit_cli as winit
from winit_cli.errors import StorageError
from winit_cli.store.store import Store

BASE = ("compare", "--data", "d.npz", *SMALL)


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)


@pytest.fixture
def _generators_stay() -> Iterator[None]:
    """Global generators of torch, numpy and Python, set to what no trial would set, are as before."""
    torch.manual_seed(5)
    np.random.seed(6)
    random.seed(7)
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1][2] == np.random.get_state()[2] and (before[1][1] == np.random.get_state()[1]).all()
    assert before[2] == random.getstate()


def compare(*more: object, model: str = "net.py:Net", schemes: str = "zeros") -> Path:
    return Path(winit_json(*BASE, "--model", model, "--schemes", schemes, *more)["run"])


def of(run: Path, label: str, name: str = "trials") -> DataFrame:
    """The rows of a label, without what names the run they come from."""
    found = read_csv(run / f"{name}.csv", keep_default_na=False)
    return found[found["label"] == label].reset_index(drop=True)


IN_PLACE = {
    "forward": net("x -= 1.0\n        return self.layer(x)"),
    "evaluation": net("x = x if self.training else x.sub_(1.0)\n        return self.layer(x)"),
    "layer": "from torch import nn\ndef Net(in_features, num_classes):\n"
    "    return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(in_features, num_classes))\n",
}


@pytest.mark.parametrize("name", ["forward", "evaluation"])
def test_a_forward_pass_in_place_leaves_the_data_alone(name: str) -> None:
    Path("net.py").write_text(IN_PLACE[name])
    before = of(compare(schemes="zeros,ones", model="net.py:Net"), "ones", "curves")
    assert of(compare("--fresh", schemes="ones"), "ones", "curves").equals(before)
    whole = of(compare("--fresh", "-s", "measure.test_every=4"), "zeros")["final_test_loss"]
    often = of(compare("--fresh", "-s", "measure.test_every=1"), "zeros")["final_test_loss"]
    assert whole.equals(often)


def test_an_in_place_first_layer_computes_what_another_does() -> None:
    Path("net.py").write_text(IN_PLACE["layer"])
    first = of(compare(), "zeros", "curves")
    Path("net.py").write_text(IN_PLACE["layer"].replace("inplace=True", "inplace=False"))
    assert of(compare(), "zeros", "curves").equals(first)


def test_a_loss_in_place_leaves_the_data_alone() -> None:
    Path("l.py").write_text(
        "from torch.nn import functional as F\ndef f(out, y):\n    y += 1\n    y %= 3\n"
        "    return F.cross_entropy(out, y)\n"
    )
    both = compare("--loss", "l.py:f", model="mlp", schemes="zeros,ones")
    alone = compare("--loss", "l.py:f", "--fresh", model="mlp", schemes="ones")
    assert of(both, "ones", "curves").equals(of(alone, "ones", "curves"))


def test_a_lazy_module_leaves_its_batch_alone() -> None:
    batch = torch.ones(3, 4)
    winit.init(
        torch.nn.Sequential(torch.nn.Hardtanh(-0.5, 0.5, inplace=True), torch.nn.LazyLinear(2)), "zeros", batch=batch
    )
    assert torch.equal(batch, torch.ones(3, 4))


@pytest.mark.usefixtures("_generators_stay")
@pytest.mark.parametrize("model", ["mlp", "net.py:Net"])
def test_a_loss_that_draws_replays(model: str) -> None:
    Path("l.py").write_text(
        "import random, numpy as np, torch\ndef f(out, y):\n"
        "    noise = torch.randn_like(out) + float(np.random.normal()) + random.random() * torch.arange(3)\n"
        "    return torch.nn.functional.cross_entropy(out + noise, y)\n"
    )
    options = ("--loss", "l.py:f")
    first = compare(*options, model=model, schemes="as_built")
    again = compare(*options, "--fresh", model=model, schemes="as_built")
    assert tables(first) == tables(again)
    other = compare(*options, "--fresh", model=model, schemes="ones:others=as_built,as_built")
    assert of(other, "as_built", "curves").equals(of(first, "as_built", "curves"))


RESET = """
import numpy as np, random, torch
from torch import nn

class Scale(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(size))

    def reset_parameters(self):
        with torch.no_grad():
            self.factor.copy_(torch.from_numpy(np.random.normal(size=self.factor.shape)) + random.random())

    def forward(self, x):
        return x * self.factor

def Net(in_features, num_classes):
    return nn.Sequential(Scale(in_features), nn.Linear(in_features, num_classes))
"""


@pytest.mark.usefixtures("_generators_stay")
def test_a_layers_reset_that_draws_from_numpy_replays() -> None:
    Path("net.py").write_text(RESET)
    first, again = (of(compare("--fresh", schemes="pytorch_default"), "pytorch_default") for _ in range(2))
    assert list(first["init_hash"]) == list(again["init_hash"]) and first["init_hash"].nunique() == 2


@pytest.mark.usefixtures("_generators_stay")
def test_a_data_set_of_a_plug_in_that_draws_replays() -> None:
    Path("plug.py").write_text(
        "import numpy as np, torch, random, winit_cli as winit\ndef f(*, size: int = 60):\n"
        "    x = np.random.normal(size=(size, 3)) + torch.rand(size, 3).numpy() + random.random()\n"
        "    return winit.dataset(x, np.arange(size) % 2)\nDATASETS = [winit.DatasetRow('mine', f)]\n"
    )
    options = ("compare", "--data", "mine", *SMALL, "--schemes", "zeros", "--plugin", "plug.py")
    assert winit_json(*options)["run"] == winit_json(*options)["run"]


@pytest.mark.usefixtures("_generators_stay")
def test_a_scheme_of_a_plug_in_never_draws_from_a_global_generator() -> None:
    """It is tried on tensors of few shapes, and may do otherwise for others."""
    Path("plug.py").write_text(
        "import winit_cli as winit\ndef f(tensor, generator):\n"
        "    tensor.fill_(1.0) if len(tensor) > 99 else tensor.normal_()\n"
        "SCHEMES = [winit.Scheme('mine', f)]\n"
    )
    options = ("--plugin", "plug.py")
    first, again = (of(compare(*options, "--fresh", model="mlp", schemes="mine"), "mine") for _ in range(2))
    assert list(first["init_hash"]) == list(again["init_hash"])


DRAWS = {
    "like": "torch.randn_like(weight) + torch.rand_like(weight)",
    "dropout": "nn.functional.dropout(weight + 1, 0.5)",
    "permuted": "torch.randperm(5).float() + torch.multinomial(torch.ones(5), 5)",
    "gamma": "torch.distributions.Gamma(1.0, 1.0).sample((4,))",
    "truncated": "nn.init.trunc_normal_(weight)",
    "sparse": "nn.init.sparse_(weight, 0.3)",
    "recurrent": "nn.LSTM(3, 4, 2, dropout=0.5)(torch.randn(5, 2, 3))[0].detach()",
    "attention": "nn.functional.scaled_dot_product_attention(*[torch.randn(1, 2, 3, 4) for _ in range(3)])",
}


@pytest.mark.usefixtures("_generators_stay")
@pytest.mark.parametrize("name", list(DRAWS))
def test_what_a_constructor_draws_is_seeded_by_the_trial(name: str) -> None:
    Path("net.py").write_text(
        net("return self.layer(x) + 0 * self.made.sum()").replace(
            "        self.layer =",
            "        weight = torch.zeros(num_classes, in_features)\n"
            f"        self.made = nn.Parameter({DRAWS[name]})\n"
            "        self.layer =",
        )
    )
    run = compare("--steps", "1", schemes="as_built")
    made = read_csv(run / "init.csv").query("param == 'made'")["sha256"]
    assert made.nunique() == 2


def test_a_lazy_module_may_hold_an_attention() -> None:
    class Attending(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = torch.nn.LazyLinear(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            query = self.query(x)[:, None]
            return torch.nn.functional.scaled_dot_product_attention(query, query, query)

    assert len(winit.init(Attending(), "xavier_normal", batch=torch.randn(2, 3, 5))) == 2


@pytest.mark.usefixtures("_generators_stay")
def test_a_forward_pass_that_sets_the_global_seed_changes_nothing_outside() -> None:
    Path("net.py").write_text(
        net(
            "torch.manual_seed(0); np.random.seed(0); random.seed(0)\n"
            "        return self.layer(x) + torch.rand(()) + float(np.random.rand()) + random.random()"
        ).replace("import torch\n", "import random, numpy as np, torch\n", 1)
    )
    assert tables(compare()) == tables(compare("--fresh"))


@pytest.mark.usefixtures("_generators_stay")
def test_python_objects_that_draw_replay(tmp_path: Path) -> None:
    def noisy(in_features: int, num_classes: int) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Linear(in_features, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, num_classes)
        )

    x = np.linspace(-1, 1, 80).reshape(40, 2)
    found = [
        winit.compare(
            noisy,
            (x, np.arange(40) % 2),
            ["as_built"],
            seeds=2,
            steps=3,
            results=tmp_path / str(i),
            progress=False,
            train={"batch_size": 8},
        )
        for i in range(2)
    ]
    assert found[0].curves.equals(found[1].curves) and found[0].init.equals(found[1].init)


def test_generators_are_back_while_an_error_of_the_disk_is_handled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error's traceback keeps what is between two steps of a trial alive."""

    def full(*arguments: object) -> None:
        raise StorageError("no space left")

    monkeypatch.setattr(Store, "chunk", full)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    with pytest.raises(StorageError) as caught:
        winit.compare(
            torch.nn.Linear,
            (np.eye(8), np.arange(8) % 2),
            ["zeros"],
            seeds=1,
            steps=1,
            train={"batch_size": 4},
            results=tmp_path,
            progress=False,
        )
    assert torch.equal(state, torch.get_rng_state()), caught
