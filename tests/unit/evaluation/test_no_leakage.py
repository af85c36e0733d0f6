"""The test split: only what measures opens it, and nothing that is fitted or chosen depends on its targets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from semconv.alignment.builder import open_builder
from semconv.alignment.registry import description_of
from semconv.artifacts import (
    AlignmentExamples,
    Artifact,
    BaseModel,
    Corpus,
    ItemTokens,
    ItemVectors,
    Manifest,
    Recommender,
    Run,
    finish,
    staging,
)
from semconv.artifacts.blend import FILE
from semconv.artifacts.corpus import SEQUENCES
from semconv.artifacts.examples import shards_of, write_description, write_shard
from semconv.behaviour.encoders import ENCODERS, Fitted
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import Behaviour, load_encoder
from semconv.behaviour.training import sample
from semconv.behaviour.tuning import tune
from semconv.behaviour.vectors import joined
from semconv.config import AlignSettings, BaseSettings, ConvergeSettings, CorpusSettings, TokenizeSettings
from semconv.corpus.build import build_corpus
from semconv.corpus.reading import clean_here, open_input
from semconv.llm.title_embeddings import title_embeddings
from semconv.recommend.blend_fitting import Lesson
from semconv.recommend.convergence import converge
from semconv.recommend.evidence import gather
from semconv.recommend.load import Opened
from semconv.tokens.contrast import Target
from semconv.tokens.text_encoder import item_texts
from semconv.tokens.tokenizer import tokenize_items
from semconv.training.align import Inputs, alignment
from semconv.training.job import Job, make_engine, run_job
from semconv.training.pretrain import pretraining

REPOSITORY = Path(__file__).parents[3]
OPENS_TEST = {"pipelines/evaluate.py"}
"""It only measures, when everything is chosen."""
SEED = 5
CORPUS = CorpusSettings(
    reader="synthetic",
    k_core=3,
    synthetic={"users": 60, "items": 40, "categories": 3, "brands": 4, "mean_events": 9},
)
BASE = BaseSettings(vocab_size=300, width=16, layers=1, heads=2, feed_forward=24, context=64, epochs=1)
GRAPH = {"width": 8, "epochs": 2, "batch_size": 256, "negatives": 16}
ENCODER_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "sasrec": {"width": 8, "layers": 1, "heads": 1, "epochs": 2, "max_history": 10},
    "lightgcn": GRAPH,
    "dccf": GRAPH | {"intents": 4},
}
TOKENIZE = TokenizeSettings(levels=2, codes=8, text_components=4, behaviour_components=4, iterations=3, align_steps=5)
ALIGN = AlignSettings(
    engine="plain",
    precision="float32",
    epochs=2,
    validate_every=1,
    max_history=10,
    batch_size=32,
    depth_width=16,
    validation_users=40,
    probe_questions=10,
    tasks={"textual": 0.2, "query": 0.2},
)
CONVERGE = ConvergeSettings(hidden=2, epochs=1, users=50)
BEAMS, CANDIDATES = 10, 10

REFIT = CORPUS.model_copy(update={"refit": True})

Write = Callable[[Path], object]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def synthetic(folder: Path, settings: CorpusSettings = CORPUS) -> None:
    found = open_input(settings, SEED)
    interactions = clean_here(found.interactions, found.clean_interactions)
    items = clean_here(found.items, found.clean_items)
    build_corpus(folder, settings, interactions=interactions, items=items, timed=found.timed)


def permuted(corpus: Corpus, from_end: int) -> Write:
    """Writes the same corpus, but for what users took at this place from the end, which goes round among them."""

    def write(folder: Path) -> None:
        (folder / "items").symlink_to(corpus.path / "items")
        (folder / "sequences").mkdir()
        rows = pa.concat_tables(map(pq.read_table, sorted((corpus.path / "sequences").iterdir()))).to_pylist()
        asked = [row["items"] for row in rows if len(row["items"]) >= 3]
        taken = [items[-from_end] for items in asked]
        for items, place in zip(asked, np.random.default_rng(1).permutation(len(asked)), strict=True):
            items[-from_end] = taken[place]
        pq.write_table(pa.Table.from_pylist(rows, schema=SEQUENCES), folder / "sequences" / "part-0.parquet")

    return write


def trained(job: Job) -> Write:
    result = run_job(job, make_engine(job))
    return lambda folder: job.export(result, folder)


def behaviour_of(corpus: Corpus) -> Write:
    training, valid, n_items = corpus.training(), corpus.split("valid"), corpus.n_items
    encoders = []
    for name, chosen in ENCODER_SETTINGS.items():
        settings = ENCODERS[name].settings(**chosen)
        model, curve = ENCODERS[name].fit(training, n_items, valid, settings, seed=SEED)
        encoders.append(Fitted(model, settings, curve))
    tuned = tune(training, n_items, valid, users=50, seed=SEED)
    counts_N, fixed = training_counts(training, n_items), ItemToItem.fit(training, n_items)
    return lambda folder: Behaviour.write(folder, counts_N=counts_N, item_to_item=fixed, tuned=tuned, encoders=encoders)


def vectors_of(corpus: Corpus, behaviour: Path) -> Write:
    """The text encoder reads the catalogue alone, so that any vectors can stand for its own."""
    has_text = torch.tensor([bool(text) for text in item_texts(corpus.items)])
    has_behaviour = training_counts(corpus.training(), corpus.n_items) > 0
    text = torch.randn(corpus.n_items, 6, generator=torch.Generator().manual_seed(SEED)) * has_text[:, None]
    vectors = joined([load_encoder(behaviour, name) for name in ("sasrec", "lightgcn")], has_behaviour)
    return lambda folder: ItemVectors.write(
        folder, text=text, behaviour=vectors, has_text=has_text, has_behaviour=has_behaviour
    )


def tokens_of(corpus: Corpus, vectors: ItemVectors, base: BaseModel) -> Write:
    words = Target.of("title", *title_embeddings(base, corpus.items["title"].to_pylist()))
    tokenized = tokenize_items(vectors, TOKENIZE, seed=SEED, words=words)
    return lambda folder: tokenized.write(folder, corpus.item_ids)


def examples_of(inputs: Inputs) -> Write:
    builder = open_builder(inputs.corpus, inputs.vectors, inputs.tokens, inputs.base, ALIGN, SEED)

    def write(folder: Path) -> None:
        for family, shard in shards_of(builder.sizes):
            rows = [builder.row(family, number) for number in range(builder.sizes[family])]
            write_shard(folder, family, shard, rows)
        write_description(folder, builder.sizes, **description_of(ALIGN, SEED))

    return write


def blend_of(run: Run) -> Write:
    opened = Opened(run)
    asked = sample(opened.corpus.split("valid"), CONVERGE.users, np.random.default_rng(SEED))
    histories = list(asked.histories)
    lesson = Lesson(gather(opened.sources(BEAMS), histories, CANDIDATES), asked.targets, histories)
    found = converge(lesson, CONVERGE, SEED)
    return lambda folder: (folder / FILE).write_text(json.dumps(found))


def fitted(root: Path, write_corpus: Write) -> tuple[Corpus, dict[str, str]]:
    """The corpus, and by kind the fingerprint of every artifact that stages make of it, by the calls they make.

    A fingerprint says what the files hold, not where they lie or what they were made from.
    """
    run, made = Run(str(root), "run"), dict[str, Artifact]()

    def publish(kind: str, write: Write, settings: Any = None) -> Path:
        with staging(run.artifact(kind)) as folder:
            write(folder)
            finish(folder, kind, settings=settings or {}, inputs=made, counts={}, request="r", seconds=0)
        return run.artifact(kind)

    made["corpus"] = corpus = Corpus.open(publish("corpus", write_corpus))
    made["base"] = base = BaseModel.open(publish("base", trained(pretraining(corpus, BASE, SEED))))
    behaviour = publish("behaviour", behaviour_of(corpus))
    made["vectors"] = vectors = ItemVectors.open(publish("vectors", vectors_of(corpus, behaviour)))
    settings = {"tokenize": TOKENIZE.model_dump(mode="json")}
    made["tokens"] = tokens = ItemTokens.open(publish("tokens", tokens_of(corpus, vectors, base), settings))
    inputs = Inputs(corpus, vectors, tokens, base)
    made["examples"] = examples = AlignmentExamples.open(publish("examples", examples_of(inputs)))
    job = alignment(Inputs(corpus, vectors, tokens, base, examples), ALIGN, SEED)
    made["model"] = Recommender.open(publish("model", trained(job)))
    if len(corpus.split("valid").users):
        publish("blend", blend_of(run))
    kinds = sorted(folder.name for folder in run.path.iterdir() if folder.name != "corpus")
    return corpus, {kind: Manifest.read(run.artifact(kind)).fingerprint for kind in kinds}


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, dict[str, str]]:
    return fitted(tmp_path_factory.mktemp("as_it_is"), synthetic)


def test_permuting_test_targets_changes_nothing_that_is_fitted_or_chosen(
    as_it_is: tuple[Corpus, dict[str, str]], tmp_path: Path
) -> None:
    corpus, found = as_it_is
    other, found_there = fitted(tmp_path, permuted(corpus, 1))
    asked, asked_there = (one.split("test") for one in (corpus, other))
    assert np.mean(asked.targets != asked_there.targets) > 0.5
    assert sorted(asked.targets.tolist()) == sorted(asked_there.targets.tolist())
    assert list(found) == ["base", "behaviour", "blend", "examples", "model", "tokens", "vectors"]
    assert found_there == found


def test_permuting_validation_targets_changes_what_is_fitted_on_them(
    as_it_is: tuple[Corpus, dict[str, str]], tmp_path: Path
) -> None:
    """The comparison above can tell: other targets do change fingerprints where they are looked at."""
    corpus, found = as_it_is
    found_there = fitted(tmp_path, permuted(corpus, 2))[1]
    changed = {kind for kind in found if found_there[kind] != found[kind]}
    assert "blend" in changed
    assert not changed & {"base", "examples"}


def test_a_refit_trains_on_what_validates_and_on_no_test_target(
    as_it_is: tuple[Corpus, dict[str, str]], tmp_path: Path
) -> None:
    corpus, found = as_it_is
    refit, found_refitted = fitted(tmp_path / "refit", partial(synthetic, settings=REFIT))
    known, there = corpus.split("test"), refit.split("test")
    assert there.targets.tolist() == known.targets.tolist()
    assert [*map(list, there.histories)] == [*map(list, known.histories)]
    assert not len(refit.split("valid").users)
    assert [*map(list, refit.training().take(there.users))] == [*map(list, there.histories)]
    assert found_refitted["behaviour"] != found["behaviour"]
    other, found_there = fitted(tmp_path / "other", permuted(refit, 1))
    assert np.mean(other.split("test").targets != there.targets) > 0.5
    assert found_there == found_refitted


def test_only_what_measures_opens_the_test_split() -> None:
    folders = ("semconv", "pipelines", "serve", "benchmarks")
    files = [file for folder in folders for file in (REPOSITORY / folder).rglob("*.py")]
    opening = {file.relative_to(REPOSITORY).as_posix() for file in files if 'split("test")' in file.read_text()}
    assert "pipelines/evaluate.py" in opening
    assert opening <= OPENS_TEST
