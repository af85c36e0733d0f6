"""Events written without a pause beside a load, as a client does that wants none lost and none twice."""

from __future__ import annotations

import secrets
import threading
import time
from itertools import count
from pathlib import Path

import httpx

from semconv.artifacts import TopKSnapshot
from serve.store import FILE, open_store

PAUSE_S = 0.02


class Writer:
    """For the time of the block, one event after another, each of a visitor of its own.

    A request that failed, or got no answer, is sent again with the same idempotency key until it is acknowledged;
    ``failures`` counts those.
    """

    def __init__(self, url: str, snapshot: TopKSnapshot) -> None:
        self.accepted: list[str] = []
        self.failures = 0
        self._url = url
        self._item = snapshot.item(0).item_id
        self._name = f"visitor {secrets.token_hex(4)}"
        self._over = threading.Event()
        self._last = ""
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(60)

    @property
    def told(self) -> str:
        """How many, in words."""
        return f"{len(self.accepted)} acknowledged, {self.failures} sent again"

    def reach(self, more: int, patience_s: float = 120.0) -> None:
        """Wait until so many more were acknowledged."""
        until, wanted = time.monotonic() + patience_s, len(self.accepted) + more
        while len(self.accepted) < wanted:
            assert time.monotonic() < until, f"no {more} events in {patience_s:g} s; {self.told}"
            time.sleep(0.01)

    def require_stored(self, state: Path) -> None:
        """After the block: every acknowledged event is in the log, once, and the last one sent at most once."""
        assert self.accepted
        store = open_store(state / FILE)
        try:
            assert [len(store.events_of(visitor)) for visitor in self.accepted] == [1] * len(self.accepted)
            assert len(store.events_of(self._last)) <= 1
        finally:
            store.close()

    def _write(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            for number in count():
                self._last = visitor = f"{self._name} {number}"
                while not self._sent(client, visitor):
                    if self._over.is_set():
                        return
                    self.failures += 1
                    time.sleep(PAUSE_S)
                self.accepted.append(visitor)
                if self._over.wait(PAUSE_S):
                    return

    def _sent(self, client: httpx.Client, visitor: str) -> bool:
        event = {"user_id": visitor, "item_id": self._item}
        try:
            response = client.post("/v1/events", json=event, headers={"idempotency-key": visitor.replace(" ", "-")})
        except httpx.HTTPError:
            return False
        return response.status_code == 201
