"""npz: what is accepted, how it is understood, and the message of every refusal."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from winit_cli.data.arrays import dataset, npz
from winit_cli.errors import DataError, UsageError
from winit_cli.models import MODELS, Task

DRAWS = np.random.default_rng(0)
GOOD = {
    "x_train": DRAWS.normal(3, 2, (60, 4)),
    "y_train": np.arange(60) % 3,
    "x_test": DRAWS.normal(3, 2, (30, 4)),
    "y_test": np.arange(30) % 3,
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "mine.npz")


def save(path: str, **changes: Any) -> str:
    np.savez(path, **{**GOOD, **changes})
    return path


def changed(name: str, index: Any, value: Any) -> dict[str, np.ndarray]:
    array = GOOD[name].astype(np.result_type(GOOD[name], np.asarray(value)))
    array[index] = value
    return {name: array}


def test_everything_by_default(path: str) -> None:
    data = npz(path=save(path))
    assert (data.task, data.outputs, data.source, data.target_steps) == ("classification", 3, "file", 0)
    assert (len(data.train.y), data.val, len(data.test.y)) == (60, None, 30)
    assert data.train.x.mean().item() == pytest.approx(0, abs=1e-6)


def test_a_part_of_it_is_stratified(path: str) -> None:
    data = npz(path=save(path), train_size=30, val_size=15, test_size=9)
    assert data.val is not None
    assert [np.bincount(part.y).tolist() for part in (data.train, data.val, data.test)] == [
        [10] * 3,
        [5] * 3,
        [3] * 3,
    ]
    assert len(npz(path=path, val_size=15).train.y) == 45


def test_inputs_and_targets_stay_together(path: str) -> None:
    x = np.arange(60.0)[:, None]
    data = npz(path=save(path, x_train=x, x_test=x[:30], y_train=np.arange(60.0)), task="regression", normalize=False)
    assert data.train.x.tolist() == data.train.y.tolist()
    assert data.train.x.flatten().tolist() != x.flatten().tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, bool])
def test_whole_targets_mean_classification(path: str, dtype: type) -> None:
    y = np.arange(60) % 2
    data = npz(path=save(path, y_train=y.astype(dtype), y_test=y[:30].astype(dtype)))
    assert (data.task, data.outputs) == ("classification", 2)


def test_float_targets_mean_regression(path: str) -> None:
    data = npz(path=save(path, y_train=np.ones((60, 2)), y_test=np.ones((30, 2))))
    assert (data.task, data.outputs, data.train.y.shape) == ("regression", 2, (60, 2))


def test_task_overrides_the_type(path: str) -> None:
    save(path, y_train=GOOD["y_train"].astype(float))
    assert npz(path=path, task="classification").train.y.tolist() != []
    one_column = npz(path=save(path), task="regression")
    assert (one_column.outputs, one_column.train.y.shape) == (1, (60, 1))


def test_a_class_per_time_step(path: str) -> None:
    x, y = np.ones((60, 7, 2)), DRAWS.integers(0, 4, (60, 5))
    data = npz(path=save(path, x_train=x, y_train=y, x_test=x[:30], y_test=y[:30]), val_size=6)
    assert (data.target_steps, data.outputs, data.train.y.shape) == (5, 4, (54, 5))


def test_normalize(path: str) -> None:
    save(path, x_train=GOOD["x_train"] * [1, 10, 100, 0])
    per_feature = npz(path=path, normalize="per_feature").train.x.numpy()
    np.testing.assert_allclose(per_feature.std(axis=0), [1, 1, 1, 0], atol=1e-5)
    over_all = npz(path=path, normalize=True).train.x.numpy()
    assert over_all.std() == pytest.approx(1, abs=1e-5)
    assert over_all.std(axis=0)[0] < 0.1
    untouched = npz(path=path, normalize=False).train.x.numpy()
    assert sorted(untouched[:, 0]) == sorted(GOOD["x_train"][:, 0].astype(np.float32))


BAD_ARRAYS = {
    "lengths": ({"y_train": np.arange(59) % 3}, "x_train has 60 examples and y_train 59, expected as many"),
    "features": (
        {"x_test": np.ones((30, 5))},
        r"x_train has examples of shape \(4,\) and x_test of \(5,\), expected the same",
    ),
    "x_dimensions": ({"x_train": np.ones(60)}, r"x_train has shape \(60,\), expected \(N, features\)"),
    "nan": (
        changed("x_train", ([2, 5], [1, 3]), np.nan),
        r"x_train has NaN or infinite values: 2 of 240, the first at index \(2, 1\); expected finite",
    ),
    "inf": (changed("x_test", (0, 0), -np.inf), r"x_test has NaN or infinite values: 1 of 120, .* \(0, 0\)"),
    "too_large": (changed("x_train", (3, 0), 1e300), r"x_train has NaN or infinite values: 1 of 240"),
    "nan_target": (
        {**changed("y_train", 4, np.nan), "y_test": GOOD["y_test"] * 1.0},
        r"y_train has NaN or infinite values: 1 of 60, the first at index \(4,\)",
    ),
    "negative": (changed("y_train", 0, -1), "y_train has labels -1, 0, 1, 2, expected 0, 1, … C-1.*renumber"),
    "gap": ({"y_train": np.arange(60) % 3 * 2}, "y_train has labels 0, 2, 4, expected"),
    "many": ({"y_train": np.arange(60) + 1}, r"labels 1, 2, 3, 4, 5, 6, 7, 8, … 60 \(60 of them\)"),
    "one_class": ({"y_train": np.zeros(60, int)}, "y_train has labels 0, expected .* at least two"),
    "test_label": (
        changed("y_test", 3, 7),
        "y_test has labels from 0 to 7, expected labels of y_train: 0 to 2",
    ),
    "y_dimensions": (
        {"y_train": np.zeros((60, 1), int)},
        r"y_train has shape \(60, 1\), expected \(N,\) for classification",
    ),
    "y_scalar": ({"y_train": np.array(3)}, r"y_train has shape \(\), expected \(N,\) for classification"),
    "too_many_steps": (
        {"x_train": np.ones((60, 4, 1)), "x_test": np.ones((30, 4, 1)), "y_train": np.zeros((60, 5), int)},
        r"y_train has shape \(60, 5\), expected \(N,\) or \(N, K\) with K at most the 4 time steps",
    ),
    "regression_dimensions": (
        {"y_train": np.ones((60, 2, 2))},
        r"y_train has shape \(60, 2, 2\), expected \(N,\) or \(N, outputs\) for regression",
    ),
    "columns": (
        {"y_train": np.ones((60, 2)), "y_test": np.ones((30, 3))},
        r"y_train has shape \(60, 2\) and y_test \(30, 3\), expected the same number of columns",
    ),
    "empty": ({"x_test": np.ones((0, 4))}, r"x_test is empty \(shape \(0, 4\)\), expected at least one example"),
    "text": ({"y_train": np.array(["a"] * 60)}, "y_train has type <U1, expected floats, integers or booleans"),
    "complex": ({"x_train": np.ones((60, 4), complex)}, "x_train has type complex128, expected floats"),
    "pickled": (
        {"y_test": np.array([{}] * 30, dtype=object)},
        "y_test holds pickled Python objects, which are never loaded; save numbers",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_an_array_that_does_not_fit(path: str, changes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        npz(path=save(path, **changes))


def test_fractions_are_not_classes(path: str) -> None:
    with pytest.raises(DataError, match=r"y_train has fractions such as 0\.5, expected whole labels; or set task"):
        npz(path=save(path, y_train=np.full(60, 0.5)), task="classification")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train_size": 50, "val_size": 11}, "x_train: train_size [+] val_size = 61, but there are at most 60"),
        ({"test_size": 31}, "x_test: test_size = 31, but there are at most 30"),
        ({"val_size": 60}, "val_size = 60 leaves nothing of the 60 examples of x_train; lower it"),
    ],
)
def test_sizes_beyond_the_arrays(path: str, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        npz(path=save(path), **sizes)


def test_missing_arrays(path: str) -> None:
    np.savez(path, x_train=GOOD["x_train"], labels=GOOD["y_train"])
    with pytest.raises(DataError, match="lacks y_train, x_test, y_test; it has x_train, labels, expected x_train"):
        npz(path=path)


def test_a_missing_file(path: str) -> None:
    with pytest.raises(DataError, match=r"there is no file .*mine\.npz; `path` must name an \.npz file"):
        npz(path=path)


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a directory; `path` must name"):
        npz(path=str(tmp_path))


@pytest.mark.parametrize("kind", ["text", "empty", "npy", "pickle", "cut"])
def test_not_an_npz(path: str, kind: str) -> None:
    file = Path(save(path))
    if kind == "npy":
        with file.open("wb") as handle:
            np.save(handle, GOOD["x_train"])
    else:
        cut = file.read_bytes()[:200]
        file.write_bytes({"text": b"a,b\n", "empty": b"", "pickle": pickle.dumps({}), "cut": cut}[kind])
    with pytest.raises(DataError, match=r"is not an \.npz file; make one with numpy\.savez"):
        npz(path=path)


def test_a_damaged_array(path: str) -> None:
    whole = bytearray(Path(save(path)).read_bytes())
    whole[600] ^= 1
    Path(path).write_bytes(whole)
    with pytest.raises(DataError, match=r"x_train is damaged .*write the file again"):
        npz(path=path)


def test_a_file_that_may_not_be_read(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    save(path)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied; check"):
        npz(path=path)


TOKENS = np.arange(240).reshape(60, 4) % 11


def test_tokens_stay_whole_numbers(path: str) -> None:
    data = npz(path=save(path, x_train=TOKENS, x_test=TOKENS[:30] * 1.0), tokens=True)
    assert data.train.x.dtype == data.test.x.dtype == torch.int64
    assert (data.vocabulary, data.input_shape) == (11, (4,))
    assert sorted(data.train.x.flatten().tolist()) == sorted(TOKENS.flatten().tolist())
    per_step = npz(
        path=save(path, x_train=TOKENS, x_test=TOKENS[:30], y_train=TOKENS % 2, y_test=TOKENS[:30] % 2), tokens=True
    )
    assert (per_step.target_steps, per_step.outputs) == (4, 2)


@pytest.mark.parametrize(("value", "first"), [(-1, "-1.0"), (0.5, "0.5")])
def test_what_is_no_token_is_named_with_its_place(path: str, value: float, first: str) -> None:
    tokens = TOKENS.astype(float)
    tokens[7, 2] = value
    with pytest.raises(
        DataError, match=rf"x_train has values that are no tokens: 1 of 240, the first {first} at index"
    ):
        npz(path=save(path, x_train=tokens, x_test=TOKENS[:30]), tokens=True)


@pytest.mark.parametrize("model", ["mlp", "cnn", "lstm", "gru", "rnn"])
def test_models_without_an_embedding_refuse_tokens(model: str) -> None:
    with pytest.raises(UsageError, match=f"{model} reads numbers, but the data has tokens of shape .4,., 0 to 10"):
        MODELS[model].build(Task((4,), 2, vocabulary=11))


def test_channels_last_images_are_told_of(path: str) -> None:
    images = DRAWS.normal(size=(60, 8, 8, 3))
    (note,) = npz(path=save(path, x_train=images, x_test=images[:30])).notes
    assert "read as (channels, height, width); if the channels are last, transpose it" in note
    first = images.transpose(0, 3, 1, 2)
    assert npz(path=save(path, x_train=first, x_test=first[:30])).notes == ()


def test_inputs_may_have_more_dimensions(path: str) -> None:
    volumes = DRAWS.normal(size=(60, 1, 3, 3, 3))
    assert npz(path=save(path, x_train=volumes, x_test=volumes[:30])).input_shape == (1, 3, 3, 3)


def test_arrays_in_memory_are_what_a_file_of_them_is(path: str) -> None:
    data = dataset(*GOOD.values(), name="npz")
    assert data.fingerprint == npz(path=save(path)).fingerprint
    assert dataset(*(torch.tensor(a) for a in GOOD.values())).fingerprint == data.fingerprint
    assert dataset(*(a.tolist() for a in GOOD.values())).fingerprint == data.fingerprint
    assert dataset(*GOOD.values(), normalize=False).fingerprint != data.fingerprint


def test_a_test_part_is_held_out_by_class() -> None:
    x = np.arange(60.0)[:, None]
    data = dataset(x, np.arange(60) % 3, normalize=False)
    assert np.bincount(data.train.y).tolist() == [16] * 3 and np.bincount(data.test.y).tolist() == [4] * 3
    assert sorted([*data.train.x.flatten().tolist(), *data.test.x.flatten().tolist()]) == x.flatten().tolist()
    assert all(int(a) % 3 == b for a, b in zip(data.train.x.flatten().tolist(), data.train.y.tolist(), strict=True))
    assert len(dataset(x, x, test_size=7).test.x) == 7
    assert dataset(x, x).fingerprint == dataset(x, x).fingerprint != dataset(x, x, seed=1).fingerprint


def test_faults_of_arrays_in_memory() -> None:
    x, y = GOOD["x_train"], GOOD["y_train"]
    with pytest.raises(DataError, match="x_test and y_test go together: give both or neither"):
        dataset(x, y, x)
    with pytest.raises(DataError, match=r"x_train has shape \(60, 4\) and y_train \(9,\), expected as many examples"):
        dataset(x, y[:9])
    with pytest.raises(DataError, match="x_train has type <U1, expected floats, integers or booleans"):
        dataset([["a", "b"]] * 9, y[:9])
    with pytest.raises(DataError, match="test_size = 60, but there are at most 59"):
        dataset(x, y, test_size=60)


@pytest.mark.parametrize(
    ("x", "y"),
    [([[1, 2], [3]], [0, 1]), (None, [0, 1]), (np.zeros((4, 2)), None), (np.zeros((4, 2)), 3), ("text", "text")],
    ids=["ragged", "no x", "no y", "a number", "text"],
)
def test_what_is_no_array_is_refused(x: object, y: object) -> None:
    with pytest.raises(DataError, match=r"[xy]_train"):
        dataset(x, y)


def test_half_precision_tensors_are_arrays() -> None:
    x, y = torch.arange(40.0).reshape(20, 2), torch.arange(20) % 2
    whole = dataset(x, y).fingerprint
    assert dataset(x.bfloat16(), y).fingerprint == dataset(x.half(), y.short()).fingerprint == whole
    assert dataset(x.requires_grad_(), y).fingerprint == whole


def test_the_vocabulary_covers_every_part() -> None:
    x = np.zeros((20, 3), dtype=int)
    x[17, 2] = 9
    data = dataset(x, np.arange(20) % 2, tokens=True, val_size=4)
    assert data.vocabulary == 10 and data.val is not None and len(data.val.x) == 4
