"""What the load generator prints, read back, and the figures made of it, by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import unquote

import pytest

from benchmarks.serving_hits import ratio, told, user_paths
from benchmarks.serving_load import Load, ask, by_source, require_cached, wrk_load
from benchmarks.serving_swaps import wrong_answers
from semconv.errors import ResourceError
from tests.conftest import tool
from tests.unit.artifacts.shop_snapshot import write_snapshot

WRK = """Running 1s test @ http://127.0.0.1:18999/noop
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.17ms    1.64ms  11.08ms   85.69%
  27654 requests in 1.01s, 4.80MB read
  Non-2xx or 3xx responses: 9151
Requests/sec:  27388.36
{"requests":3000,"duration_us":1500000,"p50_us":312,"p99_us":7268,"refused":1,"broken":2,"late":3,"bad":40,\
"answers":{"200 cache ab12 cd34 falling":2900,"200 cache ab12 cd34 -":60,"500 - - - -":40}}
"""


def load(rps: float = 1.0, p99_ms: float = 1.0, errors: int = 0) -> Load:
    return Load(1, rps, 1.0, p99_ms, errors)


def test_what_wrk_prints_in_its_last_line() -> None:
    found = wrk_load(WRK)
    told = {"200 cache ab12 cd34 falling": 2900, "200 cache ab12 cd34 -": 60, "500 - - - -": 40}
    assert found == Load(3000, 2000.0, 0.312, 7.268, 46, told)
    assert by_source(found) == {"200 cache": 2960, "500 -": 40}


def test_a_load_of_hits_counts_only_if_all_of_it_was_answered_from_the_cache() -> None:
    good = load()._replace(answers={"200 cache ab cd falling": 9})
    assert require_cached(good) is good
    for wrong in (good._replace(errors=1), good._replace(answers={"200 cache ab cd -": 8, "200 fallback ab cd -": 1})):
        with pytest.raises(ResourceError, match="for what is cached"):
            require_cached(wrong)


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    ours, theirs = [load(rps=9), load(rps=30), load(rps=8)], [load(rps=10), load(rps=10), load(rps=10)]
    assert ratio(ours, theirs, "rps") == pytest.approx(0.9)
    with pytest.raises(ValueError, match="zip"):
        ratio(ours, theirs[:2], "rps")


def test_a_list_of_one_snapshot_under_the_name_of_the_other_is_wrong() -> None:
    named = {"falling": "200 cache ab cd", "rising": "200 cache ef cd"}
    good = {"200 cache ab cd falling": 5, "200 cache ef cd rising": 4, "200 cache ab cd -": 3, "503 - - - -": 9}
    assert wrong_answers(good, named) == 0
    mixed = {
        "200 cache ab cd rising": 1,
        "200 cache ef cd falling": 2,
        "200 live ab cd falling": 4,
        "200 cache ab ef -": 8,
    }
    assert wrong_answers(good | mixed, named) == 15


def test_users_are_drawn_over_all_of_a_snapshot(tmp_path: Path) -> None:
    users = [f"user/{number}" for number in range(50)]
    snapshot = write_snapshot(tmp_path / "topk", users)

    def drawn(count: int) -> list[str]:
        return [unquote(path.split("/")[3]) for path in user_paths(snapshot, count)]

    assert sorted(drawn(99)) == sorted(users)
    some = drawn(20)
    assert len(set(some)) == 20
    assert set(some) <= set(users)
    assert set(some) != set(snapshot.user_ids("", 20))


def test_rounds_are_told_by_their_medians_and_all_their_errors() -> None:
    found = told([load(10, 2, 1), load(30, 4, 0), load(20, 9, 5)])
    assert found == {"rps": 20, "p50_ms": 1.0, "p99_ms": 4, "errors": 6, "rounds": [10, 30, 20]}


def test_no_load_is_sent_to_another_machine(tmp_path: Path) -> None:
    for url in ("http://192.0.2.7:8000", "http://localhost.example.org/", "nonsense"):
        with pytest.raises(ValueError, match="not on this machine"):
            ask(url, tmp_path, connections=1, seconds=1)


class Answers(BaseHTTPRequestHandler):
    """A server on loopback that remembers what it was asked, and says one of two lists."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, bytes]]] = []

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def log_message(self, *given: object) -> None:
        """Nothing."""

    def _answer(self, body: bytes) -> None:
        self.asked.append((self.path, body))
        scores = (-1, -2.5, -3) if self.path.endswith("a") else (-3, -2.5, -1)
        items = [{"item_id": "i", "title": 'a "score":9', "score": score} for score in scores]
        versions = {"snapshot": "ab" * 32, "model": "cd" * 32}
        said = json.dumps({"source": "cache", "items": items, "versions": versions}, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


@pytest.fixture
def server() -> Iterator[str]:
    Answers.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as serving:
        Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/mount"
        serving.shutdown()


def test_a_paced_load_asks_for_all_lines_at_its_rate_and_tells_one_list_from_another(
    server: str, tmp_path: Path
) -> None:
    tool("wrk")
    paths = tmp_path / "paths"
    paths.write_text('/a\n/b\n/c\t{"history": []}\n')
    found = ask(server, paths, connections=4, seconds=2, rate=50, told=True)
    assert found.errors == 0
    assert found.requests == pytest.approx(100, abs=20)
    assert set(Answers.asked) == {("/mount/a", b""), ("/mount/b", b""), ("/mount/c", b'{"history": []}')}
    kinds = {f"200 cache {'ab' * 6} {'cd' * 6} {order}" for order in ("falling", "rising")}
    assert found.answers.keys() == kinds
    assert sum(found.answers.values()) == found.requests
