"""The built-in shop: streamed, seeded, dirty, and worth learning from."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from semconv.artifacts import Corpus
from semconv.config import SyntheticSettings
from semconv.corpus import synthetic
from semconv.corpus.words import brand_name, coined

SHOP = SyntheticSettings()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    synthetic.write_shop(folder, SHOP, 17)
    return folder


def hits(corpus: Corpus, best: Callable[[int], list[int]]) -> float:
    """Recall@10 on the test items."""
    split = corpus.split("test")
    found = [target in best(int(history[-1])) for history, target in zip(split.histories, split.targets, strict=True)]
    return float(np.mean(found))


def test_a_last_item_counter_beats_popularity_widely(ingest: Callable) -> None:
    corpus = ingest(reader="synthetic", k_core=5)
    counts = Counter(corpus.training().values.tolist())
    followed: dict[int, Counter[int]] = defaultdict(Counter)
    for row in corpus.training():
        for one, other in pairwise(row.tolist()):
            followed[one][other] += 1
    popular = [item for item, _ in counts.most_common(10)]
    by_popularity = hits(corpus, lambda _: popular)
    by_last_item = hits(corpus, lambda last: [item for item, _ in followed[last].most_common(10)])
    assert by_popularity < 0.15
    assert by_last_item > 0.5
    assert by_last_item > 4 * by_popularity


def test_titles_tell_what_follows_what(ingest: Callable) -> None:
    corpus = ingest(reader="synthetic", k_core=5)
    words = [set((title or "").lower().replace(",", "").split()) for title in corpus.items["title"].to_pylist()]
    rng = np.random.default_rng(0)
    pairs = [pair for row in corpus.sequences for pair in pairwise(row.tolist())]
    others = rng.permutation([other for _, other in pairs])
    following = np.mean([len(words[one] & words[other]) for one, other in pairs])
    chance = np.mean([len(words[one] & words[other]) for (one, _), other in zip(pairs, others, strict=True)])
    assert following > 2 * chance


def test_it_has_what_real_shops_have(written: Path, ingest: Callable) -> None:
    with gzip.open(written / "items.jsonl.gz", "rt") as stream:
        items = [json.loads(line) for line in stream]
    titles = Counter(item["title"] for item in items if item["title"])
    assert len(items) == SHOP.items
    assert sum(item["title"] is None for item in items) == pytest.approx(SHOP.missing_text * SHOP.items, abs=10)
    assert 3 <= sum(count - 1 for count in titles.values()) <= 4 * SHOP.duplicate_titles * SHOP.items
    assert any("&amp;" in title for title in titles)
    assert any("<b>" in title for title in titles)
    raw = ingest(written)
    bought = np.bincount(raw.sequences.values, minlength=raw.n_items)
    assert (bought == 0).sum() >= SHOP.cold_items * SHOP.items
    assert (raw.sequences.lengths < 3).any()
    quarantined = raw.manifest.counts["rows"]["interactions"]["quarantined"]
    assert set(quarantined) == {"missing user id", "missing item id", "unparsable time"}
    assert raw.manifest.counts["rows"]["interactions"]["filtered"]["repeated event"] > 0
    assert not any("&amp;" in title or "<" in title for title in raw.items["title"].to_pylist() if title)


def test_it_has_the_size_and_the_ties_it_is_asked_for() -> None:
    shop = SyntheticSettings(users=3000, items=100, mean_events=9.0, tied_timestamps=0.4)
    bought = synthetic.draw_purchases(shop, 3, 0)
    lengths = np.bincount(bought.users)
    assert len(lengths) == 3000
    assert lengths.min() >= 1
    assert lengths.mean() == pytest.approx(9.0, rel=0.05)
    assert (np.diff(bought.seconds) >= 0).all()
    by_user = np.lexsort((np.arange(len(bought.users)), bought.users))
    same_user = np.diff(bought.users[by_user]) == 0
    ties = (np.diff(bought.seconds[by_user]) == 0) & same_user
    assert ties.sum() / same_user.sum() == pytest.approx(0.4, abs=0.02)


def test_tied_purchases_keep_the_order_they_were_made_in() -> None:
    shop = SyntheticSettings(users=500, items=200, tied_timestamps=1.0, cold_items=0.0)
    bought = synthetic.draw_purchases(shop, 3, 0)
    successor = synthetic.draw_catalogue(shop, 3).successor
    by_user = np.argsort(bought.users, kind="stable")
    users, items = bought.users[by_user], bought.items[by_user]
    same = users[1:] == users[:-1]
    followed = (successor[items[:-1]] == items[1:])[same].mean()
    assert followed > 0.55


def test_the_seed_decides(tmp_path: Path, written: Path) -> None:
    synthetic.write_shop(tmp_path / "same", SHOP, 17)
    synthetic.write_shop(tmp_path / "other", SHOP, 18)
    for name in ("interactions.csv.gz", "items.jsonl.gz"):
        assert (tmp_path / "same" / name).read_bytes() == (written / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (written / name).read_bytes()


def test_the_written_shop_and_the_shop_read_directly_are_one(written: Path, ingest: Callable) -> None:
    direct, read = ingest(reader="synthetic").manifest, ingest(written).manifest
    assert direct.counts == read.counts
    parts = [name for name in read.files if not name.startswith("quarantine")]
    assert len(parts) == 2
    assert {name: direct.files[name] for name in parts} == {name: read.files[name] for name in parts}


def test_it_is_drawn_in_chunks_that_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "USERS_PER_CHUNK", 100)
    shop = SyntheticSettings(users=250, items=60)
    assert synthetic.chunks(shop) == 3
    last = synthetic.draw_purchases(shop, 3, 2)
    assert np.unique(last.users).tolist() == list(range(200, 250))
    larger = synthetic.draw_purchases(SyntheticSettings(users=1000, items=60), 3, 1)
    np.testing.assert_array_equal(larger.items, synthetic.draw_purchases(shop, 3, 1).items)


@pytest.mark.parametrize("items", [1, 2, 7])
def test_the_smallest_shops_work(items: int) -> None:
    shop = SyntheticSettings(users=5, items=items, cold_items=1.0, mean_events=3)
    bought = synthetic.draw_purchases(shop, 1, 0)
    assert bought.items.max() < items
    assert not synthetic.draw_catalogue(shop, 1).cold[bought.items].any()
    assert len(list(synthetic.item_lines(shop, 1))) == items


def test_coined_words_are_each_their_own() -> None:
    assert len({coined(number) for number in range(200_000)}) == 200_000
    assert len({brand_name(brand) for brand in range(1000)}) == 1000
