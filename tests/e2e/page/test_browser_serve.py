"""The page before the service as it is run: behind HAProxy and Ray Serve, from two replicas."""

from __future__ import annotations

from tests.e2e.browser import Browser
from tests.e2e.page.shop import TITLES, named
from tests.e2e.served import Service

NEW = "somebody at the page"


def test_the_page_shows_a_user_and_what_a_first_event_brings(chromium: Browser, service: Service) -> None:
    with chromium.tab() as tab, service.client() as http:
        tab.open(service.url + "/")
        tab.click("#users a")
        tab.says("#list-said", "there and back")
        known = http.get(f"/v1/users/{tab.text('#users a')}/recommendations").json()
        assert tab.texts(TITLES) == [named(item) for item in known["items"]]
        tab.fill("#user", NEW)
        tab.says("#history-said", "Nobody of this id yet")
        tab.says("#list-said", "The user is unknown")
        tab.forgive("status of 404")
        tab.fill("#query", "serum")
        tab.click("#found button")
        tab.says("#history-said", "1 new since the snapshot")
        tab.says("#list-said", "10 items from the live model")
        shown = tab.texts(TITLES)
        answers = [http.get(f"/v1/users/{NEW}/recommendations").json() for _ in range(10)]
        assert {answer["source"] for answer in answers} == {"cache"}
        assert [[named(item) for item in answer["items"]] for answer in answers] == [shown] * 10
        assert tab.complaints == []
        tab.picture("served")
