"""What a precache job keeps: of what was ranked when it is killed, and of answers to users who did nothing since."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

from benchmarks.harness import Results
from benchmarks.shop import REPOSITORY
from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.config import Settings
from semconv.corpus.later import histories_of, read_later
from tests.kill import kill_when


def resumed(run: Run, settings: Settings, events: Path, shares: tuple[float, ...], scratch: Path) -> Results:
    """The job killed with kill -9 at these shares of its units, then left to end: users lost, and users there twice."""
    arguments = _arguments(settings, scratch / "killed.yaml", "--precache.events", str(events))
    killed_at = []
    for share in shares:
        kill_when(arguments, lambda share=share: _done(run) >= share, scratch / "log")  # type: ignore[misc]
        killed_at.append(_done(run))
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
    """The share of users who are ranked with these events, over the snapshot that the run has."""
    since = run.artifact(TopKSnapshot.kind)
    options = ("--precache.events", str(events), "--precache.since", str(since))
    seconds = _finish(_arguments(settings, scratch / "since.yaml", *options))
    counts = TopKSnapshot.open(since).manifest.counts
    share = counts["computed"] / counts["users"]
    return {"incremental_share": share, "computed": counts["computed"], "users": counts["users"], "seconds": seconds}


def _arguments(settings: Settings, config: Path, *more: str) -> list[str]:
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    return ["pipelines.precache", "--config", str(config), *more]


def _finish(arguments: list[str]) -> float:
    """Seconds of the command, its start among them."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", *arguments], cwd=REPOSITORY, check=True)
    return time.perf_counter() - began


def _done(run: Run) -> float:
    """Share of the job's units that are on record as whole."""
    job = run.private("precache")
    records = [file for file in job.glob("*/tries/*/done/*.parquet") if not file.name.endswith(".pending.parquet")]
    return len(records) / max(1, len(list(job.glob("*/units/*.parquet"))))
