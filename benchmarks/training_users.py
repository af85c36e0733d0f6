"""Whose sequences the training benchmark learns: as long as Beauty's, in the project's own words and batches.

N items, L levels, T tokens.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.decode_models import CODES, LEVELS, synthetic_codes
from semconv.alignment.batches import Batches
from semconv.alignment.mixture import SEQUENTIAL, Mixture, Pools
from semconv.alignment.prompts import history_opening, item_tokens
from semconv.alignment.sequences import Windows, windows
from semconv.alignment.spelling import TokenSpelling, token_example, token_size
from semconv.alignment.templates import read_templates
from semconv.artifacts import AlignmentExamples, finish
from semconv.artifacts.examples import SHARD, ExampleRow, write_description, write_shard
from semconv.artifacts.ragged import Int64, Ragged
from semconv.llm.packed_causal import TokenExample, pack_texts
from semconv.llm.small import train_tokenizer
from semconv.training.align import TOKEN_ROW

BEAUTY = Path(__file__).parents[2] / "shared" / "data" / "beauty" / "interactions.csv.gz"
ITEMS, MAX_HISTORY = 12_101, 50
FEWEST, LONGEST, HELD_OUT = 5, 204, 2
SEED = 17


def interactions(users: int, source: Path | None) -> Int64:
    """How many interactions each of ``users`` has, int64: drawn from those in ``source``, or like Beauty's.

    Beauty's 22,363 users have at least 5, 8.9 on average; 6, 14 and 43 at the 50th, 90th and 99th percentile. Five and
    a Lomax draw (shape 2, scale 4.4), cut at the longest there, has 6, 14 and 44, and 8.8 on average.
    """
    rng = np.random.default_rng(SEED)
    if source is None:
        return np.minimum(FEWEST + (4.4 * rng.pareto(2.0, users)).astype(np.int64), LONGEST)
    with gzip.open(source, "rt") as stream:
        counts = list(Counter(row["user_id"] for row in csv.DictReader(stream)).values())
    return rng.choice(np.asarray(counts, np.int64), users)


def training_sequences(users: int, source: Path | None) -> Ragged:
    """Random items, as many for each user as remain to train on when the last two are held out."""
    rng = np.random.default_rng((SEED, users))
    return Ragged.of([rng.integers(0, ITEMS, count - HELD_OUT) for count in interactions(users, source)])


class Sequences:
    """The sequential family over training sequences, a `Pools`, spelt in tokens for a vocabulary ending in codes."""

    def __init__(self, training: Ragged, vocabulary: int) -> None:
        tokenizer = train_tokenizer([history_opening()] * 2, 300)
        ids_LC = np.arange(vocabulary - LEVELS * CODES, vocabulary).reshape(LEVELS, CODES)
        tokens_NL = item_tokens(ids_LC, synthetic_codes(ITEMS))
        self.spelling = TokenSpelling(tokenizer, tokens_NL, read_templates(), context=4096)
        self.windows: Windows = windows(training, MAX_HISTORY + 1)

    @property
    def sizes(self) -> dict[str, int]:
        """See `Pools`."""
        return {SEQUENTIAL: len(self.windows)}

    def row(self, family: str, number: int) -> ExampleRow:  # noqa: ARG002  # there is one family
        """See `Pools`."""
        return self.spelling.sequence(*self.windows[number])

    def write(self, folder: Path) -> AlignmentExamples:
        """The same as a finished artifact."""
        folder.mkdir(parents=True)
        count = len(self.windows)
        for shard, start in enumerate(range(0, count, SHARD)):
            rows = [self.row(SEQUENTIAL, number) for number in range(start, min(start + SHARD, count))]
            write_shard(folder, SEQUENTIAL, shard, rows)
        write_description(folder, self.sizes, spelling="tokens", max_history=MAX_HISTORY)
        finish(folder, "examples", settings={}, inputs={}, counts={}, request="benchmark", seconds=0)
        return AlignmentExamples.open(folder)


def batches_of(pools: Pools, batch_size: int, *, share: bool = True) -> Batches[TokenExample]:
    """Batches as an alignment in tokens has them, on one rank; without ``share`` every text has its own opening."""
    pack: Callable[..., object] = partial(_packed, share=share)
    mixture = Mixture(pools, dict(pools.sizes), SEED, token_example, token_size)
    return Batches(mixture, pack, batch_size=batch_size, seed=SEED)


def _packed(examples: list[TokenExample], scale: float, share: bool) -> object:
    return pack_texts(examples, TOKEN_ROW, scale, share=share)
