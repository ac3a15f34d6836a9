"""Read the four arrays of a user's .npz file; nothing in it is ever executed."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from winit_cli.errors import DataError, brief

MOST_DEFLATED = 1032  # bytes that one byte of a zip file can stand for
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
        size = os.fstat(file.fileno()).st_size
        return {name: _array(archive, name, size) for name in NAMES}


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


def _array(archive: Any, name: str, size: int) -> NDArray[Any]:
    try:
        _refuse_lies(archive.zip, name, size)
        array = archive[name]
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(f"{name} holds pickled Python objects, which are never loaded; save numbers") from error
        raise DataError(f"{name} is damaged ({error}); write the file again") from error
    except DataError:
        raise
    except Exception as error:  # a truncated archive fails in many ways
        raise DataError(f"{name} is damaged ({error}); write the file again") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{name} is not an array; write the file with numpy.savez")
    return numeric(name, array)


def _refuse_lies(archive: ZipFile, name: str, size: int) -> None:
    """Refuse an array that says it is larger than what its part of the file can hold, before memory is taken for it."""
    member = f"{name}.npy"
    if member not in archive.namelist():
        return
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = head(file)
    held = min(archive.getinfo(member).compress_size, size)
    if math.prod(shape) * dtype.itemsize > held * MOST_DEFLATED:
        says = f"{name} says that it has shape {brief(str(shape))} of {dtype}"
        raise DataError(f"{says}, which its {held:,} bytes in the file cannot hold; write the file again")


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
