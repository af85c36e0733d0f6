"""The page on one's own data does what it shows."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import REPOSITORY
from tests.shown import follow, fresh_copy


def test_the_examples_of_the_page_on_own_data_are_read_as_it_says(tmp_path: Path) -> None:
    copy = fresh_copy(tmp_path / "semconv")
    follow(REPOSITORY / "docs" / "your-data.md", copy, tmp_path / "log")
