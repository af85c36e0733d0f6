"""TopKSnapshot: every user's own list and nobody else's, from mapped files, whatever the ids look like."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semconv.artifacts import Manifest, TopKSnapshot, TopKWriter, stamp_of, topk_shard
from semconv.artifacts import topk_writer as writing
from semconv.errors import ArtifactError
from tests.unit.artifacts.shop_snapshot import CATALOGUE, CODES, ITEMS, K, answer, history_of, rows, write_snapshot


def check(snapshot: TopKSnapshot, users: Sequence[str]) -> None:
    assert snapshot.n_users == len(users)
    for number, user in enumerate(users):
        found = snapshot.lookup(user)
        assert found is not None
        assert (found.items.tolist(), found.scores.tolist()) == answer(number)
        assert found.history.tolist() == history_of(number)
        assert snapshot.stamp(user) == stamp_of(history_of(number))


def test_every_user_finds_their_own_list_across_shards_batches_and_spreads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "ROWS", 16)
    monkeypatch.setattr(topk_shard, "RUN", 5)
    monkeypatch.setattr(writing, "WAITING", 4096)
    users = [f"user {number * 7919 % 1000}" for number in range(1000)]
    snapshot = write_snapshot(tmp_path / "topk", users)
    assert len(list(snapshot.users())) > 4 * 10
    check(snapshot, users)
    assert snapshot.user_ids("user 9", 1000) == sorted(user for user in users if user.startswith("user 9"))
    assert snapshot.user_ids("", 10**6) == sorted(users)
    snapshot.verify()


def test_the_bytes_do_not_depend_on_the_order_in_which_users_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [f"user {number}" for number in range(500)]
    one = write_snapshot(tmp_path / "one", users)
    monkeypatch.setattr(writing, "WAITING", 2000)
    (tmp_path / "again").mkdir()
    writer = TopKWriter(tmp_path / "again", shards=4, kept=K)
    for number in random.Random(5).sample(range(500), 500):
        writer.add(rows([users[number]], number))
    writer.finish(pa.array(users))
    for file in sorted((tmp_path / "again" / "shards").iterdir()):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == one.manifest.files[f"shards/{file.name}"]["sha256"]


@settings(max_examples=15, deadline=None)
@given(
    users=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), unique=True, max_size=40),
    stranger=st.text(max_size=12),
    shards=st.integers(1, 5),
)
def test_any_ids_find_their_own_list_and_a_stranger_nothing(
    tmp_path_factory: pytest.TempPathFactory, users: list[str], stranger: str, shards: int
) -> None:
    snapshot = write_snapshot(tmp_path_factory.mktemp("any") / "topk", users, shards=shards)
    check(snapshot, users)
    assert (snapshot.lookup(stranger) is None) == (stranger not in users)
    expected = sorted((user for user in users if user.startswith(stranger[:1])), key=str.encode)
    assert snapshot.user_ids(stranger[:1], 5) == expected[:5]


def test_a_snapshot_without_users_knows_nobody_and_still_its_items(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "topk", [])
    assert (snapshot.n_users, snapshot.kept, list(snapshot.users())) == (0, K, [])
    assert (snapshot.lookup("a"), snapshot.stamp("a"), snapshot.user_ids("", 5)) == (None, None, [])
    assert snapshot.n_items == len(CATALOGUE)


def test_a_lone_surrogate_is_nobody_and_the_beginning_of_nobody(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "topk", ["\ufffd", "a"], shards=1)
    assert (snapshot.lookup("\ud800"), snapshot.stamp("a\udfff"), snapshot.user_ids("\ud800", 5)) == (None, None, [])


def test_a_history_keeps_its_stamp_whatever_is_kept_of_it() -> None:
    assert stamp_of([1, 2]) == stamp_of(np.array([1, 2], np.int32)) != stamp_of([2, 1]) != stamp_of([])
    assert stamp_of([258]) == hashlib.blake2b(b"\x02\x01\x00\x00", digest_size=16).digest()


def test_items_are_found_by_id_and_shown_as_the_catalogue_has_them(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "topk", ["one"])
    assert [snapshot.item_index(item_id) for item_id in CATALOGUE] == list(range(len(CATALOGUE)))
    shown = [snapshot.item(index) for index in range(len(CATALOGUE))]
    assert [item.item_id for item in shown] == CATALOGUE
    for name in ("title", "brand"):
        assert [getattr(item, name) for item in shown] == ITEMS[name].to_pylist()
    assert [list(item.categories) for item in shown] == [said or [] for said in ITEMS["categories"].to_pylist()]
    assert snapshot.item_index("zebr") is None
    assert snapshot.item_index("\ud800") is None
    assert [column.tolist() for column in snapshot.popular] == [[1, 3, 4, 0, 2], [5, 5, 2, 1, 0]]
    assert [snapshot.codes(index) for index in range(len(CATALOGUE))] == [tuple(codes) for codes in CODES.tolist()]
    assert [snapshot.similar(index)[0].tolist() for index in range(len(CATALOGUE))] == [[1, 2], [0], [], [4, 0], [3, 2]]
    assert [len(snapshot.similar(index)[1]) for index in range(len(CATALOGUE))] == [2, 1, 0, 2, 2]


def test_only_the_metadata_that_is_asked_for_is_kept(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "topk", ["one"], metadata=("brand",))
    assert snapshot.item(0) == ("zebra", None, "Zoo", ())


def test_blocked_items_are_in_the_catalogue_and_never_popular(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "topk", [], blocked=np.array([1, 2], np.int32))
    assert [column.tolist() for column in snapshot.popular] == [[3, 4, 0], [5, 2, 1]]
    assert snapshot.item_index(CATALOGUE[1]) == 1
    assert snapshot.blocked.tolist() == [1, 2]


def test_the_events_in_the_histories_are_said(tmp_path: Path) -> None:
    with_events = write_snapshot(tmp_path / "with", ["a"], counts={"events": {"store": "s1", "seq": 12}})
    assert (with_events.events, write_snapshot(tmp_path / "without", ["a"]).events) == (("s1", 12), None)


@pytest.mark.parametrize(
    ("written", "expected", "named"),
    [
        (["a", "b"], ["a", "b", "c"], "c is missing"),
        (["a", "b", "c"], ["a", "b"], "c is there, but not in the corpus"),
        (["a", "b", "b"], ["a", "b"], "b is there twice"),
        (["a", "b", "b"], ["a", "b", "b"], "b is there twice"),
    ],
)
def test_a_snapshot_without_every_user_exactly_once_is_not_written(
    tmp_path: Path, written: list[str], expected: list[str], named: str
) -> None:
    with pytest.raises(ArtifactError, match=named):
        write_snapshot(tmp_path / "topk", written, shards=1, expected=expected)
    assert not (tmp_path / "topk").exists()


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    shard = write_snapshot(tmp_path / "topk", ["a", "b"], shards=1).path / "shards" / "00000.arrow"
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match=r"00000\.arrow is missing or has another size"):
        TopKSnapshot.open(tmp_path / "topk")


@pytest.mark.parametrize("name", ["shards/00000.arrow", "items.arrow", "similar.arrow", "popular.arrow"])
def test_a_file_overwritten_with_noise_of_the_same_size_is_refused_by_name(tmp_path: Path, name: str) -> None:
    file = write_snapshot(tmp_path / "topk", ["a", "b"], shards=1).path / name
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(ArtifactError, match=f"{name} cannot be read"):
        TopKSnapshot.open(tmp_path / "topk")


def test_a_file_in_the_place_of_another_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_snapshot(tmp_path / "topk", ["a", "b"], shards=1).path
    popular = (folder / "popular.arrow").read_bytes()
    (folder / "similar.arrow").write_bytes(popular)
    manifest = Manifest.read(folder)
    manifest.files["similar.arrow"]["bytes"] = len(popular)
    manifest.write(folder)
    with pytest.raises(ArtifactError, match=r"similar\.arrow has other columns"):
        TopKSnapshot.open(folder)


def test_one_changed_byte_is_found_by_verify(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "topk", ["a", "b"], shards=1)
    shard = snapshot.path / "shards" / "00000.arrow"
    content = bytearray(shard.read_bytes())
    place = content.index(np.array(answer(1)[1], np.float32).tobytes())
    content[place] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ArtifactError, match="is not what was published"):
        snapshot.verify()


def test_lists_shorter_than_what_can_be_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="settings ask for 4"):
        write_snapshot(tmp_path / "topk", ["a"], k=K + 1)
