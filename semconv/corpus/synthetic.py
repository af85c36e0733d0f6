"""The built-in shop: a catalogue and purchases with a structure worth learning, and the dirt of real logs.

Items belong to categories, and inside a category to product lines, each an ordered routine (cleanser, toner, serum,
...). What a person buys next is, by `NEXT_STEP`, the next step of the line; by `TASTE`, something popular in one of
the person's two categories; else something popular anywhere. The line's name and brand and the step's noun stand in
the title, so text tells what follows what.

Everything is drawn in chunks of `USERS_PER_CHUNK` users, each from its own random stream: any size fits in memory,
chunks can be drawn apart, and the first users of a larger shop with the same items are those of a smaller one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from semconv.artifacts.ragged import Int32, Int64
from semconv.config import SyntheticSettings
from semconv.corpus.words import category_words, describe, title_of

NEXT_STEP = 0.6
TASTE = 0.25
STEPS_PER_LINE = 6
USERS_PER_CHUNK = 2**14
POPULARITY_EXPONENT = 0.7
FIRST_SECOND = 1_577_836_800  # 2020-01-01
STARTS_WITHIN_S = 300 * 86_400
MEAN_GAP_S = 3 * 86_400
LENGTH_SHAPE = 3.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Catalogue:
    """Latent structure of N items. ``category`` int32, ``line`` int32, ``step`` int32 (N); ``successor`` int32 (N).

    ``by_category`` lists items grouped by category; ``weights_to`` (N) is the running sum of their popularity in that
    order, ``bounds`` (categories + 1) where each category begins; ``cold`` bool (N) marks items nobody buys.
    """

    category: Int32
    line: Int32
    step: Int32
    successor: Int32
    cold: npt.NDArray[np.bool_]
    by_category: Int32
    weights_to: Floats
    bounds: Int64

    def draw(self, categories: Int32, uniform: Floats) -> Int32:
        """An item of each given category, by popularity; ``uniform`` holds random numbers in [0, 1)."""
        start = np.concatenate([[0.0], self.weights_to])[self.bounds]
        low, high = start[categories], start[categories + 1]
        place = np.searchsorted(self.weights_to, low + uniform * (high - low), side="right")
        return np.asarray(self.by_category[np.minimum(place, self.bounds[categories + 1] - 1)])

    def draw_any(self, uniform: Floats) -> Int32:
        """Items by popularity over the whole catalogue."""
        place = np.searchsorted(self.weights_to, uniform * self.weights_to[-1], side="right")
        return np.asarray(self.by_category[np.minimum(place, len(self.by_category) - 1)])


@lru_cache(maxsize=2)
def draw_catalogue(settings: SyntheticSettings, seed: int) -> Catalogue:
    """The latent structure of a shop's catalogue."""
    rng = np.random.default_rng([seed, 0])
    n = settings.items
    categories = min(settings.categories, n)
    place = np.arange(n)
    category_at = (place * categories) // n
    first_of_category = np.searchsorted(category_at, np.arange(categories + 1))
    within = place - first_of_category[category_at]
    step_at = within % STEPS_PER_LINE
    line_at = np.cumsum(step_at == 0) - 1
    # Places are laid out by category, line and step; an item's number says nothing about its place.
    item_at = rng.permutation(n).astype(np.int32)
    later_steps = np.flatnonzero(step_at > 0)
    cold_at = np.zeros(n, bool)
    cold_count = min(round(settings.cold_items * n), len(later_steps))
    cold_at[rng.choice(later_steps, size=cold_count, replace=False)] = True
    weight_at = np.where(cold_at, 0.0, _popularity(rng, category_at, first_of_category))
    following = _next_warm(place, cold_at, category_at, first_of_category)
    category, line, step, successor = (np.empty(n, np.int32) for _ in range(4))
    cold = np.empty(n, bool)
    category[item_at], line[item_at], step[item_at] = category_at, line_at, step_at
    successor[item_at], cold[item_at] = item_at[following], cold_at
    return Catalogue(category, line, step, successor, cold, item_at, np.cumsum(weight_at), first_of_category)


def _popularity(rng: np.random.Generator, category_at: Int64, first: Int64) -> Floats:
    """Zipf weights, by a random rank inside each category; categories differ in size of trade."""
    trade = rng.lognormal(0.0, 0.5, len(first) - 1)
    ranks = np.concatenate([rng.permutation(size) for size in np.diff(first)])
    return np.asarray((ranks + 1.0) ** -POPULARITY_EXPONENT * trade[category_at])


def _next_warm(place: Int64, cold_at: npt.NDArray[np.bool_], category_at: Int64, first: Int64) -> Int64:
    """The next place that sells in the same category, the category's first place after its last."""
    warm = np.flatnonzero(~cold_at)
    after = np.searchsorted(warm, place, side="right")
    following = warm[np.minimum(after, len(warm) - 1)]
    leaves = (after == len(warm)) | (category_at[following] != category_at)
    return np.where(leaves, first[category_at], following)


