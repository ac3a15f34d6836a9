"""A damaged store gives the same numbers or one clear error, never other numbers."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from commands import winit, winit_json
from small import Heard, bytes_of, run_of

from winit_cli.errors import StorageError
from winit_cli.findings.tables import FILES
from winit_cli.runner import Result
from winit_cli.store.frames import RunFrames, read_run
from winit_cli.store.reading import FILE

SETTINGS = ("schemes=[kaiming_normal, zeros]", "seeds=3")
PAGE = 4096


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A finished run."""
    return run_of(tmp_path_factory.mktemp("good"), *SETTINGS)


def numbers(run: RunFrames) -> list[Any]:
    """Everything in a run that a table or a picture is made of."""
    frames = [run.trials, run.curves, run.gradients, run.init, run.timings]
    units = [value.tobytes() for value in run.units["values"]]
    return [*(frame.to_csv() for frame in frames), units, run.labels, run.data, run.config, run.env]


def copy_of(good: Result, results: Path, content: bytes) -> Path:
    """The run with another store."""
    copied = results / good.directory.name
    shutil.copytree(good.directory, copied)
    (copied / FILE).write_bytes(content)
    return copied


def changed(content: bytes, seed: int) -> bytes:
    """The bytes with one of them flipped."""
    place = random.Random(seed).randrange(len(content))
    return content[:place] + bytes([content[place] ^ random.Random(-seed - 1).randrange(1, 256)]) + content[place + 1 :]


def damages(good: Result, count: int) -> list[bytes]:
    """Flipped bytes at so many places, pages of zeros, and shorter files."""
    content = (good.directory / FILE).read_bytes()
    pages = [content[:at] + bytes(PAGE) + content[at + PAGE :] for at in range(0, len(content), PAGE)]
    cut = [content[: len(content) * tenth // 10] for tenth in range(10)]
    return [*(changed(content, seed) for seed in range(count)), *pages, *cut]


def same_or_refused(good: Result, folder: Path, damaged: list[bytes], every: int) -> int:
    """How often reading was refused; every so many times the run is also completed again."""
    wanted, tables, refused = numbers(read_run(good.directory)), bytes_of(good), 0
    for number, content in enumerate(damaged):
        results = folder / str(number)
        copied = copy_of(good, results, content)
        try:
            assert numbers(read_run(copied)) == wanted, number
        except StorageError:
            refused += 1
        if number % every == 0:
            with contextlib.suppress(StorageError):
                assert bytes_of(run_of(results, *SETTINGS)) == tables, number
        shutil.rmtree(results)
    return refused


def test_a_flipped_byte_never_changes_a_number(good: Result, tmp_path: Path) -> None:
    damaged = damages(good, 120)
    assert same_or_refused(good, tmp_path, damaged, every=10) > len(damaged) // 3


@pytest.mark.slow
def test_many_flipped_bytes_never_change_a_number(good: Result, tmp_path: Path) -> None:
    assert same_or_refused(good, tmp_path, damages(good, 2000), every=5) > 600


def _spoil(directory: Path, sql: str) -> None:
    with sqlite3.connect(directory / FILE) as connection:
        connection.execute(sql)
    connection.close()


VALUES = {
    "a loss": "UPDATE curves SET loss = loss * 1.0001 WHERE trial_id = 1 AND step = 2 AND split = 'train'",
    "a final": "UPDATE trials SET final_test_loss = 0.5 WHERE id = 1",
    "a missing row": "DELETE FROM gradients WHERE trial_id = 1 AND step = 4 AND position = 0",
    "a step": "UPDATE trials SET seed = 7 WHERE id = 1",
    "a unit": "UPDATE units SET data = zeroblob(length(data)) WHERE trial_id = 1 AND moment = 'end'",
    "an initial std": "UPDATE init SET std = 1 WHERE trial_id = 1 AND position = 0",
}


@pytest.mark.parametrize("sql", VALUES.values(), ids=VALUES)
def test_a_damaged_trial_is_named_saved_around_and_trained_anew(sql: str, good: Result, tmp_path: Path) -> None:
    copied = copy_of(good, tmp_path, (good.directory / FILE).read_bytes())
    _spoil(copied, sql)
    with pytest.raises(StorageError, match="damaged in 1 of 6 trials"):
        read_run(copied)
    checked = winit("verify", copied)
    assert checked.exit_code == 1
    assert "damaged trials: 1 of 6 are not what was recorded" in checked.stdout
    saved = winit("export", copied, "--to", "csv", tmp_path / "saved")
    assert saved.exit_code == 1 and "left out as damaged: trial " in saved.stderr
    rest = [
        row for row in (good.directory / "curves.csv").read_text().splitlines() if "kaiming_normal/0.1/1," not in row
    ]
    assert (tmp_path / "saved" / "curves.csv").read_text().splitlines() == rest
    heard = Heard()
    assert bytes_of(run_of(tmp_path, *SETTINGS, heard=heard)) == bytes_of(good)
    assert heard.done == [("kaiming_normal/0.1/1", "ok")]
    assert heard.notes[0].startswith("damaged in run.sqlite, so trained anew: kaiming_normal/0.1/1")
    assert winit("verify", copied).exit_code == 0


def test_a_damaged_trial_is_not_copied(good: Result, tmp_path: Path) -> None:
    copied = copy_of(good, tmp_path, (good.directory / FILE).read_bytes())
    _spoil(copied, VALUES["a loss"])
    heard = Heard()
    extended = run_of(tmp_path, *SETTINGS, "name=other", heard=heard)
    assert [key for key, _ in heard.done] == ["kaiming_normal/0.1/1"]
    assert bytes_of(extended)["curves"] == bytes_of(good)["curves"]


def test_a_config_that_was_changed_in_the_store(good: Result, tmp_path: Path) -> None:
    copied = copy_of(good, tmp_path, (good.directory / FILE).read_bytes())
    _spoil(copied, "UPDATE meta SET value = replace(value, '6', '7') WHERE key = 'config'")
    for refused in (read_run, lambda _: run_of(tmp_path, *SETTINGS)):
        with pytest.raises(StorageError, match="config and environment are not what was recorded"):
            refused(copied)
    saved = winit_json_failing("export", copied, "--to", "csv", tmp_path / "saved")
    assert saved["left_out"] == [
        f"{', '.join(f'{name}.csv' for name in FILES)}: the config and environment are not what was recorded"
    ]
    assert (tmp_path / "saved" / "curves.csv").read_bytes() == (good.directory / "curves.csv").read_bytes()


def winit_json_failing(*arguments: object) -> Any:
    """The document of a command that ends with exit code 1."""
    result = winit(*arguments, "--json")
    assert result.exit_code == 1
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", ["status.json", "env.json", "config.yaml", "curves.csv", "trials.csv"])
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"{\xff"], ids=["empty", "zeros", "no text"])
def test_a_damaged_file_is_found_and_written_again(name: str, content: bytes, good: Result, tmp_path: Path) -> None:
    copied = copy_of(good, tmp_path, (good.directory / FILE).read_bytes())
    (copied / name).write_bytes(content)
    found = winit_json_failing("verify", copied)
    assert found["whole"] is False
    (bad,) = [finding for finding in found["findings"] if finding["is_whole"] is False]
    assert name in bad["what"] + bad["said"]
    run_of(tmp_path, *SETTINGS)
    assert winit_json("verify", copied)["whole"] is True


