"""Later events join the histories in the order they were accepted in, and nothing is dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.artifacts import Corpus, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.corpus.later import EVENTS, Later, erased_digest, histories_of, read_later, require_later, write_later
from semconv.errors import InputError

STORE = "0123456789abcdef" * 2
ITEM_IDS = ["a", "b", "c", "d"]
BEFORE = {"ann": ["a", "b"], "bob": ["c"], "cid": ["a"]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    target = tmp_path_factory.mktemp("later") / "corpus"
    items = [{"item_id": item_id, "title": item_id} for item_id in ITEM_IDS]
    users = [
        {"user_id": user_id, "items": [ITEM_IDS.index(i) for i in did], "times": None, "train_end": 1, "valid_end": 1}
        for user_id, did in BEFORE.items()
    ]
    with staging(target) as folder:
        for name, rows, schema in (("items", items, ITEMS), ("sequences", users, SEQUENCES)):
            (folder / name).mkdir()
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name / "part-0.parquet")
        finish(folder, "corpus", settings={}, inputs={}, counts={}, request="asked", seconds=0)
    return Corpus.open(target)


def later(events: list[tuple[str, str]], erased: frozenset[bytes] = frozenset()) -> Later:
    rows = [{"user_id": user, "item_id": item, "time": 100 - at} for at, (user, item) in enumerate(events)]
    return Later(pa.Table.from_pylist(rows, schema=EVENTS), STORE, 9, erased)


def told(corpus: Corpus, after: Later | None) -> dict[str, list[str]]:
    found = histories_of(corpus, after)
    assert found.items.offsets[-1] == len(found.items.values)
    assert found.items.values.dtype == np.int32
    histories = [[ITEM_IDS[item] for item in history] for history in found.items]
    return dict(zip(found.user_ids.to_pylist(), histories, strict=True))


def test_without_events_the_histories_are_the_corpuss(corpus: Corpus) -> None:
    assert told(corpus, None) == told(corpus, later([])) == BEFORE


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["ann", "bob", "cid", "eve", "Ünal"]), st.sampled_from([*ITEM_IDS, "gone"]))))
def test_events_follow_in_the_order_of_acceptance_whatever_their_clock_said(
    corpus: Corpus, events: list[tuple[str, str]]
) -> None:
    expected = {user: list(did) for user, did in BEFORE.items()}
    for user, item in events:
        if item != "gone":
            expected.setdefault(user, []).append(item)
    found = histories_of(corpus, later(events))
    assert told(corpus, later(events)) == expected
    assert found.user_ids.to_pylist() == list(expected)
    assert found.unknown == sum(item == "gone" for _, item in events)
    assert found.joined + found.unknown == len(events)


def test_an_erased_user_is_left_with_what_came_after_or_not_at_all(corpus: Corpus) -> None:
    erased = frozenset(erased_digest(STORE, user) for user in ("ann", "bob", "nobody"))
    after = later([("bob", "d"), ("cid", "b"), ("eve", "a")], erased)
    assert told(corpus, after) == {"bob": ["d"], "cid": ["a", "b"], "eve": ["a"]}
    assert histories_of(corpus, after).forgotten == 2


def test_a_digest_tells_users_and_stores_apart_whatever_the_id() -> None:
    digests = {erased_digest(store, user) for store in (STORE, STORE[::-1]) for user in ("", "ann", "Ünal", "\ud800")}
    assert len(digests) == 8
    assert {len(digest) for digest in digests} == {16}


def test_an_export_reads_as_it_was_written(tmp_path: Path) -> None:
    after = later([("ann", "d"), ("eve", "a"), ("ann", "b")], frozenset({b"x" * 16}))
    assert write_later(tmp_path, after.events.to_batches(1), store=STORE, seq=9, erased=after.erased) == 3
    require_later(tmp_path)
    assert read_later(tmp_path) == after


@pytest.mark.parametrize(
    "said",
    [None, "{", "[]", json.dumps({"store": STORE}), json.dumps({"store": "no hex", "seq": 1})],
    ids=["absent", "no JSON", "no mapping", "no seq", "no store"],
)
def test_a_folder_that_is_no_export_is_refused(tmp_path: Path, said: str | None) -> None:
    if said is not None:
        (tmp_path / "events.json").write_text(said)
    with pytest.raises(InputError, match=r"holds no exported events.*serve\.events export"):
        read_later(tmp_path)


def test_columns_that_are_not_events_are_refused(tmp_path: Path) -> None:
    write_later(tmp_path, [], store=STORE, seq=1)
    pq.write_table(pa.table({"user": ["ann"], "item_id": ["a"], "time": [1]}), tmp_path / "000000.parquet")
    with pytest.raises(InputError, match="without a user or an item"):
        read_later(tmp_path)
    (tmp_path / "000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="can be read"):
        read_later(tmp_path)
