"""Many questions at once, answered from the cache by the service; no timing is judged."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from semconv.artifacts import Corpus, Run
from semconv.config import Settings
from serve.start import service
from tests.conftest import tool


@pytest.fixture(scope="module")
def cached(tiny_run: Run, tiny_settings: Settings) -> Iterator[str]:
    """Address of one known user's recommendations."""
    changed = tiny_settings.serve.model_copy(update={"port": 0})
    with service(tiny_settings.model_copy(update={"serve": changed})) as url:
        address = f"{url}/v1/users/{Corpus.open(tiny_run.artifact('corpus')).user_ids[0]}/recommendations"
        assert httpx.get(address, timeout=120).json()["source"] == "cache"
        yield address


def printed(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hey_gets_every_answer(cached: str) -> None:
    shown = printed(tool("hey"), "-n", "500", "-c", "8", "-t", "0", cached)
    # 500 questions are not a multiple of 8 workers, and hey sends the whole multiple below.
    statuses = {int(code): int(count) for code, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", shown)}
    assert statuses == {200: 500 // 8 * 8}, shown
    assert "Error distribution" not in shown


def test_wrk_sees_no_error(cached: str) -> None:
    shown = printed(tool("wrk"), "-t1", "-c8", "-d2s", "--timeout", "60s", cached)
    answered = re.search(r"(\d+) requests in", shown)
    assert answered is not None
    assert int(answered[1]) > 0
    assert "Non-2xx" not in shown
    assert "Socket errors" not in shown
