"""The quality report of any code index: its figures beside those of others, and what a person wants to look at.

Legend: N items, L levels, C codes per level, S items of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from semconv.artifacts import Corpus
from semconv.artifacts.ragged import Int32
from semconv.tokens.categories import kinds, purity
from semconv.tokens.index import CodeIndex
from semconv.tokens.map import Float64, ItemMap, Method, mapped_items
from semconv.tokens.neighbours import Neighbours, Preservation, preservation
from semconv.tokens.prefixes import Int64
from semconv.tokens.quality import code_figures, prefix_errors
from semconv.tokens.transitions import Predictability, Transitions, predictability

ASKED = 4000
"""Items whose neighbourhoods are looked at, at most."""
EXAMPLES, EXAMPLE_ITEMS = 6, 8
PREDICTED = (1, 2)
"""Lengths of the prefixes that are predicted."""


@dataclass(frozen=True)
class Space:
    """Vectors float32 (N, D), and which items have one, bool (N)."""

    vectors: torch.Tensor
    has: torch.Tensor


@dataclass(frozen=True)
class Yardstick:
    """What indexes of one catalogue are held against; made once for any number of them.

    ``neighbours`` by space; ``kinds`` int64 (N), see `kinds`.
    """

    spaces: Mapping[str, Space]
    neighbours: Mapping[str, Neighbours]
    kinds: Int64
    transitions: Transitions
    titles: list[str]
    map: ItemMap
    seed: int

    @classmethod
    def of(
        cls, corpus: Corpus, spaces: Mapping[str, Space], *, seed: int, sample: int = ASKED, method: Method = "tsne"
    ) -> Yardstick:
        """``spaces`` by name, at least one; the map shows the last."""
        map_space = list(spaces)[-1]
        shown = spaces[map_space]
        mapped = mapped_items(shown.has, seed)
        vectors_SD = shown.vectors[torch.from_numpy(mapped)]
        titles, ids = corpus.items["title"].to_pylist(), corpus.item_ids
        return cls(
            spaces,
            {name: Neighbours.find(space.vectors, space.has, sample, seed) for name, space in spaces.items()},
            kinds(corpus.items["categories"].to_pylist()),
            Transitions.of(corpus),
            [title or f"(no title) {item_id}" for title, item_id in zip(titles, ids, strict=True)],
            ItemMap.of(mapped, vectors_SD, space=map_space, seed=seed, method=method),
            seed,
        )


@dataclass(frozen=True)
class PrefixExample:
    """Items that share their first code: how many there are, and some of them, as (code tuple, title)."""

    code: int
    size: int
    items: tuple[tuple[tuple[int, ...], str], ...]


@dataclass(frozen=True)
class IndexReport:
    """One index: ``figures`` for programs, and what is drawn.

    ``counts``: items by code, int64 (L, C); ``places`` float64 (S, 2) of the mapped items, ``first_codes`` (S).
    """

    name: str
    figures: dict[str, Any]
    counts: Int64
    places: Float64
    first_codes: Int32
    map_caption: str
    examples: list[PrefixExample]


def index_report(index: CodeIndex, yardstick: Yardstick, quantizer: Mapping[str, Any] | None = None) -> IndexReport:
    """The report of an index; ``quantizer`` is the report stored with codes whose quantizer is known.

    ``figures`` holds `code_figures`; ``prefix_error.<space>``, see `prefix_errors`; ``neighbours.<space>``, see
    `Preservation`; ``purity``, by prefixes of 0 .. L codes; ``next_prefix.<length>``, see `Predictability`;
    ``quantizer``: reconstruction errors of the index's own quantizer. What cannot be had is null.
    """
    codes_NL = index.codes
    predicted = {length: predictability(codes_NL, yardstick.transitions, length) for length in PREDICTED}
    kept = {name: preservation(codes_NL, nearest) for name, nearest in yardstick.neighbours.items()}
    pure = purity(codes_NL, yardstick.kinds)
    figures = {
        **code_figures(torch.from_numpy(codes_NL).long(), index.codes_per_level),
        "prefix_error": {
            name: prefix_errors(space.vectors[space.has], codes_NL[space.has.numpy()])
            for name, space in yardstick.spaces.items()
            if space.has.any()
        },
        "neighbours": {name: _plain(found) for name, found in kept.items()},
        "purity": None if pure is None else [asdict(found) for found in pure],
        "next_prefix": {str(length): _plain(found) for length, found in predicted.items()},
        "quantizer": None
        if quantizer is None
        else {key: quantizer[key] for key in ("error", "error_before", "error_by_level")},
    }
    counts = np.stack([np.bincount(codes_N, minlength=index.codes_per_level) for codes_N in codes_NL.T])
    return IndexReport(
        index.name,
        figures,
        counts.astype(np.int64),
        yardstick.map.places,
        codes_NL[yardstick.map.items, 0],
        yardstick.map.caption,
        _examples(codes_NL, yardstick),
    )


def _examples(codes_NL: Int32, yardstick: Yardstick) -> list[PrefixExample]:
    """First codes drawn at random among those with items enough, their items in order of tuples."""
    sizes = np.bincount(codes_NL[:, 0])
    enough = np.flatnonzero(sizes >= min(EXAMPLE_ITEMS, int(sizes.max())))
    drawn = np.sort(np.random.default_rng(yardstick.seed).permutation(enough)[:EXAMPLES])
    found = []
    for code in drawn.tolist():
        items = np.flatnonzero(codes_NL[:, 0] == code)
        ordered = items[np.lexsort(codes_NL[items].T[::-1])][:EXAMPLE_ITEMS].tolist()
        shown = tuple((tuple(codes_NL[item].tolist()), yardstick.titles[item]) for item in ordered)
        found.append(PrefixExample(code, len(items), shown))
    return found


def _plain(found: Predictability | Preservation | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)
