"""Initial weights have the recorded bits; see ``tests/golden.py`` for writing the record again."""

from __future__ import annotations

import json

import golden
import pytest
from zoo import CASES, IDS

from winit_cli.setting import FORMAT


@pytest.fixture(scope="module")
def record() -> dict[str, dict[str, object]]:
    made = json.loads(golden.FILE.read_text(encoding="utf-8"))
    if made["made_with"] != golden.here():
        pytest.skip(f"golden_init.json was made with {made['made_with']}, here is {golden.here()}")
    schemes: dict[str, dict[str, object]] = made["schemes"]
    return schemes


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, object]]:
    return golden.measured()


def test_values_are_recorded_for_the_format_of_identities() -> None:
    """Other values under one format would let a run mix trials of two versions."""
    assert json.loads(golden.FILE.read_text(encoding="utf-8"))["format"] == FORMAT


@pytest.mark.parametrize(
    "title", [title for title, (name, _) in zip(IDS, CASES, strict=True) if name not in golden.ABSENT]
)
def test_initial_weights_are_the_recorded_ones(title: str, record, measured) -> None:  # type: ignore[no-untyped-def]
    assert record.keys() == measured.keys(), "write it again: python tests/golden.py"
    if title.startswith("orthogonal"):
        for parameter, values in record[title].items():
            assert measured[title][parameter] == pytest.approx(values, abs=1e-5), parameter
    else:
        assert measured[title] == record[title]
