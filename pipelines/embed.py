"""Embed: item text through a sentence encoder (Ray Data), and the collaborative models (Ray Train).

python -m pipelines.embed --config configs/beauty.yaml
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray
import torch

from pipelines.actors import Pool
from pipelines.cluster import Claims, sharing_cores
from pipelines.room import Room
from pipelines.stage import Stage, Work, local_files, run_stages
from pipelines.train import fit
from semconv.artifacts import Corpus, ItemVectors, Ragged, Split
from semconv.artifacts.handover import collect, handing_over
from semconv.behaviour.encoders import ENCODERS, Fitted
from semconv.behaviour.item_to_item import FIXED_NAME, TUNED_NAME, ItemToItem
from semconv.behaviour.popularity import training_counts
from semconv.behaviour.store import load_encoder, read_description, write_counted, write_encoder, write_tuned
from semconv.behaviour.tuning import Tuned, tune, tuned_before
from semconv.behaviour.vectors import joined
from semconv.cli import main
from semconv.config import Settings
from semconv.progress import Report, Together
from semconv.tokens.text_encoder import TextEncoder, by_length, item_texts


class Encode:
    """A Ray Data actor: batches of texts in, item indices and vectors out."""

    def __init__(self, model: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._encoder = TextEncoder(model, device="cuda" if torch.cuda.is_available() else "cpu")

    def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Columns ``item`` and ``text`` to ``item`` and ``vector``."""
        return {"item": batch["item"], "vector": self._encoder.encode(list(batch["text"])).numpy()}


@ray.remote
def encoder_width(model: str) -> int:
    """Dimension Dt of an encoder's vectors.

    Loading it in a task first also brings back the readable error of a model that cannot be loaded: Ray Data
    gives only the traceback of what is raised inside its actors.
    """
    return TextEncoder(model).width


def encode_texts(texts: list[str], settings: Settings, report: Report) -> torch.Tensor:
    """Unit vectors of all texts, float32 (N, Dt), a zero row for an empty one; encoded on the cluster.

    Texts travel shortest first with their index, so that batches hold little padding and may come back in any order.
    """
    report(0, len(texts), "loading the text encoder")
    chosen = settings.embed
    vectors = torch.zeros(len(texts), ray.get(encoder_width.remote(chosen.text_model)))
    order = by_length(texts)
    if not order:
        return vectors
    pool = Pool.of(Room.of(settings.ray, report), "embed.text_workers", chosen.text_workers)
    size = chosen.text_batch_size
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    encoded = ray.data.from_arrow([pa.table({"item": chunk, "text": [texts[i] for i in chunk]}) for chunk in chunks])
    encoded = encoded.map_batches(
        Encode,
        fn_constructor_args=(chosen.text_model, sharing_cores(settings, pool.workers).ray.threads),
        batch_size=size,
        **pool.arguments,
    )
    done = 0
    for batch in encoded.iter_batches(batch_size=None, batch_format="numpy"):
        vectors[torch.from_numpy(np.array(batch["item"]))] = torch.from_numpy(np.array(batch["vector"]))
        done += len(batch["item"])
        report(done, len(order), "text encoded")
    if done != len(order):
        raise RuntimeError(f"{len(order)} texts were sent to be encoded and {done} came back")
    return vectors


