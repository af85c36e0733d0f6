"""Many questions at once, answered from the cache by the service; no timing is judged."""

from __future__ import annotations

import re
import subprocess

import httpx
import pytest

from semconv.artifacts import Corpus
from tests.conftest import tool
from tests.e2e.served import Service


@pytest.fixture(scope="module")
def cached(service: Service, corpus: Corpus) -> str:
    """Address of one known user's recommendations."""
    address = f"{service.url}/v1/users/{corpus.user_ids[0]}/recommendations"
    assert httpx.get(address, timeout=120).json()["source"] == "cache"
    return address


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
