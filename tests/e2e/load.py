"""Known users asked for without a pause, on connections that stay open, and every answer looked at."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from itertools import cycle
from typing import Any, NamedTuple

import httpx

from semconv.artifacts import TopKSnapshot

CONNECTIONS = 4


class Failure(NamedTuple):
    """When, on the monotonic clock, and what."""

    at: float
    what: str


class Load:
    """For the time of the block. Each answer must be the user's own list of the very snapshot that it names.

    ``answers`` counts them by the snapshot's fingerprint; whatever else comes back is in ``failures``.
    """

    def __init__(
        self,
        url: str,
        *snapshots: TopKSnapshot,
        connections: int = CONNECTIONS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self._url, self._headers = url, headers
        self._lists = {snapshot.fingerprint: _lists(snapshot) for snapshot in snapshots}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def reach(self, more: int, patience_s: float = 120.0) -> None:
        """Wait until so many more were answered."""
        until, wanted = time.monotonic() + patience_s, self.answers.total() + more
        while self.answers.total() < wanted:
            assert time.monotonic() < until, f"no {more} answers in {patience_s:g} s; {self.failures[-3:]}"
            time.sleep(0.01)

    def later(self, moment: float) -> list[Failure]:
        """What failed after a moment on the monotonic clock."""
        return [failure for failure in self.failures if failure.at > moment]

    def _ask(self) -> None:
        users = next(iter(self._lists.values()))
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=30, trust_env=False) as client:
            for user_id in cycle(users):
                if self._over.is_set():
                    return
                try:
                    response = client.get(f"/v1/users/{user_id}/recommendations")
                    wrong = self._wrong(user_id, response)
                except httpx.HTTPError as error:
                    wrong = type(error).__name__
                    time.sleep(0.01)
                if wrong:
                    self.failures.append(Failure(time.monotonic(), wrong))

    def _wrong(self, user_id: str, response: httpx.Response) -> str:
        if response.status_code != 200:
            return f"{response.status_code} {response.text[:200]}"
        answer: dict[str, Any] = response.json()
        snapshot = answer["versions"]["snapshot"]
        if snapshot not in self._lists:
            return f"from an unknown snapshot {snapshot}"
        if [item["item_id"] for item in answer["items"]] != self._lists[snapshot][user_id]:
            return f"not the list of {user_id} in {snapshot}"
        self.answers[snapshot] += 1
        return ""


def is_ready(url: str) -> bool:
    """Whether the service there takes requests."""
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _lists(snapshot: TopKSnapshot, k: int = 10) -> dict[str, list[str]]:
    """Every user's first items."""
    found: dict[str, list[str]] = {}
    for batch in snapshot.users():
        for user_id in batch["user_id"].to_pylist():
            known = snapshot.lookup(user_id)
            assert known is not None
            found[user_id] = [snapshot.item(int(item)).item_id for item in known.items[:k]]
    return found
