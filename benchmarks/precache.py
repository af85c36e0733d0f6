"""Precache on one machine: its pace beside the ranker alone, what it keeps when killed, and snapshots of many users.

python -m benchmarks.precache --out FILE.json [--run FOLDER] [--quick]

    users_per_s          ranked by the job once it goes; ``detail.pace`` tells what its start takes
    pipeline_efficiency  over the ranker alone on the same batches, in a process with as many threads
    resume_lost          users missing after kill -9 at 10, 50 and 90% of the units, and users there more than once
    resume_duplicated
    incremental_share    users ranked anew when 5% of all did something, with --precache.since
    snapshot             `benchmarks.snapshot_scale`: 10 million users x 50 items

To the users of the run come as many new ones, in exported events, as make the job take about a minute.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import shop
from benchmarks.harness import Results, command
from benchmarks.precache_kept import incremental, resumed
from benchmarks.precache_pace import pace_of, paces
from benchmarks.precache_users import Newcomers
from benchmarks.snapshot_scale import QUICK_USERS, USERS, scale
from semconv.config import PrecacheSettings, RaySettings

SECONDS, QUICK_SECONDS = 60.0, 3.0
MOST = 200_000
UNITS = 20
"""Least that a job is divided into, so that there are shares to kill it at."""
QUICK_BATCH = 32
ROUNDS, QUICK_ROUNDS = 3, 1
KILLED_AT, QUICK_KILLED_AT = (0.1, 0.5, 0.9), (0.5,)


def measure(options: argparse.Namespace) -> Results:
    """Everything, over one run."""
    quick = options.quick
    with tempfile.TemporaryDirectory(dir=options.scratch) as place:
        scratch = Path(place)
        given = shop.run_of(options, scratch)
        run = shop.linked(given, scratch / "runs")
        size = QUICK_BATCH if quick else PrecacheSettings().batch_size
        chosen = {"ray": {"threads": options.threads}, "precache": {"batch_size": size}}
        settings = shop.settings_of(given, chosen | {"run": {"root": str(run.path.parent)}})
        wanted = pace_of(run, settings) * (QUICK_SECONDS if quick else SECONDS)
        newcomers = Newcomers(run, int(min(MOST, max(UNITS * size, wanted))))
        events, later = newcomers.write(scratch / "events"), newcomers.write_changed(scratch / "later")
        pace = paces(run, settings, events, scratch, QUICK_ROUNDS if quick else ROUNDS)
        kept = resumed(run, settings, events, QUICK_KILLED_AT if quick else KILLED_AT, scratch)
        since = incremental(run, settings, later, scratch)
        scaled = scale(QUICK_USERS if quick else USERS, scratch)
    return {
        **{name: pace.pop(name) for name in ("users_per_s", "pipeline_efficiency")},
        **{name: kept.pop(name) for name in ("resume_lost", "resume_duplicated")},
        "incremental_share": since.pop("incremental_share"),
        "snapshot": scaled,
        "detail": {"pace": pace, "resumed": kept, "incremental": since},
    }


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of its own."""
    shop.arguments(parser)
    threads = RaySettings().threads
    parser.add_argument("--threads", type=int, default=threads, help=f"compute threads on either side ({threads})")


if __name__ == "__main__":
    command("precache", measure, arguments)
