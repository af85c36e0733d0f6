"""Shops of growing size through ingest, tokenize, precache and snapshot, on two cores.

python -m benchmarks.scale --out FILE.json [--users 1000000] [--quick]

    stages.<name>.<users>.seconds    ingest and tokenize: the command, cluster start and exit included;
                         .peak_gib   memory of the command and all below it, the ranking processes among them
    growth.<name>                    exponent of the seconds between the two largest sizes
    shops, bytes, parameters         what was generated, the size of each artifact on disk, the model

Sizes are a hundredth of ``--users``, a tenth and all of them, with a tenth as many items each; ``--quick`` leaves out
the largest. A person has `MEAN_EVENTS` purchases on average, of which the model reads the last 20; everybody stays in
the corpus (no k-core). Embed, base, align and converge are not among the stages: `benchmarks.scale_shop` makes what
they would.

``precache`` and ``snapshot`` are one command, ``python -m pipelines.precache``, told apart by what appears in the
folder where the artifact is staged. Until the catalogue's file is there users are ranked (``precache``, the start of
the cluster included). From then on the snapshot is written, published and the cluster ended (``snapshot``); the part of
it until the users' shards are begun, the neighbours of all items, is ``snapshot.<users>.neighbours_s``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from benchmarks.harness import Results, command, growth, table
from benchmarks.phases import phases, timed
from benchmarks.scale_shop import MAX_HISTORY, SEED, plant_inputs, plant_model
from semconv.artifacts import Corpus, Run, TopKSnapshot
from semconv.config import (
    CorpusSettings,
    EvaluateSettings,
    PrecacheSettings,
    RaySettings,
    RecommendSettings,
    RunSettings,
    Settings,
    SyntheticSettings,
)
from semconv.corpus.synthetic import write_shop

USERS, QUICK_USERS = 1_000_000, 100_000
STEP = 10
"""Between one size and the next."""
USERS_PER_ITEM = 10
MEAN_EVENTS = 20.0
K = 10
"""Items of a list, and beams of its search."""
CORES = 2
STAGES = ("ingest", "tokenize", "precache", "snapshot")
CATALOGUE, SHARDS = "items.arrow", "shards"
"""The first of a snapshot's files, and the folder of its users: what marks that ranking, and neighbours, are done."""


class Size(NamedTuple):
    """What one size took by stage, its shop, the bytes of its artifacts, and the parameters of its model."""

    users: int
    stages: dict[str, dict[str, float]]
    shop: dict[str, float]
    bytes: dict[str, int]
    parameters: int


def measure(options: argparse.Namespace) -> Results:
    """All sizes, the smallest first, each in a folder of its own that goes when it is done."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sizes = [options.users // STEP**2, options.users // STEP, options.users]
    if options.quick:
        sizes = [min(options.users, QUICK_USERS) // STEP, min(options.users, QUICK_USERS)]
    found = []
    for users in sizes:
        with tempfile.TemporaryDirectory(dir=options.scratch) as place:
            found.append(one_size(Path(place).absolute(), users))
        print(_shown(found[-1]), flush=True)
    return gathered(found)


def gathered(sizes: list[Size]) -> Results:
    """The results, from two sizes or more, the largest last."""
    last = sizes[-2:]
    return {
        "stages": {stage: {str(size.users): size.stages[stage] for size in sizes} for stage in STAGES},
        "growth": {
            stage: growth([size.users for size in last], [size.stages[stage]["seconds"] for size in last])
            for stage in STAGES
        },
        "shops": {str(size.users): size.shop for size in sizes},
        "bytes": {kind: {str(size.users): size.bytes[kind] for size in sizes} for kind in sizes[-1].bytes},
        "parameters": sizes[-1].parameters,
    }


def one_size(folder: Path, users: int) -> Size:
    """A shop of ``users`` through all stages, below ``folder``."""
    raw = folder / "raw"
    write_shop(raw, shop_of(users), SEED)
    settings = settings_of(folder, raw)
    run = Run(settings.run.root, settings.run.name)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    ingest = timed(_stage("ingest", config))
    votes = plant_inputs(run)
    tokenize = timed(_stage("tokenize_items", config, "--ray.threads", str(CORES)))
    parameters = plant_model(run)
    marks = [partial(staged, run, name) for name in (CATALOGUE, SHARDS)]
    precache, neighbours, lists = phases(_stage("precache", config), marks)
    snapshot = neighbours.then(lists)
    taken = zip(STAGES, (ingest, tokenize, precache, snapshot), strict=True)
    stages: dict[str, dict[str, float]] = {name: phase._asdict() for name, phase in taken}
    stages["snapshot"]["neighbours_s"] = neighbours.seconds
    return Size(users, stages, {**_told(run), "votes": votes}, _bytes(raw, run), parameters)


def shop_of(users: int) -> SyntheticSettings:
    """The shop that is generated."""
    return SyntheticSettings(users=users, items=max(1, users // USERS_PER_ITEM), mean_events=MEAN_EVENTS)


def settings_of(folder: Path, raw: Path) -> Settings:
    """Settings of the run in ``folder``: the model alone ranks, on as many processes as cores, with a thread each."""
    return Settings(
        run=RunSettings(root=str(folder), name="run", seed=SEED),
        ray=RaySettings(threads=1),
        corpus=CorpusSettings(path=str(raw), k_core=0),
        recommend=RecommendSettings(system="generative", beams=K),
        evaluate=EvaluateSettings(at=(K,)),
        precache=PrecacheSettings(k=K, workers=CORES),
    )


def _stage(name: str, config: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", f"pipelines.{name}", "--config", str(config), *more]


def staged(run: Run, name: str) -> bool:
    """Whether the snapshot that is being written has this file or folder; a finished one is staged no more."""
    return any(run.path.glob(f".{TopKSnapshot.kind}.tmp-*/{name}"))


def _told(run: Run) -> dict[str, float]:
    corpus = Corpus.open(run.artifact(Corpus.kind))
    lengths = corpus.sequences.lengths
    return {
        "users": corpus.n_users,
        "items": corpus.n_items,
        "interactions": len(corpus.sequences.values),
        "history_read": float(np.minimum(lengths, MAX_HISTORY).mean()),
    }


def _bytes(raw: Path, run: Run) -> dict[str, int]:
    """Of the input and of every artifact."""
    folders = [raw, *sorted(path for path in run.path.iterdir() if path.is_dir() and not path.name.startswith("."))]
    return {folder.name: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) for folder in folders}


def _shown(size: Size) -> str:
    rows = [[stage, size.users, taken["seconds"], taken["peak_gib"]] for stage, taken in size.stages.items()]
    return table(["stage", "users", "seconds", "peak GiB"], rows)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of its own."""
    parser.add_argument("--users", type=int, default=USERS, help=f"users of the largest shop ({USERS})")
    parser.add_argument("--scratch", type=Path, help="where the temporary folders are made")


if __name__ == "__main__":
    command("scale", measure, arguments)
