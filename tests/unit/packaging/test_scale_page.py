"""docs/scale.md shows what the benchmark's file beside it holds."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")
RESULTS = json.loads((REPOSITORY / "docs" / "scale.json").read_text(encoding="utf-8"))["results"]
SIZES = ("10000", "100000", "1000000")


def shown(row: str) -> list[str]:
    """The numbers in the table row that begins with this cell."""
    (cells,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in cells.split("|") if cell.strip()]


def require(texts: list[str], values: list[float]) -> None:
    """Each text is the value, rounded to as many digits as it shows."""
    assert len(texts) == len(values)
    for text, value in zip(texts, values, strict=True):
        digits = len(text.partition(".")[2])
        assert float(text) == round(value, digits), (text, value)


@pytest.mark.parametrize("stage", list(RESULTS["stages"]))
def test_seconds_memory_and_growth_are_those_of_the_file(stage: str) -> None:
    taken = [RESULTS["stages"][stage][size] for size in SIZES]
    require(shown(f"{stage}, s"), [one["seconds"] for one in taken] + [RESULTS["growth"][stage]])
    require(shown(f"{stage}, GiB"), [one["peak_gib"] for one in taken])
    assert RESULTS["growth"][stage] <= 1.08
