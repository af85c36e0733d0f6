"""A whole run of tiny artifacts, written by the real writers, its models with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from semconv.artifacts import Artifact, Corpus, ItemTokens, ItemVectors, Recommender, Run, finish, staging
from semconv.artifacts.blend import FILE
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.behaviour.encoders import Fitted
from semconv.behaviour.item_to_item import ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.sasrec import Sasrec
from semconv.behaviour.store import Behaviour
from semconv.behaviour.tuning import tune
from semconv.config import BaseSettings, ConvergeSettings, SasrecSettings
from semconv.llm.compact import CompactModel, CompactShape
from semconv.llm.small import small_model, train_tokenizer
from semconv.llm.vocabulary import add_code_tokens
from semconv.recommend.blend_fitting import Lesson
from semconv.recommend.convergence import converge
from semconv.recommend.evidence import gather
from semconv.recommend.load import Opened

N_ITEMS, USERS, LEVELS, CODES = 40, 12, 3, 4


def publish(
    run: Run, kind: str, write: Callable[[Path], None], inputs: Mapping[str, Any], settings: Any = None
) -> None:
    with staging(run.artifact(kind)) as folder:
        write(folder)
        finish(folder, kind, settings=settings or {}, inputs=inputs, counts={}, request="r", seconds=0.0)


def make_corpus(run: Run, seed: int) -> Corpus:
    rng = np.random.default_rng(seed)

    def write(folder: Path) -> None:
        (folder / "items").mkdir()
        (folder / "sequences").mkdir()
        items = [{"item_id": f"i{item}", "title": f"thing {item}"} for item in range(N_ITEMS)]
        pq.write_table(pa.Table.from_pylist(items, schema=ITEMS), folder / "items" / "part-0.parquet")
        rows = []
        for user in range(USERS):
            bought = rng.integers(0, N_ITEMS, rng.integers(3, 9)).tolist()
            ends = {"train_end": len(bought) - 2, "valid_end": len(bought) - 1}
            rows.append({"user_id": f"u{user}", "items": bought, "times": None, **ends})
        pq.write_table(pa.Table.from_pylist(rows, schema=SEQUENCES), folder / "sequences" / "part-0.parquet")

    publish(run, "corpus", write, {})
    return Corpus.open(run.artifact("corpus"))


def make_vectors(run: Run, corpus: Corpus, seed: int) -> ItemVectors:
    generator = torch.Generator().manual_seed(seed)
    known = torch.rand(N_ITEMS, generator=generator) < 0.9
    text = torch.randn(N_ITEMS, 6, generator=generator) * known[:, None]
    behaviour = torch.randn(N_ITEMS, 5, generator=generator)
    everything = torch.ones(N_ITEMS, dtype=torch.bool)

    def write(folder: Path) -> None:
        ItemVectors.write(folder, text=text, behaviour=behaviour, has_text=known, has_behaviour=everything)

    publish(run, "vectors", write, {"corpus": corpus})
    return ItemVectors.open(run.artifact("vectors"))


def make_behaviour(run: Run, corpus: Corpus) -> Behaviour:
    settings = SasrecSettings(width=8, layers=1, heads=1, max_history=6)
    torch.manual_seed(3)

    def write(folder: Path) -> None:
        Behaviour.write(
            folder,
            counts_N=training_counts(corpus.training(), N_ITEMS),
            item_to_item=ItemToItem.fit(corpus.training(), N_ITEMS),
            tuned=tune(corpus.training(), N_ITEMS, corpus.split("valid"), users=USERS, seed=0),
            encoders=[Fitted(Sasrec(N_ITEMS, settings), settings, curve=[])],
        )

    publish(run, "behaviour", write, {"corpus": corpus})
    return Behaviour.open(run.artifact("behaviour"))


def make_tokens(run: Run, corpus: Corpus, vectors: ItemVectors, seed: int) -> ItemTokens:
    codes = np.random.default_rng(seed).integers(0, CODES, (N_ITEMS, LEVELS)).astype(np.int32)

    def write(folder: Path) -> None:
        columns = {f"code_{level}": codes[:, level] for level in range(LEVELS)}
        pq.write_table(pa.table({"item_id": corpus.item_ids, **columns}), folder / "codes.parquet")
        save_file({"codebooks": torch.zeros(LEVELS, CODES, 2)}, folder / "quantizer.safetensors")

    settings = {"tokenize": {"levels": LEVELS, "codes": CODES}}
    publish(run, "tokens", write, {"corpus": corpus, "vectors": vectors}, settings)
    return ItemTokens.open(run.artifact("tokens"))


def language_model() -> tuple[Any, Any]:
    tokenizer = train_tokenizer(["thing one", "thing two"], 300)
    return small_model(BaseSettings(width=16, layers=1, heads=2, feed_forward=24, context=128), tokenizer, 5), tokenizer


def make_compact(run: Run, inputs: Mapping[str, Artifact]) -> Recommender:
    model, tokenizer = language_model()
    shape = CompactShape(LEVELS, CODES, text_width=6, behaviour_width=5, depth_width=256, max_history=6, item_head=True)
    publish(run, "model", CompactModel(model.model, tokenizer, shape).save, inputs)
    return Recommender.open(run.artifact("model"))


def make_tokens_model(run: Run, inputs: Mapping[str, Artifact]) -> Recommender:
    model, tokenizer = language_model()
    add_code_tokens(tokenizer, model, LEVELS, CODES)

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        described = {"spelling": "tokens", "levels": LEVELS, "codes": CODES, "max_history": 6}
        (folder / "semconv.json").write_text(json.dumps(described))

    publish(run, "model", write, inputs)
    return Recommender.open(run.artifact("model"))


def make_blend(run: Run) -> None:
    opened, split = Opened(run), Corpus.open(run.artifact("corpus")).split("valid")
    histories = list(split.histories)
    lesson = Lesson(gather(opened.sources(beams=20), histories, 10), split.targets, histories)
    found = converge(lesson, ConvergeSettings(hidden=4, epochs=1), seed=0)

    def write(folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(found))

    publish(run, "blend", write, {"model": opened.recommender})


def make_run(root: Path, seed: int = 0, spelling: str = "compact") -> Run:
    run = Run(str(root), f"{spelling}{seed}")
    corpus = make_corpus(run, seed)
    vectors = make_vectors(run, corpus, seed)
    make_behaviour(run, corpus)
    tokens = make_tokens(run, corpus, vectors, seed)
    make_model = make_compact if spelling == "compact" else make_tokens_model
    make_model(run, {"corpus": corpus, "vectors": vectors, "tokens": tokens})
    make_blend(run)
    return run
