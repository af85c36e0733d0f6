"""The base model: a small language model pretrained on the catalogue's text, or a pretrained one taken over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from semconv.alignment.batches import Batches
from semconv.artifacts import Corpus
from semconv.artifacts.ragged import Ragged
from semconv.config import BaseSettings
from semconv.errors import InputError
from semconv.llm.load import load_causal, load_tokenizer
from semconv.llm.packed_causal import PackedCausal, TokenExample, pack_texts
from semconv.llm.small import small_model, train_tokenizer
from semconv.llm.vocabulary import PlainText
from semconv.tokens.text_encoder import item_texts
from semconv.training.job import EngineChoice, Job
from semconv.training.loop import Plan, Trained
from semconv.training.plain import put_weights

CURVES = "curves.json"


def take_over(source: str, folder: Path) -> int:
    """Write the pretrained causal LM ``source`` (hub id or folder) and its tokenizer into ``folder``.

    Returns its number of parameters. Raises `ArtifactError` when it cannot be read, or not without running its code.
    """
    tokenizer = load_tokenizer(source)
    model = load_causal(source, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(sum(p.numel() for p in model.parameters()))


class TextExamples:
    """The text of every item that has any, an end token after each; long ones end where the model's context ends."""

    def __init__(self, texts: list[str], tokenizer: Any, context: int) -> None:
        plain = PlainText(tokenizer)
        rows = [np.append(plain(text, context - 1), tokenizer.eos_token_id) for text in texts if text]
        self._rows = Ragged.of(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def mean_length(self) -> float:
        """Tokens an example, on average."""
        return float(self._rows.lengths.mean())

    def example(self, epoch: int, number: int) -> TokenExample:  # noqa: ARG002  # `Examples` passes the epoch
        """Example ``number``, the same in every epoch."""
        ids = self._rows[number].astype(np.int64)
        return TokenExample(ids, np.ones(len(ids), np.bool_))

    def size(self, epoch: int, number: int) -> tuple[int, int]:  # noqa: ARG002  # `Examples` passes the epoch
        """See `Examples`."""
        length = int(self._rows.lengths[number])
        return length, length - 1


def pretraining(corpus: Corpus, settings: BaseSettings, seed: int) -> Job:
    """The job that makes the small language model. Raises `InputError` for a catalogue without text."""
    texts = item_texts(corpus.items)
    if not any(texts):
        raise InputError(
            f"No item of {corpus.path} has any text to pretrain a language model on",
            "Give items titles, or give base.model a pretrained one",
        )
    tokenizer = train_tokenizer(texts, settings.vocab_size)
    examples = TextExamples(texts, tokenizer, settings.context)
    batch_size = max(1, round(settings.batch_tokens / examples.mean_length))

    def build() -> PackedCausal:
        return PackedCausal(small_model(settings, tokenizer, seed))

    def export(trained: Trained, folder: Path) -> None:
        model = build()
        put_weights(model, trained.weights)
        model.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_curves(trained, folder)

    return Job(
        build=build,
        batches=lambda rank, world: Batches(
            examples,
            lambda chosen, scale: pack_texts(chosen, min(256, settings.context), scale),
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world=world,
        ),
        batch_size=batch_size,
        plan=lambda steps: Plan(
            epochs=settings.epochs, steps=steps, learning_rate=settings.learning_rate, warmup=0.05, seed=seed
        ),
        engine=EngineChoice(kind="plain", precision="float32", weight_decay=0.05),
        export=export,
    )


def write_curves(trained: Trained, folder: Path) -> None:
    """Write ``curves.json``: the points of `Trained`, an epoch each."""
    (folder / CURVES).write_text(json.dumps(trained.curves, indent=1) + "\n")
