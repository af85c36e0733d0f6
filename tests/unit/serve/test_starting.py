"""A service is started when it answers, and one that does not come up says why; it never waits in silence for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ray.serve.schema import ApplicationStatus

from semconv.errors import ResourceError
from serve import starting
from serve.starting import wait_until_ready, wait_until_running


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers these one after another, the last for ever; its URL and the paths that were asked for."""
    left, asked = list(statuses), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_it_is_asked_until_it_is_ready_whatever_it_says_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(500, 404, 503, 200) as (url, asked):
        wait_until_ready(url)
    assert asked == ["/readyz"] * 4


@pytest.mark.parametrize(("status", "told"), [(500, "HTTP Error 500"), (None, "refused")])
def test_one_that_never_becomes_ready_ends_in_words(
    monkeypatch: pytest.MonkeyPatch, status: int | None, told: str
) -> None:
    monkeypatch.setattr(starting, "READY_S", 0.2)
    with answering(status or 200) as (url, _):
        running = url
        if status is not None:
            with pytest.raises(ResourceError, match=told):
                wait_until_ready(url)
    if status is None:
        with pytest.raises(ResourceError, match=told):
            wait_until_ready(running)


def test_it_is_waited_for_through_every_state_until_it_runs() -> None:
    states = ["NOT_STARTED", "DEPLOYING", "UNHEALTHY", "DEPLOYING", "RUNNING"]
    left = iter(ApplicationStatus[state] for state in states)
    wait_until_running(lambda: (next(left), ""))
    assert list(left) == []


@pytest.mark.parametrize(
    ("state", "limit"), [("DEPLOY_FAILED", ""), ("UNHEALTHY", "UNHEALTHY_S"), ("DEPLOYING", "RUNNING_S")]
)
def test_one_that_fails_or_never_runs_ends_with_serves_own_reason(
    monkeypatch: pytest.MonkeyPatch, state: str, limit: str
) -> None:
    if limit:
        monkeypatch.setattr(starting, limit, 0.1)
    with pytest.raises(ResourceError, match=r"did not start.*no node has 5 CPUs"):
        wait_until_running(lambda: (ApplicationStatus[state], "no node has 5 CPUs"))


def test_what_it_waits_for_is_said_once_while_it_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(starting, "QUIET_S", 0.0)
    found = iter([("DEPLOYING", "")] + [("DEPLOYING", "waits for a CPU")] * 3 + [("RUNNING", "")])

    def look() -> tuple[ApplicationStatus, str]:
        state, why = next(found)
        return ApplicationStatus[state], why

    with caplog.at_level("WARNING"):
        wait_until_running(look)
    assert [record.getMessage() for record in caplog.records] == ["the service is not up yet: waits for a CPU"]