def test_weights_that_come_out_otherwise_here_are_named(good: Result, tmp_path: Path) -> None:
    import winit_cli.store.digest as digest

    copied = copy_of(good, tmp_path, (good.directory / FILE).read_bytes())
    with sqlite3.connect(copied / FILE) as connection:  # as a run of another torch has it: signed and different
        connection.execute("UPDATE trials SET init_hash = 'ab' WHERE id = 1")
        digest.sign(connection, [1])
    connection.close()
    run_of(tmp_path, *SETTINGS)
    found = winit("verify", copied)
    assert found.exit_code == 1
    assert "damaged initial weights: 1 of 6 come out otherwise here: kaiming_normal/0.1/1" in found.stdout


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_a_checkpoint_that_was_changed_is_not_gone_on_from(engine: str, tmp_path: Path) -> None:
    """Nor are those of its neighbours in a stack, which start over with it."""
    from test_resume import Stop, break_off

    settings = (*SETTINGS, "checkpoint_seconds=1e-9", f"engine={engine}")
    wanted = bytes_of(run_of(tmp_path / "whole", *settings))
    with pytest.MonkeyPatch.context() as patch:
        break_off(patch, "kaiming_normal/0.1/0", Stop(), after=3)
        with pytest.raises(Stop):
            run_of(tmp_path / "r", *settings)
    (directory,) = (tmp_path / "r").iterdir()
    _spoil(directory, "UPDATE checkpoints SET data = zeroblob(length(data)) WHERE trial_id = 0 AND position = 0")
    heard = Heard()
    assert bytes_of(run_of(tmp_path / "r", *settings, heard=heard)) == wanted
    assert heard.notes[0].startswith("damaged in run.sqlite, so trained anew: kaiming_normal/0.1/0")


def test_a_newer_format_is_refused(good: Result, tmp_path: Path) -> None:
    copied = copy_of(good, tmp_path, (good.directory / FILE).read_bytes())
    _spoil(copied, "PRAGMA user_version = 99")
    for refused in (read_run, lambda _: run_of(tmp_path, *SETTINGS)):
        with pytest.raises(StorageError, match="has format 99, this winit reads up to 2: a newer winit wrote it"):
            refused(copied)
    assert winit("verify", copied).exit_code == 1


OLD = """
ALTER TABLE trials DROP COLUMN digest;
DROP TABLE checkpoints;
DELETE FROM meta WHERE key IN ('digest', 'owner');
PRAGMA user_version = 0;
"""


def test_a_run_of_the_first_format_is_read_and_brought_up_to_date(good: Result, tmp_path: Path) -> None:
    copied = copy_of(good, tmp_path, (good.directory / FILE).read_bytes())
    for sql in filter(str.strip, OLD.split(";")):
        _spoil(copied, sql)
    assert numbers(read_run(copied)) == numbers(read_run(good.directory))
    heard = Heard()
    assert bytes_of(run_of(tmp_path, *SETTINGS, heard=heard)) == bytes_of(good)
    assert heard.done == []
    assert winit("verify", copied).exit_code == 0
