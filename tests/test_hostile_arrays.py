"""Archives of arrays that are cut short, lie about what they hold, or hold what must not be loaded."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import refused_with, winit, write

from winit_cli.data.arrays_file import NAMES

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory

X, Y = np.zeros((20, 3)), np.arange(20) % 2
GOOD = dict(zip(NAMES, (X, Y, X, Y), strict=True))


def archive(**changes: bytes | None) -> None:
    """Write ``d.npz`` with some members replaced by bytes, or left out."""
    with zipfile.ZipFile("d.npz", "w") as file:
        for name, array in GOOD.items():
            content = io.BytesIO()
            np.save(content, array)
            written = changes.pop(name, content.getvalue())
            if written is not None:
                file.writestr(f"{name}.npy", written)
        for name, extra in changes.items():
            file.writestr(name, extra or b"")


def header(shape: str, kind: str = "<f8") -> bytes:
    """An .npy file that says it has this shape, and a few bytes."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(100)


LIES = {
    "huge": (
        header("(1000000000000, 3)"),
        "x_train says that it has shape (1000000000000, 3) of float64, which its 228",
    ),
    "8 GiB": (header("(1073741824,)"), "bytes in the file cannot hold; write the file again"),
    "overflowing": (header("(4611686018427387904, 8)"), "bytes in the file cannot hold; write the file again"),
    "negative": (header("(-1, 3)"), "x_train is damaged"),
    "more than there is": (header("(1000, 3)"), "x_train is damaged"),
    "wild header": (header("__import__('os').system('touch pwned')"), "x_train is damaged"),
    "long header": (b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + b"(" * 5000, "x_train is damaged"),
    "pickle": (header("(20, 3)", "|O"), "x_train holds pickled Python objects, which are never loaded"),
    "no array": (b"hello", "x_train is damaged"),
    "nothing": (b"", "x_train is"),
    "unknown version": (b"\x93NUMPY\x09\x00" + bytes(50), "x_train is damaged"),
    "record": (header("(1, 1)", "|V99"), "x_train has type |V99, expected floats, integers or booleans"),
}


class TestArrays:
    def refused(self) -> str:
        """What is said of ``d.npz``."""
        said = refused_with(data={"name": "npz", "path": "d.npz"})
        assert said.startswith("c.yaml:6:1: data: ")
        assert len(said) < 500
        return said

    @pytest.mark.parametrize(("member", "message"), LIES.values(), ids=LIES)
    def test_that_lie(self, member: bytes, message: str) -> None:
        archive(x_train=member)
        tracemalloc.start()
        try:
            assert message in self.refused()
            assert tracemalloc.get_traced_memory()[1] < 2**25, "numpy's memory is traced too, used or not"
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
    def test_that_are_cut_short(self, part: float) -> None:
        archive()
        whole = Path("d.npz").read_bytes()
        Path("d.npz").write_bytes(whole[: int(len(whole) * part)])
        assert "d.npz is not an .npz file" in self.refused()

    def test_with_a_flipped_byte(self) -> None:
        archive()
        whole = bytearray(Path("d.npz").read_bytes())
        whole[whole.index(b"NUMPY") + 200] ^= 1
        Path("d.npz").write_bytes(whole)
        assert "x_train is damaged (Bad CRC-32" in self.refused()

    def test_with_paths_that_lead_outside(self) -> None:
        before = set(Path.cwd().parent.rglob("*"))
        absolute = str(Path.cwd().parent / "absolute.npy")
        archive(**{"../../x.npy": b"1", "../x": b"2", absolute: b"3", "..\\y": b"4"})
        write(Path("c.yaml"), data={"name": "npz", "path": "d.npz"})
        assert winit("check", "c.yaml").exit_code == 0
        made = {path.name for path in set(Path.cwd().parent.rglob("*")) - before}
        assert made == {"c.yaml", "d.npz"}

    def test_with_a_member_that_is_no_array(self) -> None:
        archive(x_train=None)
        with zipfile.ZipFile("d.npz", "a") as file:
            file.writestr("x_train", b"hello")
        assert "x_train is not an array; write the file with numpy.savez" in self.refused()

    def test_with_many_members(self) -> None:
        archive(x_train=None, **{f"m{index}.npy": b"" for index in range(3000)})
        assert "d.npz lacks x_train; it has y_train" in self.refused()

    @pytest.mark.parametrize(
        ("path", "message"), [("a" * 5000, "File name too long"), ("~no-such-user/x", "there is no")]
    )
    def test_with_a_path_that_is_none(self, path: str, message: str) -> None:
        assert message in refused_with(data={"name": "npz", "path": path})