def fit_behaviour(config: dict[str, Any]) -> None:
    """One of the training workers: fit collaborative models on training interactions, write them into ``folder``.

    Each takes the next model that no other has taken, until none is left.
    """
    torch.set_num_threads(config["threads"])
    corpus = Corpus.open(config["corpus"])
    training, valid, n_items = corpus.training(), corpus.split("valid"), corpus.n_items
    seed, report = config["seed"], config["report"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in config["models"]:
        if not ray.get(config["claims"].take.remote(name)):
            continue
        with handing_over(Path(config["folder"])) as folder:
            if name in ENCODERS:
                kind = ENCODERS[name]
                settings = kind.settings(**config["encoders"][name])
                model, curve = kind.fit(training, n_items, valid, settings, seed=seed, report=report, device=device)
                write_encoder(folder, Fitted(model, settings, curve))
            elif name == TUNED_NAME:
                write_tuned(folder, _tuned(training, n_items, valid, config))
            else:
                counted = ItemToItem.fit(training, n_items)
                write_counted(folder, training_counts(training, n_items), counted)
        report(1.0, 1.0, f"{name} fitted")


def _tuned(training: Ragged, n_items: int, valid: Split, config: dict[str, Any]) -> Tuned:
    settings = config["counter"]
    if settings.chosen is not None:
        return tuned_before(training, n_items, settings.chosen)
    users, seed, report = settings.validation_users, config["seed"], config["report"]
    return tune(training, n_items, valid, users=users, seed=seed, report=report)


def build(work: Work) -> None:
    """Write the vectors and the behaviour models."""
    corpus = work.input(Corpus)
    settings = work.settings.embed
    texts = item_texts(corpus.items)
    text = encode_texts(texts, work.settings, work.line)
    folder = work.out("behaviour").absolute()
    counter = settings.item_to_item
    tuned = [TUNED_NAME] if counter.tune or counter.chosen is not None else []
    models = [*settings.encoders, *tuned, FIXED_NAME]
    config = {
        "corpus": str(corpus.path.absolute()),
        "models": models,
        "encoders": {name: chosen.model_dump(mode="json") for name, chosen in settings.encoders.items()},
        "counter": counter,
        "seed": work.settings.run.seed,
        "threads": sharing_cores(work.settings, settings.workers).ray.threads,
        "folder": str(folder),
        "claims": Claims.remote(),
    }
    fit(
        work,
        fit_behaviour,
        config,
        name="embed",
        report=Together(work.line, models),
        workers=settings.workers,
        gpu=work.room.gpus_for("embed.workers", settings.workers),
    )
    collect(folder)
    has_text = torch.tensor([bool(t) for t in texts], dtype=torch.bool)
    has_behaviour = training_counts(corpus.training(), corpus.n_items) > 0
    behaviour = joined([load_encoder(folder, name) for name in settings.behaviour], has_behaviour)
    ItemVectors.write(
        work.out("vectors"), text=text, behaviour=behaviour, has_text=has_text, has_behaviour=has_behaviour
    )
    known = {"items": corpus.n_items, "with_text": int(has_text.sum()), "with_behaviour": int(has_behaviour.sum())}
    work.count("vectors", **known)
    reached: dict[str, Any] = {name: read_description(folder, name)["kept"] for name in settings.encoders}
    work.count("behaviour", items=corpus.n_items, interactions=len(corpus.training().values))
    if tuned:
        told = read_description(folder, TUNED_NAME)
        work.count("behaviour", **{TUNED_NAME: told["settings"]})
        reached = {FIXED_NAME: told["fixed"], TUNED_NAME: told["kept"], **reached}
    work.count("behaviour", valid=reached)
    for name, point in reached.items():
        work.line.say(f"{name} {reached_words(point)}")
    work.line.say(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in known.items()))


def reached_words(point: dict[str, Any] | None) -> str:
    """What a model reached in validation, in words; ``point`` is an `Epoch` or a `Reached` as its JSON has it."""
    if point is None:
        return "not tuned, without validation users"
    if point["ndcg_at_10"] is None:
        return f"epoch {point['epoch']} kept, without validation users"
    words = f"recall@10 {point['recall_at_10']:.4f} ndcg@10 {point['ndcg_at_10']:.4f}, valid"
    return f"{words}, epoch {point['epoch']}" if "epoch" in point else words


STAGE = Stage(
    name="embed",
    makes=("vectors", "behaviour"),
    needs=(Corpus,),
    reads=("embed",),
    code=3,
    build=build,
    raw=lambda settings: local_files("text_model", settings.embed.text_model),
)


def run(settings: Settings) -> None:
    """Run this stage alone."""
    run_stages(settings, (STAGE,))


if __name__ == "__main__":
    main(run, "pipelines.embed")
