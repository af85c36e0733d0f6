"""Embed on a cluster: a small shop through the real stage."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines import embed, ingest
from pipelines.console import StageLine
from pipelines.stage import run_stages
from semconv.artifacts import Corpus, ItemVectors, Run
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import Behaviour
from semconv.behaviour.vectors import joined
from semconv.config import ItemToItemSettings, Settings
from semconv.errors import SemconvError
from semconv.tokens.text_encoder import TextEncoder, item_texts

UNTUNED = ItemToItemSettings(tune=False)


def changed(settings: Settings, root: Path, **embedding: object) -> Settings:
    """The same settings in another folder, with other ones of embed."""
    run = settings.run.model_copy(update={"root": str(root)})
    return settings.model_copy(update={"run": run, "embed": settings.embed.model_copy(update=embedding)})


@pytest.fixture(scope="module")
def run(tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = changed(tiny_settings, tmp_path_factory.mktemp("embed"), text_batch_size=16, text_workers=2, workers=2)
    run_stages(settings, (ingest.STAGE, embed.STAGE))
    return Run(settings.run.root, settings.run.name)


def test_every_text_is_encoded_into_its_own_row(run: Run) -> None:
    corpus, vectors = Corpus.open(run.artifact("corpus")), ItemVectors.open(run.artifact("vectors"))
    texts = item_texts(corpus.items)
    assert vectors.has_text.tolist() == [bool(text) for text in texts]
    expected = TextEncoder("all-MiniLM-L6-v2").encode(texts)
    torch.testing.assert_close(vectors.text, expected, atol=1e-4, rtol=0)


def test_behaviour_is_that_of_the_fitted_model_and_unknown_without_training(run: Run) -> None:
    corpus, vectors = Corpus.open(run.artifact("corpus")), ItemVectors.open(run.artifact("vectors"))
    behaviour = Behaviour.open(run.artifact("behaviour"))
    counts = training_counts(corpus.training(), corpus.n_items)
    assert torch.equal(behaviour.counts, counts)
    assert torch.equal(vectors.has_behaviour, counts > 0)
    assert not vectors.has_behaviour.all()
    assert vectors.behaviour[~vectors.has_behaviour].abs().sum() == 0
    fitted = list(behaviour.encoders.values())
    assert [encoder.name for encoder in fitted] == ["sasrec", "lightgcn"]
    assert torch.equal(vectors.behaviour, joined(fitted, vectors.has_behaviour))
    for model in behaviour.models().values():
        assert model.scores(list(corpus.split("test").histories)[:3]).shape == (3, corpus.n_items)


def test_models_are_the_same_on_as_many_workers_as_there_are(run: Run, tiny_run: Run, tiny_settings: Settings) -> None:
    assert tiny_settings.embed.workers == tiny_settings.ray.threads == 1
    two, one = (Behaviour.open(made.artifact("behaviour")) for made in (run, tiny_run))
    assert two.fingerprint == one.fingerprint


def test_the_tuned_counter_is_kept_with_its_settings_and_figures(run: Run) -> None:
    behaviour = Behaviour.open(run.artifact("behaviour"))
    tuned, counts = behaviour.item_to_item_tuned, behaviour.manifest.counts
    assert tuned is not None
    assert counts["item_to_item_tuned"] == asdict(tuned.counting)
    assert counts["valid"]["item_to_item_tuned"]["ndcg_at_10"] >= counts["valid"]["item_to_item"]["ndcg_at_10"] > 0
    training = Corpus.open(run.artifact("corpus")).training()
    again = ItemToItem.fit(training, len(behaviour.counts), tuned.counting)
    assert np.array_equal(tuned.votes_NN.toarray(), again.votes_NN.toarray())


def test_the_chosen_encoders_give_the_vectors_and_every_fitted_one_is_kept_and_told(
    tiny_settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = changed(
        tiny_settings, tmp_path, behaviour=("dccf", "sasrec"), also=("lightgcn", "dccf"), item_to_item=UNTUNED
    )
    run_stages(settings, (ingest.STAGE, embed.STAGE))
    run = Run(settings.run.root, settings.run.name)
    vectors, behaviour = ItemVectors.open(run.artifact("vectors")), Behaviour.open(run.artifact("behaviour"))
    assert list(behaviour.models()) == ["popularity", "item_to_item", "sasrec", "lightgcn", "dccf"]
    chosen = [behaviour.encoders[name] for name in ("dccf", "sasrec")]
    assert torch.equal(vectors.behaviour, joined(chosen, vectors.has_behaviour))
    told = capfd.readouterr().err
    for name in ("dccf", "sasrec", "lightgcn"):
        point = behaviour.manifest.counts["valid"][name]
        assert f"{name} recall@10 {point['recall_at_10']:.4f} ndcg@10 {point['ndcg_at_10']:.4f}, valid" in told


def test_both_artifacts_descend_from_the_corpus(run: Run) -> None:
    corpus = Corpus.open(run.artifact("corpus"))
    for artifact in (ItemVectors.open(run.artifact("vectors")), Behaviour.open(run.artifact("behaviour"))):
        assert artifact.manifest.lineage["corpus"] == corpus.fingerprint
        assert artifact.manifest.counts["items"] == corpus.n_items


def test_a_model_that_cannot_be_loaded_is_one_message_and_leaves_no_artifact(
    tiny_settings: Settings, tmp_path: Path
) -> None:
    settings = changed(tiny_settings, tmp_path, text_model=str(tmp_path / "nothing"))
    run_stages(settings, (ingest.STAGE,))
    with pytest.raises(SemconvError, match=r"embed\.text_model .* cannot be loaded"):
        run_stages(settings, (embed.STAGE,))
    made = sorted(path.name for path in (tmp_path / settings.run.name).iterdir() if not path.name.startswith("."))
    assert made == ["corpus"]


def test_a_catalogue_without_text_gets_no_text_vectors(tiny_settings: Settings) -> None:
    vectors = embed.encode_texts(["", "", ""], tiny_settings, StageLine("embed"))
    assert vectors.shape == (3, 384)
    assert vectors.abs().sum() == 0