def chunks(settings: SyntheticSettings) -> int:
    """How many chunks the shop's purchases come in."""
    return -(-settings.users // USERS_PER_CHUNK)


@dataclass(frozen=True)
class Purchases:
    """Rows of one chunk, by time: user number, item number, second (int64) and rating (int8)."""

    users: Int64
    items: Int32
    seconds: Int64
    ratings: npt.NDArray[np.int8]


def draw_purchases(settings: SyntheticSettings, seed: int, chunk: int) -> Purchases:
    """The clean purchases of one chunk of users; a person's tied purchases stay in the order they were made."""
    shop = draw_catalogue(settings, seed)
    rng = np.random.default_rng([seed, 1, chunk])
    first_user = chunk * USERS_PER_CHUNK
    users = min(USERS_PER_CHUNK, settings.users - first_user)
    mean = max(settings.mean_events - 1.0, 0.0)
    lengths = 1 + rng.poisson(rng.gamma(LENGTH_SHAPE, mean / LENGTH_SHAPE, users))
    trade = np.diff(np.concatenate([[0.0], shop.weights_to])[shop.bounds])
    tastes = rng.choice(len(trade), size=(users, 2), p=trade / trade.sum()).astype(np.int32)
    # Users by falling length, so that those still buying at a step are a prefix.
    order = np.argsort(-lengths, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = np.empty(offsets[-1], np.int32)
    buying = users
    current = np.empty(users, np.int32)
    for step in range(int(lengths.max())):
        buying = int(np.searchsorted(-lengths[order[:buying]], -step, side="left"))
        who = order[:buying]
        move, favourite, where = rng.random((3, buying))
        chosen = shop.draw(tastes[who, (favourite > 0.7).astype(int)], where)
        stray = move >= NEXT_STEP + TASTE
        chosen[stray] = shop.draw_any(where[stray])
        if step:
            follow = move < NEXT_STEP
            chosen[follow] = shop.successor[current[:buying][follow]]
        current[:buying] = chosen
        items[offsets[who] + step] = chosen
    owner = np.repeat(np.arange(users), lengths)
    gaps = rng.exponential(MEAN_GAP_S, len(items)).astype(np.int64) + 1
    gaps[rng.random(len(items)) < settings.tied_timestamps] = 0
    gaps[offsets[:-1]] = rng.integers(0, STARTS_WITHIN_S, users)
    elapsed = np.cumsum(gaps)
    elapsed -= np.repeat(np.concatenate([[0], elapsed[offsets[1:-1] - 1]]), lengths)
    by_time = np.argsort(elapsed, kind="stable")
    ratings = rng.choice(np.arange(1, 6, dtype=np.int8), size=len(items), p=[0.04, 0.05, 0.1, 0.23, 0.58])
    return Purchases(first_user + owner[by_time], items[by_time], FIRST_SECOND + elapsed[by_time], ratings[by_time])


def interaction_block(settings: SyntheticSettings, seed: int, chunk: int) -> pa.Table:
    """One chunk as rows of text, dirt included: columns user_id, item_id, timestamp, rating."""
    bought = draw_purchases(settings, seed, chunk)
    rng = np.random.default_rng([seed, 2, chunk])
    rows = np.arange(len(bought.items))
    dirty = np.flatnonzero(rng.random(len(rows)) < settings.dirty_rows)
    kind = rng.integers(0, 4, len(dirty))
    repeated = dirty[kind == 3]
    rows = np.insert(rows, repeated, repeated)
    first_user = chunk * USERS_PER_CHUNK
    user_ids = _numbered("u", np.arange(first_user, min(first_user + USERS_PER_CHUNK, settings.users)))
    table = {
        "user_id": user_ids.take(pa.array(bought.users - first_user)),
        "item_id": _item_ids(settings.items).take(pa.array(bought.items)),
        "timestamp": pa.array(bought.seconds).cast(pa.string()),
        "rating": pa.array(bought.ratings).cast(pa.string()),
    }
    for code, (name, broken) in enumerate((("user_id", ""), ("item_id", " "), ("timestamp", "yesterday"))):
        where = np.zeros(len(bought.items), bool)
        where[dirty[kind == code]] = True
        if where.any():
            table[name] = pa.compute.if_else(pa.array(where), broken, table[name])
    return pa.table(table).take(pa.array(rows))


@lru_cache(maxsize=2)
def _item_ids(items: int) -> pa.Array:
    return _numbered("i", np.arange(items))


def _numbered(prefix: str, numbers: npt.NDArray[np.integer]) -> pa.Array:
    return pa.array([f"{prefix}{number}" for number in numbers], pa.string())


def item_lines(settings: SyntheticSettings, seed: int) -> Iterator[str]:
    """The catalogue, one JSON object a line, dirt included."""
    shop = draw_catalogue(settings, seed)
    rng = np.random.default_rng([seed, 3])
    brand_of_line = rng.integers(0, settings.brands, int(shop.line.max()) + 1)
    blank = rng.random(settings.items) < settings.missing_text
    copied = rng.random(settings.items) < settings.duplicate_titles
    other = rng.integers(0, settings.items, settings.items)
    dirt = rng.random(settings.items)
    for item in range(settings.items):
        named = int(other[item]) if copied[item] else item
        category = int(shop.category[named])
        brand = int(brand_of_line[shop.line[named]])
        title = title_of(category, int(shop.line[named]), int(shop.step[named]), brand, markup=bool(dirt[item] < 0.05))
        own_brand, names = category_words(int(shop.category[item]), int(brand_of_line[shop.line[item]]))
        yield json.dumps(
            {
                "item_id": f"i{item}",
                "title": None if blank[item] else title,
                "brand": own_brand if dirt[item] < 0.9 else None,
                "description": describe(title) if dirt[item] < 0.5 and not blank[item] else None,
                "categories": names,
            }
        )


def write_shop(folder: Path, settings: SyntheticSettings, seed: int) -> None:
    """Write ``interactions.csv.gz`` and ``items.jsonl.gz`` in the native layout, a chunk of users at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(folder / "items.jsonl.gz", "wb", compresslevel=1, mtime=0) as stream:
        for line in item_lines(settings, seed):
            stream.write(line.encode() + b"\n")
    with gzip.GzipFile(folder / "interactions.csv.gz", "wb", compresslevel=1, mtime=0) as stream:
        for chunk in range(chunks(settings)):
            pacsv.write_csv(
                interaction_block(settings, seed, chunk),
                stream,
                pacsv.WriteOptions(include_header=chunk == 0, quoting_style="needed"),
            )
