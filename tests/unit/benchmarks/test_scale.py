"""The scale benchmark's pieces on a few hundred users: what is planted fits together, ranks, and is told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import scale
from benchmarks.scale_shop import PARAMETERS, plant_inputs, plant_model
from pipelines.precache import STAGE
from semconv.artifacts import BaseModel, Corpus, ItemVectors, Run, check_lineage, finish, staging
from semconv.behaviour.store import Behaviour
from semconv.config import TokenizeSettings
from semconv.corpus.build import build_corpus
from semconv.corpus.reading import clean_here, open_input
from semconv.corpus.synthetic import write_shop
from semconv.recommend.load import open_recommender
from semconv.recommend.ranker import NO_ITEM
from semconv.recommend.similar import similar_items
from semconv.tokens.tokenizer import tokenize_items

USERS = 300


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All that precache asks for, corpus and tokens by the library alone, without Ray."""
    folder = tmp_path_factory.mktemp("scale")
    write_shop(folder / "raw", scale.shop_of(USERS), scale.SEED)
    settings = scale.settings_of(folder, folder / "raw")
    made = Run(settings.run.root, settings.run.name)
    source = open_input(settings.corpus, scale.SEED)
    blocks = clean_here(source.interactions, source.clean_interactions)
    items = clean_here(source.items, source.clean_items)
    with staging(made.artifact("corpus")) as out:
        counts = build_corpus(out, settings.corpus, interactions=blocks, items=items, timed=source.timed)
        finish(out, "corpus", settings={}, inputs={}, counts=counts, request="asked", seconds=0)
    assert plant_inputs(made) > 0
    inputs = {kind.kind: kind.open(made.artifact(kind.kind)) for kind in (Corpus, ItemVectors, BaseModel)}
    chosen = TokenizeSettings(iterations=3)
    with staging(made.artifact("tokens")) as out:
        tokenized = tokenize_items(ItemVectors.open(made.artifact("vectors")), chosen, seed=scale.SEED)
        tokenized.write(out, Corpus.open(made.artifact("corpus")).item_ids)
        told = {"tokenize": {"codes": chosen.codes}}
        finish(out, "tokens", settings=told, inputs=inputs, counts={}, request="asked", seconds=0)
    assert 0 < plant_model(made) <= PARAMETERS
    return made


def test_everything_that_precache_asks_for_belongs_together(run: Run) -> None:
    opened = [kind.open(run.artifact(kind.kind)) for kind in STAGE.needs]
    check_lineage(opened)
    assert all("corpus" in artifact.lineage() for artifact in opened)
    corpus = Corpus.open(run.artifact("corpus"))
    assert (corpus.n_users, corpus.n_items) == (USERS, USERS // scale.USERS_PER_ITEM)


def test_vectors_are_zero_where_they_are_unknown(run: Run) -> None:
    vectors, counts_N = ItemVectors.open(run.artifact("vectors")), Behaviour.open(run.artifact("behaviour")).counts
    assert torch.equal(vectors.has_behaviour, counts_N > 0)
    for values_ND, has_N in ((vectors.text, vectors.has_text), (vectors.behaviour, vectors.has_behaviour)):
        assert torch.equal(values_ND.abs().sum(dim=1) > 0, has_N)


def test_the_planted_model_recommends_as_many_items_as_are_left(run: Run) -> None:
    settings = scale.settings_of(run.path.parent, run.path.parent / "raw")
    histories = list(Corpus.open(run.artifact("corpus")).sequences)
    found = open_recommender(run, settings.recommend).rank(histories, scale.K, exclude=histories)
    for history, items in zip(histories, found.items, strict=True):
        left = USERS // scale.USERS_PER_ITEM - len(np.unique(history))
        assert np.count_nonzero(items != NO_ITEM) == min(scale.K, left)


def test_every_item_has_neighbours(run: Run) -> None:
    vectors, behaviour = ItemVectors.open(run.artifact("vectors")), Behaviour.open(run.artifact("behaviour"))
    items_NS, _ = similar_items(behaviour, vectors, np.zeros(0, np.int32), scale.K)
    assert ((items_NS != NO_ITEM).sum(axis=1) > 0).all()


def test_a_file_marks_a_phase_only_while_the_snapshot_is_being_written(tmp_path: Path) -> None:
    run = Run(str(tmp_path), "run")
    assert not scale.staged(run, scale.CATALOGUE)
    with staging(run.artifact("topk")) as folder:
        assert not scale.staged(run, scale.CATALOGUE)
        (folder / scale.CATALOGUE).touch()
        assert scale.staged(run, scale.CATALOGUE)
        assert not scale.staged(run, scale.SHARDS)
    assert not scale.staged(run, scale.CATALOGUE)


def test_growth_is_that_between_the_two_largest_sizes() -> None:
    def size(users: int, seconds: float) -> scale.Size:
        stages = {name: {"seconds": seconds, "peak_gib": 1.0} for name in scale.STAGES}
        return scale.Size(users, stages, {"users": users}, {"corpus": users}, 7)

    results = scale.gathered([size(10, 5.0), size(100, 6.0), size(1000, 600.0)])
    assert results["growth"] == pytest.approx(dict.fromkeys(scale.STAGES, 2.0))
    assert results["stages"]["snapshot"]["1000"] == {"seconds": 600.0, "peak_gib": 1.0}
    assert results["stages"].keys() == {"ingest", "tokenize", "precache", "snapshot"}
    assert results["bytes"] == {"corpus": {"10": 10, "100": 100, "1000": 1000}}
