"""From rows to a corpus: every row accounted for, in the order it came, the same each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semconv.artifacts import Corpus
from semconv.corpus.accounting import Ledger, sentence
from semconv.errors import SettingError

ROW = st.tuples(
    st.sampled_from(["u1", "u2", "u3", "", "u1.0", "7.0", "7"]),
    st.sampled_from(["i1", "i2", "i3", "i4", " "]),
    st.sampled_from(["1", "2", "2", "x"]),
    st.sampled_from(["5", "3", "1", "", "bad"]),
)
ITEMS = [{"item_id": "i2", "title": "two"}, {"item_id": "i1", "title": ""}, {"item_id": "i9"}, {"title": "no id"}]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ROW, max_size=30),
    st.integers(0, 3),
    st.sampled_from(["none", "event", "item"]),
    st.sampled_from([None, 3.0]),
    st.booleans(),
)
def test_rows_in_are_kept_or_quarantined_or_filtered(
    ingest: Callable,
    shop: Callable,
    rows: list[tuple[str, ...]],
    k_core: int,
    deduplicate: str,
    min_rating: float | None,
    require_text: bool,
) -> None:
    rows = [*rows, *[("core", item, str(10 + n), "5") for n, item in enumerate(("i2", "i2", "i2"))]]
    corpus = ingest(
        shop(rows, ITEMS, header="user_id,item_id,timestamp,rating"),
        k_core=k_core,
        deduplicate=deduplicate if k_core < 2 else "none",
        min_rating=min_rating,
        require_text=require_text,
    )
    counts = corpus.manifest.counts["rows"]
    quarantined = pq.read_table(corpus.path / "quarantine").num_rows
    for table, given_rows in (("interactions", len(rows)), ("items", len(ITEMS))):
        assert counts[table]["rows"] == given_rows
        left_out = sum(counts[table]["quarantined"].values()) + sum(counts[table]["filtered"].values())
        assert counts[table]["kept"] + left_out == given_rows
    assert counts["interactions"]["kept"] == len(corpus.sequences.values)
    assert quarantined == sum(sum(counts[table]["quarantined"].values()) for table in counts)
    lengths = corpus.sequences.lengths
    assert lengths.min() >= max(k_core, 1)
    if require_text:
        assert corpus.items["title"].null_count == 0


def test_a_ledger_that_does_not_add_up_is_a_fault() -> None:
    ledger = Ledger("rows", rows=10)
    ledger.filter("dull", 3)
    ledger.quarantine("bad", 2)
    assert (
        sentence("rows", ledger.close(5)) == "rows: 10 rows in = 5 kept + 2 quarantined (bad 2) + 3 filtered (dull 3)"
    )
    with pytest.raises(AssertionError, match="10 rows in, but 6 kept"):
        ledger.close(6)


def test_ties_keep_the_order_of_the_input(ingest: Callable, shop: Callable, histories: Callable) -> None:
    rows = [("u", "late", 9), ("u", "c", 5), ("u", "a", 5), ("v", "x", 5), ("u", "b", 5), ("u", "early", 1)]
    assert histories(ingest(shop(rows))) == {"u": ["early", "c", "a", "b", "late"], "v": ["x"]}


def test_order_by_position_where_there_is_no_time(ingest: Callable, shop: Callable, histories: Callable) -> None:
    rows = [("u", "c", 10), ("u", "a", 2), ("u", "b", 9), ("u", "bad", "2.5")]
    corpus = ingest(shop(rows, header="user_id,item_id,position"))
    assert histories(corpus) == {"u": ["a", "b", "c"]}
    assert pq.read_table(corpus.path / "sequences")["times"].to_pylist() == [None]
    assert corpus.manifest.counts["rows"]["interactions"]["quarantined"] == {"unparsable position": 1}


def test_items_stand_in_the_order_of_their_file_and_unknown_ones_after(
    ingest: Callable, shop: Callable, histories: Callable
) -> None:
    items = [{"item_id": "b", "title": "B"}, {"item_id": "cold"}, {"item_id": "a", "title": "A"}, {"item_id": "b"}]
    rows = [("u", "z", 1), ("u", "a", 2), ("u", "y", 3), ("u", "b", 4), ("u", "once", 5), ("u", "z", 6)]
    corpus = ingest(shop(rows, items))
    assert corpus.item_ids == ["b", "cold", "a", "z", "y", "once"]
    assert corpus.items["title"].to_pylist() == ["B", None, "A", None, None, None]
    assert histories(corpus) == {"u": ["z", "a", "y", "b", "once", "z"]}
    assert corpus.manifest.counts["rows"]["items"]["filtered"] == {"repeated item id": 1}
    warm = ingest(shop(rows, items), keep_cold_items=False)
    assert warm.item_ids == ["b", "a", "z", "y", "once"]
    assert histories(warm) == histories(corpus)
    assert warm.manifest.counts["rows"]["items"]["filtered"] == {"cold item": 1, "repeated item id": 1}


def test_items_without_text_are_quarantined_where_text_is_required(
    ingest: Callable, shop: Callable, histories: Callable
) -> None:
    items = [{"item_id": "a", "title": "A"}, {"item_id": "b", "title": "<br>"}, {"item_id": "c"}]
    rows = [("u", "a", 1), ("u", "b", 2), ("u", "c", 3), ("u", "lost", 4), ("u", "a", 5)]
    corpus = ingest(shop(rows, items), require_text=True)
    assert histories(corpus) == {"u": ["a", "a"]}
    assert corpus.manifest.counts["rows"]["items"]["quarantined"] == {"no text": 2}
    assert corpus.manifest.counts["rows"]["interactions"]["quarantined"] == {"item without text": 3}
    reasons = [(row["reason"], row["row"]) for row in pq.read_table(corpus.path / "quarantine").to_pylist()]
    assert ("item without text", '{"user_id": "u", "item_id": "lost"}') in reasons


def test_items_outside_the_core_that_the_catalogue_lacks_do_not_enter_it(ingest: Callable, shop: Callable) -> None:
    rows = [(user, item, time) for user in ("u", "v") for time, item in enumerate(("a", "b"))] + [("u", "rare", 9)]
    assert ingest(shop(rows, [{"item_id": "b"}]), k_core=2).item_ids == ["b", "a"]


@pytest.mark.parametrize(("deduplicate", "kept"), [("none", "aaab"), ("event", "aab"), ("item", "ab")])
def test_deduplication(ingest: Callable, shop: Callable, histories: Callable, deduplicate: str, kept: str) -> None:
    rows = [("u", "a", 1), ("u", "a", 1), ("u", "a", 2), ("u", "b", 2)]
    assert "".join(histories(ingest(shop(rows), deduplicate=deduplicate))["u"]) == kept


def test_leave_one_out_and_global_time_reach_the_artifact(ingest: Callable, shop: Callable) -> None:
    rows = [("u", f"i{time}", time) for time in range(8)] + [("short", "i1", 100), ("short", "i2", 101)]
    one_out = ingest(shop(rows))
    assert [end.tolist() for end in one_out.ends] == [[6, 2], [7, 2]]
    by_time = ingest(shop(rows), split="global_time", valid_fraction=0.2, test_fraction=0.2)
    assert [end.tolist() for end in by_time.ends] == [[6, 0], [8, 0]]
    with pytest.raises(SettingError, match="global_time, and the input has positions"):
        ingest(shop(rows, header="user_id,item_id,position"), split="global_time")


def test_the_same_input_gives_the_same_bytes_whatever_the_blocks(
    ingest: Callable, shop: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    rows = [(f"u{u}", f"i{i}", t) for u, i, t in rng.integers(0, 40, (3000, 3))]
    rows[100] = ("", "i1", 3)
    folder = shop(rows)
    whole = ingest(folder, k_core=5)
    assert ingest(folder, k_core=5).fingerprint == whole.fingerprint
    blocks = _in_small_blocks(monkeypatch)
    small = ingest(folder, k_core=5)
    assert len(blocks) > 10
    assert small.fingerprint == whole.fingerprint


def _in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make readers cut blocks of 2 KiB; returns a list that grows with every block read."""
    from semconv.corpus import blocks, reading

    seen: list[int] = []

    def read_small(source: object) -> object:
        for block in blocks.read_blocks(source, 2048):  # type: ignore[arg-type]
            seen.append(block.rows.num_rows)
            yield block

    monkeypatch.setattr(reading, "read_blocks", read_small)
    return seen


def test_lines_are_counted_across_blocks(ingest: Callable, shop: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"u{n}", "i", n) for n in range(900)]
    for spoilt in (0, 450, 899):
        rows[spoilt] = ("", "i", 1)
    blocks = _in_small_blocks(monkeypatch)
    corpus: Corpus = ingest(shop(rows))
    assert len(blocks) > 3
    assert pq.read_table(corpus.path / "quarantine")["line"].to_pylist() == [2, 452, 901]
