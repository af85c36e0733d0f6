"""What the load generators print, read back, and the figures made of it, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serving_hits import ratio, told
from benchmarks.serving_live import by_source
from benchmarks.serving_load import Load, hey_load, paced, saturate, wrk_load
from semconv.errors import ResourceError

WRK = """Running 1s test @ http://127.0.0.1:18999/noop
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.17ms    1.64ms  11.08ms   85.69%
  27654 requests in 1.01s, 4.80MB read
  Non-2xx or 3xx responses: 9151
Requests/sec:  27388.36
{"requests":3000,"duration_us":1500000,"p50_us":312,"p99_us":7268,"refused":1,"broken":2,"late":3,"bad":40,\
"answers":{"200 cache ab12 cd34":2960,"500 - - -":40}}
"""

HEADER = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"


def hey(*rows: tuple[float, int, float]) -> str:
    """Rows of seconds, status and seconds since the start."""
    told = [f"{taken:.4f},0.0159,0.0000,0.0027,0.0228,0.0001,{status},{offset:.4f}" for taken, status, offset in rows]
    return "\n".join([HEADER, *told]) + "\n"


def load(rps: float = 1.0, p99_ms: float = 1.0, errors: int = 0) -> Load:
    return Load(1, rps, 1.0, p99_ms, errors)


def test_what_wrk_prints_in_its_last_line() -> None:
    found = wrk_load(WRK)
    assert found == Load(3000, 2000.0, 0.312, 7.268, 46, {"200 cache ab12 cd34": 2960, "500 - - -": 40})
    assert by_source(found) == {"200 cache": 2960, "500 -": 40}


def test_a_hundred_rows_of_hey() -> None:
    rows = [(0.001 * number, 200, 0.01 * number) for number in range(1, 101)]
    found = hey_load(hey(*rows), asked=100)
    assert (found.requests, found.errors) == (100, 0)
    assert (found.p50_ms, found.p99_ms) == (pytest.approx(50), pytest.approx(99))
    assert found.rps == pytest.approx(100 / 1.1)  # the last began after 1 s and took 0.1 s


def test_requests_without_a_good_answer_are_errors_whether_hey_has_a_row_for_them_or_not() -> None:
    found = hey_load(hey((0.002, 200, 0.1), (9.0, 503, 0.1), (0.004, 200, 0.2)), asked=10)
    assert found.errors == 8
    assert found.p99_ms == pytest.approx(4)
    with pytest.raises(ResourceError, match="No request was answered"):
        hey_load(hey((9.0, 503, 0.1)), asked=1)


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    ours, theirs = [load(rps=9), load(rps=30), load(rps=8)], [load(rps=10), load(rps=10), load(rps=10)]
    assert ratio(ours, theirs, "rps") == pytest.approx(0.9)
    with pytest.raises(ValueError, match="zip"):
        ratio(ours, theirs[:2], "rps")


def test_rounds_are_told_by_their_medians_and_all_their_errors() -> None:
    found = told([load(10, 2, 1), load(30, 4, 0), load(20, 9, 5)])
    assert found == {"rps": 20, "p50_ms": 1.0, "p99_ms": 4, "errors": 6, "rounds": [10, 30, 20]}


def test_no_load_is_sent_to_another_machine(tmp_path: Path) -> None:
    for url in ("http://192.0.2.7:8000", "http://localhost.example.org/", "nonsense"):
        with pytest.raises(ValueError, match="not on this machine"):
            saturate(url, tmp_path, connections=1, seconds=1)
        with pytest.raises(ValueError, match="not on this machine"):
            paced(url, rate=1, connections=1, seconds=1)
