"""What a precache job keeps: of what was ranked when it is killed, and of answers to users who did nothing since."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

from benchmarks.harness import Results
from benchmarks.killing import kill_when
from benchmarks.shop import REPOSITORY
from pipelines.precache_units import Job
from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.config import Settings
from semconv.corpus.later import histories_of, read_later


def resumed(run: Run, settings: Settings, events: Path, shares: tuple[float, ...], scratch: Path) -> Results:
    """The job killed with kill -9 at these shares of its units, then left to end: users lost, and users there twice."""
    arguments = _arguments(settings, scratch / "killed.yaml", "--precache.events", str(events))
    killed_at = []
    for share in shares:
        # mypy infers no type for a lambda with a default
        kill_when(arguments, lambda share=share: done(run) >= share, scratch / "log")  # type: ignore[misc]
        killed_at.append(done(run))
    seconds = _finish(arguments)
    expected = Counter(histories_of(Corpus.open(run.artifact(Corpus.kind)), read_later(events)).user_ids.to_pylist())
    snapshot = TopKSnapshot.open(run.artifact(TopKSnapshot.kind))
    found = Counter(user for batch in snapshot.users() for user in batch["user_id"].to_pylist())
    return {
        "resume_lost": (expected - found).total(),
        "resume_duplicated": (found - expected).total(),
        "killed_at": killed_at,
        "last_try_s": seconds,
    }


def incremental(run: Run, settings: Settings, events: Path, scratch: Path) -> Results:
    """The share of users who are ranked with these events, over the snapshot that the run has.

    ``seconds`` are those of the command, ``everybody_s`` those of the same with nobody carried over.
    """
    topk, config, asked = run.artifact(TopKSnapshot.kind), scratch / "since.yaml", ("--precache.events", str(events))
    seconds = _finish(_arguments(settings, config, *asked, "--precache.since", str(topk)))
    counts = TopKSnapshot.open(topk).manifest.counts
    everybody = _finish(_arguments(settings, config, *asked, "--run.force"))
    share = counts["computed"] / counts["users"]
    told = {"computed": counts["computed"], "users": counts["users"]}
    return {"incremental_share": share, **told, "seconds": seconds, "everybody_s": everybody}


def done(run: Run) -> float:
    """Share of the run's job that is on record as done; 0 where there is none."""
    jobs = run.kept("precache")
    return max((Job(jobs.below(name)).share() for name in jobs.folders("")), default=0.0)


def _arguments(settings: Settings, config: Path, *more: str) -> list[str]:
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    return ["pipelines.precache", "--config", str(config), *more]


def _finish(arguments: list[str]) -> float:
    """Seconds of the command, its start among them."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", *arguments], cwd=REPOSITORY, check=True)
    return time.perf_counter() - began
