"""A run that continues another: what was known stays as it was, and what is new has a place among its neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from semconv.artifacts import (
    BaseModel,
    Convergence,
    Corpus,
    ItemTokens,
    ItemVectors,
    Recommender,
    Run,
    check_lineage,
    finish,
    staging,
)
from semconv.artifacts.corpus import ITEMS
from semconv.behaviour.encoders import ENCODERS, Fitted
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import Behaviour
from semconv.config import TokenizeSettings
from semconv.corpus.newer import NewItems
from semconv.tokens.grow import Growth
from semconv.tokens.guess import NEIGHBOURS
from semconv.tokens.tokenizer import tokenize_items
from tests.unit.tokens.small_catalogue import EACH, N_ITEMS, family_vectors, make_corpus

CHOSEN = TokenizeSettings(levels=2, codes=16, text_components=4, behaviour_components=4, iterations=5, align_weight=0.0)
FAMILY = 2
"""The new items' own; a family has one item more than a guess looks at."""
NEW = pa.Table.from_pylist([{"item_id": "new", "title": "thing"}, {"item_id": "untold"}], ITEMS)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(str(tmp_path_factory.mktemp("runs")), "before")
    corpus = make_corpus(run.artifact("corpus"))
    told = torch.arange(N_ITEMS) % 13 != 0
    text = family_vectors() * told[:, None]
    with staging(run.artifact("vectors")) as folder:
        ItemVectors.write(folder, text=text, behaviour=family_vectors(5), has_text=told, has_behaviour=told.clone())
        finish(folder, "vectors", settings={}, inputs={"corpus": corpus}, counts={}, request="r", seconds=0)
    vectors = ItemVectors.open(run.artifact("vectors"))
    training = corpus.training()
    torch.manual_seed(3)
    with staging(run.artifact("behaviour")) as folder:
        encoders = [fitted(name) for name in ENCODERS]
        counter = ItemToItem.fit(training, N_ITEMS)
        counts_N = training_counts(training, N_ITEMS)
        Behaviour.write(folder, counts_N=counts_N, item_to_item=counter, encoders=encoders)
        finish(folder, "behaviour", settings={}, inputs={"corpus": corpus}, counts={}, request="r", seconds=0)
    with staging(run.artifact("tokens")) as folder:
        tokenize_items(vectors, CHOSEN, seed=1).write(folder, corpus.item_ids)
        asked = {"tokenize": CHOSEN.model_dump(mode="json")}
        finish(folder, "tokens", settings=asked, inputs={"vectors": vectors}, counts={}, request="r", seconds=0)
    for kind in ("base", "model", "blend"):
        with staging(run.artifact(kind)) as folder:
            (folder / "file").write_text(kind)
            finish(folder, kind, settings={}, inputs={"corpus": corpus}, counts={}, request="r", seconds=0)
    return run


def fitted(name: str) -> Fitted:
    kind = ENCODERS[name]
    settings = kind.settings(width=4)
    model = kind.empty(N_ITEMS, settings)
    model.load_state_dict({part: torch.rand_like(value) for part, value in model.state_dict().items()})
    return Fitted(model, settings, [])


def encode(texts: list[str]) -> torch.Tensor:
    """The first is in the middle of a family; the second says nothing."""
    centre = family_vectors()[FAMILY * EACH : (FAMILY + 1) * EACH].mean(0)
    return torch.stack([centre * bool(text) for text in texts])


@pytest.fixture(scope="module")
def grown(parent: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    target = Run(str(parent.path.parent), "after")
    growth = Growth(parent, target, NewItems(NEW, {}, tmp_path_factory.mktemp("refused")))
    growth.catalogue(encode)
    growth.model()
    growth.blend()
    return target


def test_all_artifacts_belong_together_and_the_model_is_the_same(parent: Run, grown: Run) -> None:
    kinds = (Corpus, ItemVectors, Behaviour, BaseModel, ItemTokens, Recommender, Convergence)
    check_lineage([kind.open(grown.artifact(kind.kind)) for kind in kinds])
    for kind in (BaseModel, Recommender, Convergence):
        assert kind.open(grown.artifact(kind.kind)).fingerprint == kind.open(parent.artifact(kind.kind)).fingerprint


def test_known_items_keep_index_codes_and_vectors(parent: Run, grown: Run) -> None:
    old, new = (Corpus.open(run.artifact("corpus")) for run in (parent, grown))
    assert new.item_ids == [*old.item_ids, "new", "untold"]
    assert [items.tolist() for items in new.sequences] == [items.tolist() for items in old.sequences]
    codes = [ItemTokens.open(run.artifact("tokens")).codes for run in (parent, grown)]
    np.testing.assert_array_equal(codes[1][:N_ITEMS], codes[0])
    assert not {tuple(code) for code in codes[1][N_ITEMS:].tolist()} & {tuple(code) for code in codes[0].tolist()}
    vectors = [ItemVectors.open(run.artifact("vectors")) for run in (parent, grown)]
    assert torch.equal(vectors[1].text[:N_ITEMS], vectors[0].text)
    assert vectors[1].has_text[N_ITEMS:].tolist() == [True, False]
    assert vectors[1].has_behaviour[N_ITEMS:].tolist() == [False, False]


@pytest.mark.parametrize("name", list(ENCODERS))
def test_an_encoder_scores_known_items_as_before_and_a_new_one_as_the_mean_of_its_neighbours(
    parent: Run, grown: Run, name: str
) -> None:
    before, after = (Behaviour.open(run.artifact("behaviour")).encoders[name] for run in (parent, grown))
    histories = [np.array([1, 30, 5], np.int32), np.array([60], np.int32)]
    old_BN, new_BN = before.scores(histories), after.scores(histories)
    torch.testing.assert_close(new_BN[:, :N_ITEMS], old_BN)
    family = [item for item in range(FAMILY * EACH, (FAMILY + 1) * EACH) if item % 13]
    assert len(family) == NEIGHBOURS
    torch.testing.assert_close(new_BN[:, N_ITEMS], old_BN[:, family].mean(1))
    assert after.scores([np.array([N_ITEMS], np.int32)]).isfinite().all()


def test_nobody_votes_for_a_new_item_yet(parent: Run, grown: Run) -> None:
    before, after = (Behaviour.open(run.artifact("behaviour")) for run in (parent, grown))
    assert after.counts.tolist() == [*before.counts.tolist(), 0, 0]
    old_NN, new_NN = before.item_to_item.votes_NN.toarray(), after.item_to_item.votes_NN.toarray()
    np.testing.assert_array_equal(new_NN[:N_ITEMS, :N_ITEMS], old_NN)
    assert not new_NN[N_ITEMS:].any()
    assert not new_NN[:, N_ITEMS:].any()


def test_what_was_made_is_not_made_again(parent: Run, grown: Run, tmp_path: Path) -> None:
    made = {path: path.stat().st_mtime_ns for path in grown.path.rglob("manifest.json")}

    def refuse(_texts: list[str]) -> torch.Tensor:
        raise AssertionError

    Growth(parent, grown, NewItems(NEW, {}, tmp_path)).catalogue(refuse)
    assert {path: path.stat().st_mtime_ns for path in grown.path.rglob("manifest.json")} == made
