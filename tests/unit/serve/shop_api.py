"""The whole API over a small snapshot and a real event store, in this process, with a live model that a test writes."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from semconv.artifacts import Recommender, Run, TopKSnapshot, TopKWriter, finish, staging
from semconv.config import ServeSettings
from serve.api import Api
from serve.bundle import Bundle, Served
from serve.catalogue import Catalogue
from serve.logs import RequestLog
from serve.metrics import Metrics
from serve.questions import LiveAnswer, LiveError, LiveQuestion
from serve.service import Service
from serve.state import ShopState
from serve.store import EventStore, open_store
from tests.unit.artifacts.shop_snapshot import CATALOGUE, K, rows, write_items
from tests.unit.serve.asgi import Client

MODEL = "a model"
USERS = [f"user {number}" for number in range(7)] + ["a/b ü", "x,y", "%2F", "日本"]
LIMITS = ServeSettings(
    max_history=5, max_exclude=5, max_events=3, max_id_length=20, max_wish=30, max_body_bytes=2000, live_deadline_s=0.5
)


class Live:
    """Ranks every item by its index, the last first; ``broken`` says why it does not."""

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.asked: list[LiveQuestion] = []

    async def rank(self, question: LiveQuestion) -> LiveAnswer:
        await self._ask(question)
        left_out = {*question.history, *question.exclude}
        items = [item for item in reversed(range(len(CATALOGUE))) if item not in left_out][: question.k]
        return LiveAnswer(items, [-float(place) for place in range(len(items))], MODEL)

    async def reasons(self, question: LiveQuestion, items: tuple[int, ...]) -> list[dict[str, Any]]:
        await self._ask(question)
        told = {"score": -1.0, "sources": [{"source": "generative", "contribution": 0.5}], "wish": None}
        of_history = [{"item": item, "contribution": 0.25} for item in question.history]
        prefix = {"codes": [0], "item": question.history[0]} if question.history else None
        return [{"item": item, **told, "history": of_history, "prefix": prefix} for item in items]

    async def status(self) -> dict[str, Any]:
        if self.broken is not None:
            raise self.broken
        return {"model": {"a snapshot": MODEL}}

    async def _ask(self, question: LiveQuestion) -> None:
        self.asked.append(question)
        if self.broken is not None:
            raise self.broken


@dataclass
class Shop:
    """An API and all that is behind it."""

    api: Api
    call: Client
    service: Service
    store: EventStore
    live: Live
    metrics: Metrics
    logged: io.StringIO
    snapshot: TopKSnapshot
    extras: dict[str, Any] = field(default_factory=dict)


def write_shop(target: Path, shift: int = 0) -> TopKSnapshot:
    """The snapshot of `USERS`; another ``shift`` gives each user the list of another."""
    with staging(target) as folder:
        write_items(folder)
        writer = TopKWriter(folder, shards=2, kept=K)
        writer.add(rows(USERS, shift))
        writer.finish(pa.array(USERS))
        asked = {"precache": {"k": K, "filter_seen": True}, "recommend": {}}
        manifest = finish(folder, "topk", settings=asked, inputs={}, counts={}, request="asked", seconds=0)
        replace(manifest, lineage={Recommender.kind: MODEL}).write(folder)
    return TopKSnapshot.open(target)


def served(snapshot: TopKSnapshot) -> Served:
    """What a service is told to serve."""
    bundle = Bundle("main", Run(str(snapshot.path.parent), "r"), snapshot, Catalogue(snapshot))
    return Served({"main": bundle}, {"main": 1.0}, "salt")


def open_shop(folder: Path, limits: ServeSettings = LIMITS, *, serving: bool = True, root_path: str = "") -> Shop:
    """A shop of its own in this folder."""
    store, live, logged, extras = open_store(folder / "events.sqlite"), Live(), io.StringIO(), dict[str, Any]()
    service, metrics = Service(ShopState(store), live, limits), Metrics()
    snapshot = write_shop(folder / "topk")
    if serving:
        asyncio.run(service.swap(served(snapshot)))
    log = RequestLog(ids=limits.log_ids, stream=logged)
    api = Api(service, limits, metrics=metrics, log=log, status_extras=lambda: extras)
    return Shop(api, Client(api, root_path), service, store, live, metrics, logged, snapshot, extras)


def down() -> LiveError:
    """What the live model says when it is not there."""
    return LiveError("it is down")
