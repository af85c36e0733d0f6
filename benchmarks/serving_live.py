"""The live model: what an answer costs beside the decoding itself, and what hits cost while too many want one."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import numpy as np
import torch

from benchmarks.harness import Results
from benchmarks.serving_hits import COUNTS, Size, ratio, told
from benchmarks.serving_load import Asking, Load, ask, by_source, require_cached
from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.artifacts.ragged import Int32
from semconv.config import Settings
from semconv.errors import ResourceError
from semconv.recommend.load import open_recommender

URL = "/v1/recommendations"
QUIET = 0.25
"""Hits a second under overload, as a share of saturation: the model takes one of the cores."""
OVERLOAD = 2.0
"""Live requests a second, over as many as are answered at once."""
CROWD = 200
"""Connections that they come over: more than may wait at the ingress replicas."""
RAMP_S = 1
HISTORIES = 500


def histories_of(run: Run, count: int) -> tuple[list[str], list[Int32]]:
    """Item ids of the catalogue, and histories that no user of the run has: those of users, backwards."""
    corpus = Corpus.open(run.artifact(Corpus.kind))
    rng = np.random.default_rng(17)
    users = rng.choice(corpus.n_users, count, replace=count > corpus.n_users)
    return list(corpus.item_ids), [corpus.sequences[int(user)][::-1].copy() for user in users]


def over_decode(url: str, run: Run, settings: Settings, count: int) -> Results:
    """Seconds of single live answers and of the same ranking in this process, in turn, with as many threads."""
    ids, histories = histories_of(run, count)
    snapshot = TopKSnapshot.open(run.artifact(TopKSnapshot.kind))
    torch.set_num_threads(settings.ray.threads)
    ranker = open_recommender(run, settings.recommend)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def bare(history: Int32) -> None:
        ranker.rank([history], snapshot.kept, exclude=[np.unique(history)] if settings.precache.filter_seen else None)

    def live(history: Int32) -> None:
        body = json.dumps({"history": [ids[item] for item in history], "k": snapshot.k})
        connection.request("POST", URL, body, {"content-type": "application/json"})
        answer = json.load(connection.getresponse())
        if answer.get("source") != "live":
            raise ResourceError(f"A live answer was wanted, and this came: {answer}", "See the service's log")

    taken: dict[str, list[float]] = {"bare": [], "live": []}
    for number, history in enumerate([histories[0], *histories]):  # the first is not counted
        for name, answer in (("bare", bare), ("live", live)):
            began = time.perf_counter()
            answer(history)
            if number:
                taken[name].append(time.perf_counter() - began)
    connection.close()
    bare_ms, live_ms = (1e3 * median(taken[name]) for name in ("bare", "live"))
    told = {"live_p50_ms": live_ms, "decode_p50_ms": bare_ms, "system": settings.recommend.system}
    return {"live_p50_over_decode": live_ms / bare_ms, **told}


def under_overload(url: str, paths: Path, run: Run, saturation: float, size: Size, scratch: Path) -> Results:
    """Hits at a quarter of ``saturation`` with nothing else asked, and with too many live answers, in turn."""
    ids, histories = histories_of(run, HISTORIES)
    questions = scratch / "histories"
    bodies = (json.dumps({"history": [ids[item] for item in history]}) for history in histories)
    questions.write_text("".join(f"{URL}\t{body}\n" for body in bodies))
    capacity = ask(url, questions, connections=COUNTS, seconds=2 * size.seconds, told=True)
    answers = by_source(capacity)
    live_rps = capacity.rps * answers.get("200 live", 0) / max(1, sum(answers.values()))
    if not live_rps:
        raise ResourceError(f"No history was answered by the live model, but as {answers}", "See the service's log")
    crowd = {"connections": CROWD, "seconds": size.seconds + 2 * RAMP_S, "rate": OVERLOAD * live_rps, "told": True}

    def hits() -> Load:
        rate = QUIET * saturation
        return require_cached(ask(url, paths, connections=COUNTS, seconds=size.seconds, rate=rate, told=True))

    loads: dict[str, list[Load]] = {"idle": [], "overloaded": [], "live": []}
    asked_as: Counter[str] = Counter()
    for _ in range(size.rounds):
        loads["idle"].append(hits())
        with Asking(url, questions, **crowd) as asking:  # type: ignore[arg-type]  # options of several types
            time.sleep(RAMP_S)
            loads["overloaded"].append(hits())
            loads["live"].append(asking.load())
            asked_as.update(by_source(loads["live"][-1]))
    return {
        "hit_p99_under_live_overload": ratio(loads["overloaded"], loads["idle"], "p99_ms"),
        "hits_per_s": QUIET * saturation,
        "live_capacity": {"rps": live_rps, "p50_ms": capacity.p50_ms, "answers": answers},
        "live_asked_rps": crowd["rate"],
        "live_answers": dict(asked_as),
        **{name: told(found) for name, found in loads.items()},
    }
