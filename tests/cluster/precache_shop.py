"""A shop of a few users for the tests of precache, and a ranker that writes down whom it was asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipelines.console import StageLine
from pipelines.precache import CODE, STAGE, Opener, build
from pipelines.stage import Work
from semconv.artifacts import (
    Artifact,
    Corpus,
    ItemTokens,
    ItemVectors,
    Run,
    TopKSnapshot,
    finish,
    request_of,
    staging,
)
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.artifacts.ragged import Int32
from semconv.artifacts.tokens import CODES, write_codes
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import Behaviour
from semconv.config import EvaluateSettings, PrecacheSettings, RecommendSettings, Settings
from semconv.errors import ArtifactError
from semconv.recommend.collaborative import CollaborativeRanker
from semconv.recommend.ranker import Ranker, Ranking
from semconv.recommend.rules import Rules

N_ITEMS, USERS, K = 20, 60, 6
RECOMMEND = RecommendSettings(beams=8, candidates=8)


def make_shop(root: Path, seed: int = 5) -> Run:
    """Users have from one to all but two of the items; what is learned of items depends on ``seed``."""
    run = Run(str(root), "tiny")
    rng = np.random.default_rng(5)
    items = [
        {"item_id": f"i{n}", "title": f"Title {n}", "brand": f"B{n % 3}", "categories": []} for n in range(N_ITEMS)
    ]
    users = []
    for user in range(USERS):
        bought = rng.permutation(N_ITEMS)[: 1 + user % (N_ITEMS - 2)].tolist()
        ends = {"train_end": max(len(bought) - 2, 1), "valid_end": max(len(bought) - 1, 1)}
        users.append({"user_id": f"üser/{user}", "items": bought, "times": None, **ends})
    with staging(run.artifact("corpus")) as folder:
        for name, rows, schema in (("items", items, ITEMS), ("sequences", users, SEQUENCES)):
            (folder / name).mkdir()
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name / "part-0.parquet")
        finish(folder, "corpus", settings={}, inputs={}, counts={}, request="asked", seconds=0)
    corpus = Corpus.open(run.artifact("corpus"))
    training, inputs = corpus.training(), {"corpus": corpus}
    vectors = {name: torch.from_numpy(rng.normal(size=(N_ITEMS, 4))) for name in ("text", "behaviour")}
    known = {name: torch.ones(N_ITEMS, dtype=torch.bool) for name in ("has_text", "has_behaviour")}
    with staging(run.artifact("vectors")) as folder:
        ItemVectors.write(folder, **vectors, **known)
        finish(folder, "vectors", settings={}, inputs=inputs, counts={}, request="asked", seconds=0)
    with staging(run.artifact("behaviour")) as folder:
        counter = ItemToItem.fit(training, N_ITEMS)
        Behaviour.write(folder, counts_N=training_counts(training, N_ITEMS), item_to_item=counter, encoders=[])
        finish(folder, "behaviour", settings={}, inputs=inputs, counts={}, request="asked", seconds=0)
    with staging(run.artifact("tokens")) as folder:
        codes = np.random.default_rng(seed).integers(0, 4, (N_ITEMS, 3))
        write_codes(folder / CODES, corpus.item_ids, codes)
        finish(folder, "tokens", settings={}, inputs=inputs, counts={}, request="asked", seconds=0)
    return run


def open_counter(run: Run, chosen: RecommendSettings) -> Ranker:
    """A ranker without a neural network, so that nothing but precache itself is looked at."""
    corpus = Corpus.open(run.artifact("corpus"))
    training = corpus.training()
    ranker = CollaborativeRanker(ItemToItem.fit(training, N_ITEMS), training_counts(training, N_ITEMS))
    return Rules.of(corpus, chosen).over(ranker, chosen.candidates)


def open_nothing(run: Run, chosen: RecommendSettings) -> Ranker:
    raise ArtifactError("the model is not there", "Make it")


@dataclass
class Asked:
    """An opener whose ranker appends every history it ranks to a file, and fails once ``fails_after`` are there."""

    log: Path
    fails_after: int | None = None

    def __call__(self, run: Run, chosen: RecommendSettings) -> Ranker:
        return Telling(open_counter(run, chosen), self)

    @property
    def histories(self) -> list[list[int]]:
        """What was ranked so far."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [[int(item) for item in line.split()] for line in lines]


class Telling:
    """See `Asked`."""

    def __init__(self, ranker: Ranker, asked: Asked) -> None:
        self.name = ranker.name
        self._ranker, self._asked = ranker, asked

    def rank(self, histories: Sequence[Int32], k: int, *, exclude: Sequence[Int32] | None = None) -> Ranking:
        if self._asked.fails_after is not None and len(self._asked.histories) >= self._asked.fails_after:
            raise RuntimeError("enough")
        ranking = self._ranker.rank(histories, k, exclude=exclude)
        told = "".join(" ".join(map(str, history)) + "\n" for history in histories)
        descriptor = os.open(self._asked.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, told.encode())  # in one piece, for other processes do so too
        os.close(descriptor)
        return ranking


def settings_of(recommend: RecommendSettings = RECOMMEND, **chosen: object) -> Settings:
    asked = PrecacheSettings.model_validate({"k": K, "shards": 3, "batch_size": 10, **chosen})
    return Settings(precache=asked, recommend=recommend, evaluate=EvaluateSettings(at=(K,)))


def precache(run: Run, target: Path, opener: Opener = open_counter, **chosen: object) -> TopKSnapshot:
    """What the stage does, with a cheap ranker and without artifacts that only a model needs."""
    settings = settings_of(**chosen)  # type: ignore[arg-type]  # recommend may be among them
    kinds: tuple[type[Artifact], ...] = (Corpus, ItemVectors, Behaviour, ItemTokens)
    inputs = {kind.kind: kind.open(run.artifact(kind.kind)) for kind in kinds}
    asked, raw = STAGE.settings_of(settings), STAGE.raw(settings)
    request = request_of("topk", asked, {name: a.fingerprint for name, a in inputs.items()} | raw, CODE)
    with staging(target) as folder:
        work = Work(settings, run, request, StageLine("precache"), inputs, {"topk": folder})
        build(work, opener)
        finish(
            folder,
            "topk",
            settings=asked,
            inputs={**inputs, **raw},
            counts=work.counts["topk"],
            request=request,
            seconds=0,
        )
    shutil.rmtree(run.private("precache"))
    return TopKSnapshot.open(target)


def shards_of(snapshot: TopKSnapshot) -> dict[str, str]:
    """Digests of the files that hold users, by name."""
    return {name: file["sha256"] for name, file in snapshot.manifest.files.items() if name.startswith("shards")}


def user_ids_of(snapshot: TopKSnapshot) -> list[str]:
    """Every id in the snapshot, as often as it is there, sorted."""
    return sorted(user for batch in snapshot.users() for user in batch["user_id"].to_pylist())
