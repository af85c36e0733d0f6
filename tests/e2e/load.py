"""Lists asked for without a pause, on connections that stay open, and every answer looked at."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from itertools import cycle
from typing import Any, NamedTuple

import httpx

from semconv.artifacts import Recommender, TopKSnapshot

CONNECTIONS = 4
K = 10
"""Items of a list, where nothing else is asked for."""


class Failure(NamedTuple):
    """When, on the monotonic clock, and what."""

    at: float
    what: str


Lists = Mapping[str, list[str]]
"""By what is asked for: a user, or the one item of a history."""


class Load:
    """For the time of the block, known users. Each must get their own list of the very snapshot that the answer names,
    and the model that it names must be that snapshot's.

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
        self._lists: dict[str, Lists] = {snapshot.fingerprint: self._right(snapshot) for snapshot in snapshots}
        self._models = {snapshot.fingerprint: snapshot.manifest.lineage[Recommender.kind] for snapshot in snapshots}
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

    def _right(self, snapshot: TopKSnapshot) -> Lists:
        """What may be answered from this snapshot."""
        return _lists(snapshot)

    def _request(self, client: httpx.Client, asked: str) -> httpx.Response:
        return client.get(f"/v1/users/{asked}/recommendations")

    def _ask(self) -> None:
        first, *others = self._lists.values()
        everywhere = [asked for asked in first if all(asked in lists for lists in others)]
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=30, trust_env=False) as client:
            for asked in cycle(everywhere):
                if self._over.is_set():
                    return
                try:
                    wrong = self._wrong(asked, self._request(client, asked))
                except httpx.HTTPError as error:
                    wrong = type(error).__name__
                    time.sleep(0.01)
                if wrong:
                    self.failures.append(Failure(time.monotonic(), wrong))

    def _wrong(self, asked: str, response: httpx.Response) -> str:
        if response.status_code != 200:
            return f"{response.status_code} {response.text[:200]}"
        answer: dict[str, Any] = response.json()
        snapshot, model = answer["versions"]["snapshot"], answer["versions"]["model"]
        if snapshot not in self._lists:
            return f"from an unknown snapshot {snapshot}"
        if model != self._models[snapshot]:
            return f"{answer['source']} from {snapshot} with the model {model}"
        if [item["item_id"] for item in answer["items"]] != self._lists[snapshot][asked]:
            return f"not the list of {asked} in {snapshot}"
        self.answers[snapshot] += 1
        return ""


def is_ready(url: str) -> bool:
    """Whether the service there takes requests."""
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _lists(snapshot: TopKSnapshot) -> Lists:
    """Every user's first items."""
    found: dict[str, list[str]] = {}
    for batch in snapshot.users():
        for user_id in batch["user_id"].to_pylist():
            known = snapshot.lookup(user_id)
            assert known is not None
            found[user_id] = [snapshot.item(int(item)).item_id for item in known.items[:K]]
    return found
