"""Makes every example of an alignment by family and number, whoever asks and in whatever order."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from semconv.alignment.mixture import SEQUENTIAL, epoch_counts
from semconv.alignment.negative import CANDIDATES
from semconv.alignment.prompts import item_tokens
from semconv.alignment.registry import tasks_of, weights_of
from semconv.alignment.room import read_at_once
from semconv.alignment.sequences import windows
from semconv.alignment.shop import Shop
from semconv.alignment.spelling import CompactSpelling, Spelling, TokenSpelling
from semconv.alignment.task import Task
from semconv.alignment.templates import read_templates
from semconv.artifacts import BaseModel, Corpus, ItemTokens, ItemVectors
from semconv.artifacts.examples import ExampleRow
from semconv.artifacts.ragged import Int64
from semconv.config import AlignSettings
from semconv.errors import InputError, SettingError
from semconv.llm.load import load_tokenizer
from semconv.llm.vocabulary import PlainText, code_ids, name_codes

EPOCHS = 8
"""A family beside the sequential one holds what so many epochs take; later ones go through it again."""


@dataclass(frozen=True)
class Asked:
    """A task and what its examples are about, int64."""

    task: Task
    subjects: Int64


class Builder:
    """The `Pools` of an alignment; an example is a pure function of seed, family and number."""

    def __init__(self, shop: Shop, spelling: Spelling, weights: dict[str, float], seed: int) -> None:
        """``weights``: examples of each family an epoch, for every training sequence; see `weights_of`."""
        self.shop, self.spelling, self._weights, self._seed = shop, spelling, weights, seed
        self._windows = windows(shop.training, shop.max_history + 1)

    @cached_property
    def asked(self) -> dict[str, list[Asked]]:
        """The tasks of every family with a weight that have something to be about, by family."""
        found = {}
        for family, weight in self._weights.items():
            tasks = tasks_of(family, self.spelling.name) if weight else []
            asked = [Asked(task, subjects) for task in tasks if len(subjects := task.subjects(self.shop))]
            if asked:
                found[family] = asked
        return found

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Rows of every family that has any; all windows where the sequential family has a weight."""
        sequences = len(self._windows)
        sizes = {SEQUENTIAL: sequences if self._weights[SEQUENTIAL] else 0}
        sizes |= {family: math.ceil(self._weights[family] * sequences * EPOCHS) for family in self.asked}
        return {family: size for family, size in sizes.items() if size}

    @property
    def sequences(self) -> int:
        """Training sequences, cut to what the model sees at once."""
        return len(self._windows)

    def row(self, family: str, number: int) -> ExampleRow:
        """See `Pools`. Tasks take turns; each goes through all that it can be about before any comes again."""
        if family == SEQUENTIAL:
            return self.spelling.sequence(*self._windows[number])
        asked = self.asked[family]
        chosen = asked[number % len(asked)]
        random = np.random.default_rng((self._seed, zlib.crc32(family.encode()), number))
        subject = chosen.subjects[strided(number // len(asked), len(chosen.subjects), self._seed)]
        return self.spelling.example(chosen.task, chosen.task.parts(self.shop, int(subject), random), random)


def open_builder(
    corpus: Corpus, vectors: ItemVectors, tokens: ItemTokens, base: BaseModel, settings: AlignSettings, seed: int
) -> Builder:
    """The builder of a run. No weight is loaded.

    Raises `InputError` where no training sequence has two items, `ArtifactError` for tokens of another corpus or a
    vocabulary that holds code tokens, `SettingError` for templates that do not fit their task or the model's context,
    for histories that do not (see `read_at_once`), and where the chosen families have nothing to learn.
    """
    if not (corpus.ends[0] > 1).any():
        raise InputError(
            f"No user of {corpus.path} has two training interactions, so there is no sequence to learn",
            "Lower corpus.k_core or give more interactions",
        )
    tokenizer = load_tokenizer(base.path)
    spoken = settings.spelling == "tokens"
    if spoken:
        name_codes(tokenizer, tokens.levels, tokens.codes_per_level)
    context = read_at_once(base.path, settings, tokenizer, tokens.levels)
    plain = PlainText(tokenizer)
    shop = Shop(corpus, vectors, tokens, plain, max_history=settings.max_history, context=context, seed=seed)
    weights = weights_of(settings)
    if not spoken:
        return _with_examples(Builder(shop, CompactSpelling(context), weights, seed), weights)
    tokens_NL = item_tokens(code_ids(tokenizer, tokens.levels, tokens.codes_per_level), tokens.codes)
    spelling = TokenSpelling(tokenizer, tokens_NL, read_templates(settings.tasks.templates), context)
    for family, weight in weights.items():
        for task in tasks_of(family, spelling.name) if weight else []:
            spelling.require_room(task, shop.facts.limits, max(CANDIDATES))
    return _with_examples(Builder(shop, spelling, weights, seed), weights)


def _with_examples(builder: Builder, weights: dict[str, float]) -> Builder:
    if not epoch_counts(builder.sizes, weights, builder.sequences):
        given = ", ".join(f"{family} {weight}" for family, weight in weights.items() if weight)
        raise SettingError(
            f"With align.tasks {given} there is no example that the {builder.spelling.name} spelling could learn from "
            f"{builder.sequences} sequences and this catalogue",
            "Give align.tasks.sequential or another of its families a larger weight",
        )
    return builder


def strided(number: int, size: int, seed: int) -> int:
    """Where ``number`` goes in [0, size): all places in turn, far apart, by an affine permutation of each round."""
    turn, place = divmod(number, size)
    step = max(1, round(size * 0.6180339887))
    while math.gcd(step, size) > 1:
        step += 1
    return (place * step + seed + 7919 * turn) % size
