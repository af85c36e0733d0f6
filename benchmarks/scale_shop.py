"""What the stages `tokenize` and `precache` ask for besides a corpus, made directly: nothing here is trained.

Vectors are planted in clusters, as `benchmarks.token_scale` has them; behaviour is counted on the corpus, without
encoders; base and model have random weights: what a search costs does not depend on how well they were trained. The
blend is empty: `precache` wants one to be there, and ``recommend.system`` "generative" does not read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.compute as pc
import torch

from benchmarks.token_scale import synthetic_vectors
from semconv.artifacts import (
    Artifact,
    BaseModel,
    Convergence,
    Corpus,
    ItemTokens,
    ItemVectors,
    Recommender,
    Run,
    finish,
    staging,
)
from semconv.artifacts.blend import FILE
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import Behaviour
from semconv.config import BaseSettings
from semconv.llm.compact import CompactModel, CompactShape
from semconv.llm.load import load_backbone, load_tokenizer
from semconv.llm.small import small_model, train_tokenizer

SEED = 17
BASE = BaseSettings(vocab_size=1024, width=64, layers=3, heads=4, feed_forward=192, context=64)
PARAMETERS = 500_000
"""Parameters of the compact model, at most."""
MAX_HISTORY = 20
BEHAVIOUR_STRIDE = 4
"""The behaviour vectors are every fourth column of the text vectors: 64 of 256."""


def plant_inputs(run: Run) -> int:
    """Vectors, behaviour and base, from the run's corpus; returns how many pairs of items the counter counted."""
    corpus = Corpus.open(run.artifact(Corpus.kind))
    training, titles = corpus.training(), corpus.items["title"]
    counts_N = training_counts(training, corpus.n_items)
    text_ND, has_text = synthetic_vectors(corpus.n_items), torch.from_numpy(pc.is_valid(titles).to_numpy())
    with _made(run, ItemVectors, corpus) as folder:
        ItemVectors.write(
            folder,
            text=text_ND * has_text[:, None],
            behaviour=text_ND[:, ::BEHAVIOUR_STRIDE] * (counts_N > 0)[:, None],
            has_text=has_text,
            has_behaviour=counts_N > 0,
        )
    with _made(run, Behaviour, corpus) as folder:
        counter = ItemToItem.fit(training, corpus.n_items)
        Behaviour.write(folder, counts_N=counts_N, item_to_item=counter, encoders=[])
    with _made(run, BaseModel, corpus) as folder:
        tokenizer = train_tokenizer(titles.drop_null().to_pylist(), BASE.vocab_size)
        small_model(BASE, tokenizer, SEED).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return int(counter.votes_NN.nnz)


def plant_model(run: Run) -> int:
    """A compact model over the run's tokens, and an empty blend; returns how many parameters the model has.

    Raises `AssertionError` where there are more than `PARAMETERS`.
    """
    corpus, vectors = Corpus.open(run.artifact(Corpus.kind)), ItemVectors.open(run.artifact(ItemVectors.kind))
    tokens, base = ItemTokens.open(run.artifact(ItemTokens.kind)), BaseModel.open(run.artifact(BaseModel.kind))
    behaviour = Behaviour.open(run.artifact(Behaviour.kind))
    shape = CompactShape(
        levels=tokens.levels,
        codes=tokens.codes_per_level,
        text_width=vectors.text.shape[1],
        behaviour_width=vectors.behaviour.shape[1],
        depth_width=BASE.width,
        max_history=MAX_HISTORY,
        item_head=True,
    )
    torch.manual_seed(SEED)
    model = CompactModel(load_backbone(base.path), load_tokenizer(base.path), shape)
    parameters = sum(weights.numel() for weights in model.parameters())
    if parameters > PARAMETERS:
        raise AssertionError(f"the model has {parameters} parameters, {PARAMETERS} being the most")
    with _made(run, Recommender, corpus, vectors, tokens, base) as folder:
        model.save(folder)
    aligned = Recommender.open(run.artifact(Recommender.kind))
    with _made(run, Convergence, corpus, vectors, behaviour, tokens, aligned) as folder:
        (folder / FILE).write_text(json.dumps({"blends": {}}) + "\n")
    return parameters


@contextmanager
def _made(run: Run, kind: type[Artifact], *inputs: Artifact) -> Iterator[Path]:
    """A folder to write an artifact of the run into; finished and published when the block ends."""
    with staging(run.artifact(kind.kind)) as folder:
        yield folder
        came_from = {artifact.kind: artifact for artifact in inputs}
        finish(folder, kind.kind, settings={}, inputs=came_from, counts={}, request="planted", seconds=0)
