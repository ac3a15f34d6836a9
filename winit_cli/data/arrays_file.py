"""Read the four arrays of a user's .npz file; nothing in it is ever executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from winit_cli.errors import DataError, brief

NAMES = ("x_train", "y_train", "x_test", "y_test")


def read_arrays(path: str) -> dict[str, NDArray[Any]]:
    """The arrays by name, numeric (float, integer or boolean) and not empty.

    Raises:
        DataError: the file or one of its arrays cannot be used; the message says which and why.
    """
    with _open(path) as file, _archive(file) as archive:
        missing = [name for name in NAMES if name not in archive.files]
        if missing:
            raise DataError(
                f"{path} lacks {', '.join(missing)}; it has {brief(', '.join(archive.files), 200) or 'no arrays'}, "
                f"expected {', '.join(NAMES)}"
            )
        return {name: _array(archive, name) for name in NAMES}


def _open(text: str) -> BinaryIO:
    path = Path(os.path.expanduser(text))  # noqa: PTH111, which raises where there is no such home directory
    if os.path.isdir(path):  # noqa: PTH112, which raises where the name is too long
        raise DataError(f"{path} is a directory; `path` must name an .npz file")
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; `path` must name an .npz file with {', '.join(NAMES)}") from error
    except OSError as error:
        raise DataError(
            f"{brief(str(path))} cannot be read: {error.strerror}; check its name and permissions"
        ) from error
    except ValueError as error:  # a character that no name can have
        raise DataError(f"{brief(str(path))} is no name of a file ({error}); `path` must name an .npz file") from error


def _archive(file: BinaryIO) -> Any:
    not_npz = DataError(f"{file.name} is not an .npz file; make one with numpy.savez(path, x_train=…, …)")
    try:
        archive = np.load(file, allow_pickle=False)
    except Exception as error:  # what is not an archive fails in many ways
        raise not_npz from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise not_npz
    return archive


def _array(archive: Any, name: str) -> NDArray[Any]:
    try:
        array = archive[name]
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{name} holds pickled Python objects, which are never loaded; save numbers") from error
        raise DataError(f"{name} is damaged ({error}); write the file again") from error
    except Exception as error:  # a truncated archive fails in many ways
        raise DataError(f"{name} is damaged ({error}); write the file again") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{name} is not an array; write the file with numpy.savez")
    return numeric(name, array)


def numeric(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array, if it holds numbers and at least one.

    Raises:
        DataError: it does not.
    """
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} has type {array.dtype}, expected floats, integers or booleans")
    if array.size == 0:
        raise DataError(f"{name} is empty (shape {array.shape}), expected at least one example")
    return array
