"""How well an item's prefix predicts the prefix of the item that follows it.

A table of counts is fitted on consecutive items of the training sequences and asked about the step from each user's
last training item to the validation item. It is smoothed after Witten & Bell (1991): the more different successors a
prefix had, the more is left to what its shorter prefix says, and in the end to how common a successor is. Nothing is
tuned.

The entropy of a prefix alone says little, for an index with all items in one code has none. So it comes with what it
has to be read against: the gain over guessing without the current item, which is zero for such an index, and the bits
that name the next *item* when all items of a prefix are equally likely, which are log2 N for it.

Both are what smoothed counts of finite data can show, not the mutual information, which no lumping raises: fewer,
larger codes are easier to predict, and where counts are thin lumping raises the gain. Compare indexes whose first
levels have about the same perplexity.

Legend: N items, M training transitions, T validation transitions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semconv.artifacts import Corpus
from semconv.artifacts.ragged import Int32
from semconv.tokens.prefixes import Int64, prefix_ids

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Transitions:
    """Steps from item to next item, those counted, int64 (M, 2), and those predicted, int64 (T, 2)."""

    training: Int64
    validation: Int64

    @classmethod
    def of(cls, corpus: Corpus) -> Transitions:
        """Consecutive training items, and last training item to validation item; nothing that tests."""
        training, split = corpus.training(), corpus.split("valid")
        user_of = np.repeat(np.arange(len(training)), training.lengths)
        steps = np.stack([training.values[:-1], training.values[1:]], axis=1)[user_of[:-1] == user_of[1:]]
        asked = split.histories.lengths > 0
        last = split.histories.values[split.histories.offsets[1:][asked] - 1]
        return cls(steps.astype(np.int64), np.stack([last, split.targets[asked]], axis=1).astype(np.int64))


@dataclass(frozen=True)
class Predictability:
    """Bits a validation step, cross entropies: of the next prefix, given the current one and not, and of the item.

    ``information``: what the current prefix tells of the next, entropy saved; below zero where the counts mislead.
    ``normalised``: that over the entropy without it, zero where there is none to save. ``item_bits``: entropy given
    the current prefix plus the logarithm of the number of items under the next one.
    """

    entropy: float
    marginal_entropy: float
    information: float
    normalised: float
    item_bits: float


def predictability(codes_NL: Int32, transitions: Transitions, length: int) -> Predictability | None:
    """Predictability of the prefix of ``length`` codes; None where there is no transition to ask about."""
    if not len(transitions.validation):
        return None
    ids_N = prefix_ids(codes_NL, length)
    prefixes = int(ids_N.max()) + 1
    next_T = ids_N[transitions.validation[:, 1]]
    chances_T = np.full(len(next_T), 1.0 / prefixes)
    marginal = 0.0
    for shorter in range(length + 1):
        given_N = prefix_ids(codes_NL, shorter)
        training = np.stack([given_N[transitions.training[:, 0]], ids_N[transitions.training[:, 1]]], axis=1)
        chances_T = _witten_bell(training, given_N[transitions.validation[:, 0]], next_T, chances_T)
        if shorter == 0:
            marginal = float(-np.log2(chances_T).mean())
    entropy = float(-np.log2(chances_T).mean())
    item_bits = entropy + float(np.log2(np.bincount(ids_N)[next_T]).mean())
    saved = marginal - entropy
    return Predictability(entropy, marginal, saved, saved / marginal if marginal > 0 else 0.0, item_bits)


def _witten_bell(counted_M2: Int64, given_T: Int64, next_T: Int64, else_T: Float64) -> Float64:
    """Chance of ``next_T`` after ``given_T`` by the counted pairs, mixed with the chance ``else_T`` known before."""
    size = int(next_T.max(initial=counted_M2[:, 1].max(initial=0))) + 1
    pairs, counts = np.unique(counted_M2[:, 0] * size + counted_M2[:, 1], return_counts=True)
    most = max(int(given_T.max(initial=0)), int(counted_M2[:, 0].max(initial=0))) + 1
    seen_T = np.bincount(counted_M2[:, 0], minlength=most)[given_T]
    kinds_T = np.bincount(pairs // size, minlength=most)[given_T]
    keys_T = given_T * size + next_T
    places_T = np.searchsorted(pairs, keys_T)
    found_T = np.append(pairs, -1)[places_T] == keys_T
    counted_T = np.where(found_T, np.append(counts, 0)[places_T], 0)
    mixed_T: Float64 = np.where(seen_T > 0, (counted_T + kinds_T * else_T) / np.maximum(seen_T + kinds_T, 1), else_T)
    return mixed_T
