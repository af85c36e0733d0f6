"""README, quick start and tutorial do what they show, command by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from semconv.errors import ResourceError
from serve.start import free_port
from tests.conftest import REPOSITORY
from tests.shown import follow, fresh_copy

PORT = 8000
"""Where `make serve` listens, and where the pages ask."""


@pytest.fixture(autouse=True)
def own_port() -> None:
    """The pages name a port; where it is taken they cannot be followed."""
    try:
        free_port("127.0.0.1", PORT)
    except ResourceError:
        pytest.skip(f"another program listens on port {PORT}, which the pages use")


@pytest.mark.timeout(3600)
def test_readme_and_quick_start_lead_a_newcomer_to_an_answer(tmp_path: Path) -> None:
    copy = fresh_copy(tmp_path / "semconv")
    for page in ("README.md", "docs/quickstart.md"):
        follow(REPOSITORY / page, copy, tmp_path / "log")
    assert (copy / "runs" / "demo" / "report" / "index.html").is_file()


@pytest.mark.timeout(3600)
@pytest.mark.data
def test_the_tutorial_leads_from_a_raw_csv_to_an_answer(reference_data: Path, tmp_path: Path) -> None:
    copy = fresh_copy(tmp_path / "semconv")
    (copy / "data").mkdir()
    (copy / "data" / "online_retail").symlink_to(reference_data / "online_retail")
    follow(REPOSITORY / "docs" / "tutorial.md", copy, tmp_path / "log")
    assert (copy / "runs" / "online_retail" / "report" / "index.html").is_file()
