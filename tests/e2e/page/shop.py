"""The service behind the page, and what it answers when it is asked without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from semconv.artifacts import Run
from semconv.config import ServeSettings
from serve.http import Receive, Scope, Send
from tests.e2e.browser import Tab
from tests.e2e.local_service import App, NearModel, listening, local_api

TITLES = "#list > li > .what > a"
"""Selects the titles of the recommendations."""


class Delayed:
    """An application that holds answers back: those to paths with ``held`` in them, for as long as it is set."""

    def __init__(self, app: App) -> None:
        self.held = ""
        self.answered = 0
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, later where that is asked for; ``answered`` counts the late ones."""
        late = bool(self.held) and self.held in scope["path"]
        while late and self.held in scope["path"] and self.held:
            await asyncio.sleep(0.01)
        await self._app(scope, receive, send)
        self.answered += late


class Shop:
    """A running service."""

    def __init__(self, url: str, model: NearModel, delayed: Delayed, http: httpx.Client) -> None:
        self.url = url
        self.model = model
        self.delayed = delayed
        self.http = http
        self.users: list[str] = self.get("users", limit=100)["users"]

    def get(self, *path: str, **query: Any) -> Any:
        """What GET of this path answers."""
        response = self.http.get("/v1/" + "/".join(quote(part, safe="") for part in path), params=query)
        response.raise_for_status()
        return response.json()

    def titles(self, user: str, **query: Any) -> list[str]:
        """A user's recommendations as the page should name them."""
        return [named(item) for item in self.get("users", user, "recommendations", **query)["items"]]

    def look_at(self, tab: Tab, **state: Any) -> None:
        """Open the page on this state, and wait for its list."""
        tab.open(f"{self.url}/#{httpx.QueryParams(state)}")
        tab.says("#list-said", "there and back")


def named(item: dict[str, Any]) -> str:
    """An item's title, or its id without one."""
    return item["title"] or item["item_id"]


@contextmanager
def open_shop(run: Run, state: Path, settings: ServeSettings) -> Iterator[Shop]:
    """Serve a run on loopback for as long as the block lasts."""
    with local_api(run, state, settings) as (api, model):
        delayed = Delayed(api)
        with listening(delayed) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            yield Shop(url, model, delayed, http)
