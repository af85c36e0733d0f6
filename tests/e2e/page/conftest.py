"""A browser before the whole service but for Ray."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from semconv.artifacts import Run
from semconv.config import ServeSettings
from tests.e2e.browser import Browser, Tab, browser
from tests.e2e.page.shop import Shop, open_shop


@pytest.fixture(scope="session")
def shop(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all tests: each uses users and items of its own where it changes anything."""
    settings = ServeSettings(live_deadline_s=60.0)
    with open_shop(tiny_run, tmp_path_factory.mktemp("state"), settings) as shop:
        yield shop


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def tab(chromium: Browser, shop: Shop) -> Iterator[Tab]:
    """A new person's tab; whatever they do, the page asks nobody else and complains of nothing."""
    with chromium.tab() as tab:
        yield tab
        assert not [url for url in tab.requests if not url.startswith(shop.url + "/")]
        assert tab.complaints == []
