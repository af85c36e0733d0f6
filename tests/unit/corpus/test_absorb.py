"""Events that a corpus takes in: once, behind what was there, split anew, and told apart from those that come later."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semconv.artifacts import Corpus, finish, staging
from semconv.artifacts.corpus import ITEMS, SEQUENCES
from semconv.corpus.absorb import absorb
from semconv.corpus.later import EVENTS, Later, erased_digest, histories_of
from semconv.errors import SettingError

STORE = "0123456789abcdef" * 2
BEFORE = {"ann": [0, 1, 2, 3], "bob": [1, 2]}


def later(*happened: tuple[str, str], erased: tuple[str, ...] = ()) -> Later:
    rows = [{"user_id": user, "item_id": item, "time": at} for at, (user, item) in enumerate(happened)]
    gone = frozenset(erased_digest(STORE, user) for user in erased)
    return Later(pa.Table.from_pylist(rows, EVENTS), STORE, len(rows), gone)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write(tmp_path / "corpus")


def write(target: Path, split: str = "leave_one_out") -> Corpus:
    items = [{"item_id": f"i{n}", "categories": []} for n in range(5)]
    users = [
        {"user_id": user, "items": bought, "train_end": max(len(bought) - 2, 2), "valid_end": max(len(bought) - 1, 2)}
        for user, bought in BEFORE.items()
    ]
    with staging(target) as folder:
        for name, rows, schema in (("items", items, ITEMS), ("sequences", users, SEQUENCES)):
            (folder / name).mkdir()
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name / "part-00000.parquet")
        asked = {"corpus": {"split": split}}
        finish(folder, "corpus", settings=asked, inputs={}, counts={}, request="asked", seconds=0)
    return Corpus.open(target)


def taken_in(corpus: Corpus, events: Later) -> Corpus:
    """A copy that took the events in."""
    folder = corpus.path.with_name(f"{corpus.path.name}+")
    shutil.copytree(corpus.path, folder)
    absorb(Corpus(folder, corpus.manifest), events)
    return Corpus(folder, corpus.manifest)


def sequences(corpus: Corpus) -> dict[str, list[int]]:
    return {user: items.tolist() for user, items in zip(corpus.user_ids, corpus.sequences, strict=True)}


def test_events_join_behind_and_the_last_two_items_are_held_out_anew(corpus: Corpus) -> None:
    grown = taken_in(corpus, later(("bob", "i3"), ("cas", "i0"), ("bob", "nobody's")))
    assert sequences(grown) == {"ann": [0, 1, 2, 3], "bob": [1, 2, 3], "cas": [0]}
    assert [training.tolist() for training in grown.training()] == [[0, 1], [1], [0]]
    assert grown.split("test").targets.tolist() == [3, 3]


@pytest.mark.parametrize("compacted", [False, True])
def test_an_export_that_still_has_them_adds_them_no_second_time(corpus: Corpus, compacted: bool) -> None:
    before, since = [("bob", "i3"), ("ann", "i4")], ("bob", "i4")
    grown = taken_in(corpus, later(*before))
    export = later(*before, since)
    if compacted:
        export = replace(export, events=export.events.slice(len(before)))
    known = histories_of(grown, export)
    assert [history.tolist() for history in known.items] == [[0, 1, 2, 3, 4], [1, 2, 3, 4]]
    assert known.joined == 1
    again = taken_in(grown, export)
    assert sequences(again) == {"ann": [0, 1, 2, 3, 4], "bob": [1, 2, 3, 4]}
    assert histories_of(again, export).joined == 0


def test_an_event_of_an_item_that_nobody_knew_then_joins_once_the_item_is_there(corpus: Corpus) -> None:
    export = later(("bob", "i5"))
    grown = taken_in(corpus, export)
    known = pa.Table.from_pylist([{"item_id": "i5"}], ITEMS)
    pq.write_table(known, grown.path / "items" / "part-00001.parquet")
    assert histories_of(Corpus(grown.path, grown.manifest), export).items[1].tolist() == [1, 2, 5]


def test_who_was_erased_keeps_what_was_done_since(corpus: Corpus) -> None:
    grown = taken_in(corpus, later(("bob", "i3")))
    since = later(("bob", "i4"), erased=("bob",))
    known = histories_of(grown, since)
    assert dict(zip(known.user_ids.to_pylist(), [history.tolist() for history in known.items], strict=True)) == {
        "ann": [0, 1, 2, 3],
        "bob": [4],
    }


def test_a_corpus_that_is_split_by_time_takes_nothing_in(tmp_path: Path) -> None:
    timed = write(tmp_path / "timed", "global_time")
    with pytest.raises(SettingError, match=r"night\.epochs"):
        absorb(timed, later(("bob", "i3")))
