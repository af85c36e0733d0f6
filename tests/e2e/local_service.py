"""The whole service in this process, without Ray: the real API over real artifacts, and the real model beside it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from semconv.artifacts import Run
from semconv.config import ServeSettings
from semconv.config.serve import VariantSettings
from serve.api import Api
from serve.args import Variants
from serve.bundle import Served, open_bundle
from serve.experiments import MAIN
from serve.http import Receive, Scope, Send
from serve.logs import RequestLog
from serve.metrics import Metrics
from serve.models import Models
from serve.questions import LiveAnswer, LiveError, LiveQuestion
from serve.rankers import open_ranker
from serve.service import Service
from serve.state import ShopState
from serve.store import FILE, open_store

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class NearModel:
    """The live model in a thread of this process; ``down`` makes it fail."""

    def __init__(self, variant: VariantSettings, cache: Path) -> None:
        self.down = False
        self._models = Models(cache, open_ranker)
        self._models.open(Variants(variants=(variant,)).as_json())

    async def rank(self, question: LiveQuestion) -> LiveAnswer:
        """The best items."""
        return (await self._asked(lambda: self._models.of(question.snapshot).rank([question])))[0]

    async def reasons(self, question: LiveQuestion, items: tuple[int, ...]) -> list[dict[str, Any]]:
        """Why they are recommended."""
        return await self._asked(lambda: self._models.of(question.snapshot).reasons(question, items))

    async def status(self) -> dict[str, Any]:
        """Which models are open."""
        return await self._asked(self._models.status)

    async def _asked(self, ask: Callable[[], Any]) -> Any:
        if self.down:
            raise LiveError("the test took it down")
        return await asyncio.to_thread(ask)


@contextmanager
def local_api(run: Run, state: Path, settings: ServeSettings) -> Iterator[tuple[Api, NearModel]]:
    """The API of a run, its event store in the folder ``state``."""
    variant = VariantSettings(name=MAIN, run=str(run.path))
    model = NearModel(variant, state / "cache")
    store = open_store(state / FILE)
    try:
        service = Service(ShopState(store), model, settings)
        bundle = open_bundle(variant, state / "cache")
        asyncio.run(service.swap(Served({MAIN: bundle}, {MAIN: 0.0}, settings.salt)))
        yield Api(service, settings, metrics=Metrics(), log=RequestLog()), model
    finally:
        store.close()


@contextmanager
def listening(app: App) -> Iterator[str]:
    """The URL under which ``app`` answers on a free loopback port, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([taken],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
